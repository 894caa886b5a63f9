"""Reading structures: DICOM RTSTRUCT, .seg.nrrd or a label map, as one mask a structure."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.dicom.frame_of_reference import frame_of
from SyntheticCTLib.dicom.headers import is_of, only_file, read_header
from SyntheticCTLib.volumes.mask_folder import is_mask_folder, read_masks
from SyntheticCTLib.volumes.segmentation import read_segmentation

from .rtstruct import read_rtstruct
from .spatial_registration import Registered


def read_structures(
    path: str | os.PathLike,
    reference: sitk.Image,
    progress: Progress = SILENT,
    *,
    end_caps: bool = True,
    registration: str | os.PathLike | None = None,
) -> dict[str, sitk.Image]:
    """Return the structures in ``path`` as masks (uint8, 0 or 1) by name, in the file's order.

    Masks of an RTSTRUCT carry the types of their ROIs (see SyntheticCTLib.dicom.roi_types).

    A label map or .seg.nrrd keeps its grid. Every structure of an RTSTRUCT gets a grid of its
    own, parallel to its contours: pixels of at most 1 mm whose centres lie inside its contours
    on a plane (see nesting.nested: holes, keyholes and several contours a plane come out right;
    those of the type CLOSEDPLANAR_XOR count by turns), each plane filling the space up to half
    way to the next one, and half a contour spacing beyond the last. Contours of any orientation;
    DICOM PS3.3 C.8.8.6.

    Args:
        path: an RTSTRUCT file, a folder that holds exactly one, a segmentation, or a folder of
            masks (SyntheticCTLib.mask_folder).
        reference: the CT that the structures belong to; gives the thickness of a structure
            with one contour plane, and structures of another ``FrameOfReferenceUID`` are brought
            into its own by a registration, or left out where there is none.
        progress: receives a warning for every structure that is left out, has gaps, or has
            contours that overlap.
        end_caps: fill half a contour spacing beyond the first and the last contour of an
            RTSTRUCT's structure, so that its volume is area times spacing; planning systems
            differ in this (Eclipse ends its dose-volume histograms at the last contour).
        registration: a DICOM Spatial Registration file from the structures' frame of reference
            to the CT's, or a deformable one with the CT as the registered frame, by which masks
            are bent (PS3.3 C.20.3); None takes one that lies beside the RTSTRUCT and says so.

    Raises:
        SyntheticCTError: missing, unreadable, neither RTSTRUCT nor segmentation, without any
            closed contour, of another frame of reference without a registration from it, or
            nowhere near ``reference``; the registration is of another patient or does not fit.
    """
    path = Path(path)
    if not path.exists():
        raise SyntheticCTError(f"The structures {path} do not exist: check the path.")
    if is_mask_folder(path):
        _need_none(registration, path)
        masks = read_masks(path)
    else:
        masks = _read_file(path, reference, progress, end_caps, registration)
    if not any(_touches(mask, reference) for mask in masks.values()):
        raise SyntheticCTError(
            f"None of the structures {path} lies inside the CT: check that they belong to the "
            "same patient and frame."
        )
    return masks


def _read_file(
    path: Path,
    reference: sitk.Image,
    progress: Progress,
    end_caps: bool,
    registration: str | os.PathLike | None,
) -> dict[str, sitk.Image]:
    if path.is_dir():
        dataset = only_file(path, "RTSTRUCT", "structure set")
    else:
        dataset = read_header(path, whole=True)
    if dataset is None:
        _need_none(registration, path)
        return read_segmentation(path)
    if not is_of(dataset, "RTSTRUCT"):
        raise SyntheticCTError(
            f"The structures {path} are a DICOM file of modality "
            f"{dataset.get('Modality', 'unknown')}, not RTSTRUCT: give the structure set."
        )
    registered = Registered(
        Path(registration) if registration else None,
        path if path.is_dir() else path.parent,
        str(dataset.get("PatientID") or "").strip(),
        frame_of(reference),
    )
    return read_rtstruct(dataset, reference, f"structures {path}", progress, end_caps, registered)


def _need_none(registration: str | os.PathLike | None, path: Path) -> None:
    if registration:
        raise SyntheticCTError(
            f"The structures {path} are no RTSTRUCT, and a DICOM registration brings those only: "
            "leave the registration out, or give the structure set."
        )


def _touches(mask: sitk.Image, reference: sitk.Image) -> bool:
    """Whether a voxel of ``mask`` lies inside the field of view of ``reference``."""
    found = np.argwhere(sitk.GetArrayViewFromImage(mask))[:, ::-1]
    if not len(found):
        return False
    found = found[:: max(1, len(found) // 20_000)]
    directions = np.reshape(mask.GetDirection(), (3, 3)) * mask.GetSpacing()
    points = found @ directions.T + mask.GetOrigin()
    own = np.reshape(reference.GetDirection(), (3, 3)) * reference.GetSpacing()
    indices = (points - reference.GetOrigin()) @ np.linalg.inv(own).T
    size = np.array(reference.GetSize())
    return bool(((indices > -0.5) & (indices < size - 0.5)).all(axis=1).any())
