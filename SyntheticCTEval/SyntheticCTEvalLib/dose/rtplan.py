"""What a DICOM RTPLAN prescribes."""

from __future__ import annotations

import os
from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.dicom.headers import is_of, read_header

from SyntheticCTEvalLib.plan.prescription import require_prescribed, target_levels


def read_prescription(path: str | os.PathLike, progress: Progress = SILENT) -> float:
    """Return the dose in Gy that an RTPLAN prescribes to its target, of the whole course.

    The highest TargetPrescriptionDose among its dose references of the type TARGET (DICOM PS3.3
    C.8.8.10), which is in Gy; points count where no volume or site has one. ``progress`` is
    warned where there are several.

    Raises:
        SyntheticCTError: no RTPLAN, or one that says no dose, or one that cannot be.
    """
    header = read_header(Path(path), whole=True)
    if header is None or not is_of(header, "RTPLAN"):
        raise SyntheticCTError(f"The plan {path} is no DICOM RTPLAN: give the plan's file.")
    levels = [level for level in target_levels(header) if level.dose_gy > 0]
    for level in levels:
        require_prescribed(level, f"plan {path}")
    doses = [level.dose_gy for level in levels]
    if not doses:
        raise SyntheticCTError(
            f"The plan {path} does not say which dose is prescribed to the target: give the "
            "prescription in Gy yourself."
        )
    if len(set(doses)) > 1:
        told = ", ".join(f"{dose:g}" for dose in sorted(set(doses)))
        progress.warn(
            f"The plan {path} prescribes several doses ({told} Gy): the highest is taken; check "
            "that it is the target's."
        )
    return max(doses)
