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
    failures: list[SyntheticCTError] = []

    def register_from(start: sitk.VersorRigid3DTransform | None) -> None:
        try:
            turn, value = rigid_registration(still, loose, progress, start)
        except SyntheticCTError as error:
            failures.append(error)
        else:
            found.append((agreement(still, loose, turn), turn, value))

    if given is None:
        register_from(None)
    else:
        found.append((agreement(still, loose, given), given, None))
    before = agreement(still, loose, None)
    if found and found[0][0].sure and found[0][0].score >= 0.98 * before.score:
        return found[0]
    if given is not None:
        register_from(None)
    for start in other_starts(still, loose):
        register_from(start)
    if not before.failed:
        found.append((before, sitk.VersorRigid3DTransform(), None))
    if not found:
        raise failures[-1]
    return max(found, key=lambda each: each[0].score)
