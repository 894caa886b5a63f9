"""Gray: what a dose volume's numbers mean, and which of them cannot be."""

from __future__ import annotations

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.dicom.frame_of_reference import FRAME
from SyntheticCTLib.volumes.checks import check_volume

from SyntheticCTEvalLib.plan.prescription import IMPLAUSIBLE_GY

from .plausibility import SUM_KEYS, require_possible

GRAY_PER_UNIT = {"gy": 1.0, "gray": 1.0, "cgy": 0.01, "centigray": 0.01}

_UNIT_KEYS = {"doseunits", "doseunit", "units", "unit"}


def check_dose(image: sitk.Image, what: str) -> sitk.Image:
    """Return ``image`` (Gy) when it is a 3D scalar volume, finite, not constant, and can be a dose.

    Raises:
        SyntheticCTError: with ``what`` naming the dose; see plausibility.require_possible.
    """
    image = check_volume(image, what)
    require_possible(image, what)
    return image


def gray_per(unit: str, what: str) -> float:
    try:
        return GRAY_PER_UNIT[unit.strip().lower()]
    except KeyError:
        raise SyntheticCTError(
            f'The {what} is "{unit.strip()}", which is not an absorbed dose: use "Gy" or "cGy".'
        ) from None


def agreed_unit(stated: str, what: str, unit: str | None) -> float:
    gray = gray_per(stated, f"unit of the {what}")
    if unit is not None and gray_per(unit, "unit given for the dose") != gray:
        raise SyntheticCTError(
            f'The {what} says that it is in {stated}, but the unit given is "{unit}": '
            "leave the unit out or correct the file."
        )
    return gray


def in_gray(image: sitk.Image, what: str, unit: str | None = None) -> sitk.Image:
    """Return a volume of dose values in Gy (float32), as :func:`read_dose` does for files.

    Args:
        image: absorbed dose; its metadata may state the unit.
        what: names the dose in error sentences.
        unit: "Gy" or "cGy"; needed only where the metadata do not say and it is not Gy.

    Raises:
        SyntheticCTError: no dose, an unknown or contradictory unit, or no unit and a maximum
            that cannot be gray.
    """
    stated = next(
        (
            image.GetMetaData(key).strip()
            for key in image.GetMetaDataKeys()
            if key.lower().replace("_", "").replace(" ", "").rsplit(".", 1)[-1] in _UNIT_KEYS
            and image.GetMetaData(key).strip()
        ),
        None,
    )
    if stated is not None:
        gray = agreed_unit(stated, what, unit)
    elif unit is not None:
        gray = gray_per(unit, "unit given for the dose")
    else:
        gray = 1.0
        highest = float(sitk.GetArrayViewFromImage(image).max())
        if highest > IMPLAUSIBLE_GY:
            raise SyntheticCTError(
                f"The {what} does not say its unit and reaches {highest:g}, which cannot be Gy: "
                'give the unit, "Gy" or "cGy", or export the dose in Gy.'
            )
    dose = sitk.Cast(check_volume(image, what), sitk.sitkFloat32)
    if gray != 1.0:
        dose *= gray
    require_possible(dose, what)
    for key in (FRAME, *SUM_KEYS):
        if image.HasMetaDataKey(key):
            dose.SetMetaData(key, image.GetMetaData(key))
    dose.SetMetaData("DoseUnits", "GY")
    return dose
