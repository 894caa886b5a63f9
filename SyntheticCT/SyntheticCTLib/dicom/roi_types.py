"""What a structure is: RT ROI Interpreted Type (PS3.3 C.8.8.8.1), in DICOM and on masks."""

from __future__ import annotations

import re

import SimpleITK as sitk

ROI_TYPE = "RTROIInterpretedType"
"""Image metadata of a mask, and the element of DICOM that it was read from or is written to."""
EXTERNAL = "EXTERNAL"
"""Type of the patient's outline, of which a structure set has one."""
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")


def roi_type(mask: sitk.Image) -> str:
    """Return the type of a mask's structure ("PTV", "ORGAN"); "" where it has none."""
    return valid(mask.GetMetaData(ROI_TYPE)) if mask.HasMetaDataKey(ROI_TYPE) else ""


def valid(value: object) -> str:
    """Return a type as DICOM's code strings are; "" of what is none."""
    text = str(value or "").strip("\0 ").upper()
    return text if _CODE.fullmatch(text) else ""
