"""Which structure is the target."""

from __future__ import annotations

from collections.abc import Mapping

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError

TARGET_WORDS = ("ptv", "ctv", "gtv", "target")


def find_target(structures: Mapping[str, sitk.Image], name: str | None) -> str | None:
    """Return the name of the target among ``structures``; None where there is none.

    Raises:
        SyntheticCTError: ``name`` is not there.
    """
    if name is not None:
        if name not in structures:
            raise SyntheticCTError(
                f"The structures have no {name!r}: give one of "
                f"{', '.join(structures) or 'them with --structures'}."
            )
        return name
    for word in TARGET_WORDS:
        for structure in structures:
            if word in structure.lower():
                return structure
    return None
