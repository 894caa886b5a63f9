"""The rigid registration, tried again from other starts where its result cannot be trusted."""

from __future__ import annotations

import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress

from .agreement import Agreement, agreement
from .other_starts import other_starts
from .rigid import rigid_registration
from .working_copies import WorkingCopy

Found = tuple[Agreement, sitk.VersorRigid3DTransform, float | None]


def rigid_from_any_start(
    still: WorkingCopy,
    loose: WorkingCopy,
    progress: Progress,
    given: sitk.VersorRigid3DTransform | None = None,
) -> Found:
    """Return how well the images agree, the rigid transform (working frame), the metric's value.

    Started from where the images lie or centre on centre; where the result is not sure, or worse
    than the images lay before, from turned starts as well, and the best of all is taken.

    Args:
        given: what another program has found; it is judged like our own.

    Raises:
        SyntheticCTError: no start led to a result.
    """
    found: list[Found] = []
    failure = None
    if given is not None:
        found.append((agreement(still, loose, given), given, None))
    else:
        try:
            found.append(_judged(still, loose, None, progress))
        except SyntheticCTError as error:
            failure = error
    before = agreement(still, loose, None)
    if found and found[0][0].sure and found[0][0].score >= 0.98 * before.score:
        return found[0]
    lying = sitk.VersorRigid3DTransform()
    for start in [*([] if given is None else [None]), *other_starts(still, loose)]:
        try:
            found.append(_judged(still, loose, start, progress))
        except SyntheticCTError as error:
            failure = error
    if not before.failed:
        found.append((before, lying, None))
    if not found:
        raise failure
    return max(found, key=lambda each: each[0].score)


def _judged(
    still: WorkingCopy,
    loose: WorkingCopy,
    start: sitk.VersorRigid3DTransform | None,
    progress: Progress,
) -> Found:
    turn, value = rigid_registration(still, loose, progress, start)
    return agreement(still, loose, turn), turn, value
