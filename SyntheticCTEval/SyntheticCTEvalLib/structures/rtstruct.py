"""A DICOM RTSTRUCT as one mask a structure."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.dicom.frame_of_reference import frame_of
from SyntheticCTLib.dicom.roi_types import ROI_TYPE

from .contours import PLANE_TOLERANCE_MM, Contours, by_plane, filled, plane_axes, plane_normal
from .deformable_registration import bent
from .roi_types import types_of
from .spatial_registration import Registered

XOR = "CLOSEDPLANAR_XOR"
CLOSED = ("CLOSED_PLANAR", XOR)


def _of_other_frames(
    dataset: Dataset, names: dict[int, str], reference: sitk.Image, progress: Progress
) -> dict[int, str]:
    """UIDs of the frames, other than that of ``reference``, that ROIs were drawn in."""
    sets = {
        str(item.get("FrameOfReferenceUID") or "")
        for item in dataset.get("ReferencedFrameOfReferenceSequence") or []
    } - {""}
    only = next(iter(sets)) if len(sets) == 1 else ""
    frames = {
        int(item.ROINumber): str(item.get("ReferencedFrameOfReferenceUID") or only)
        for item in dataset.get("StructureSetROISequence") or []
        if item.get("ROINumber") is not None
    }
    known = {number: frame for number, frame in frames.items() if frame}
    own = frame_of(reference)
    if not own:
        if len(set(known.values())) > 1:
            groups = (
                " and ".join(names[n] for n, frame in known.items() if frame == one)
                for one in dict.fromkeys(known.values())
            )
            progress.warn(
                f"The structures lie in several frames of reference ({'; '.join(groups)}), and "
                "the CT does not say which is its own: check where they lie, or give the CT as "
                "the DICOM series that it is."
            )
        return {}
    return {number: frame for number, frame in known.items() if frame != own}


def read_rtstruct(
    dataset: Dataset,
    reference: sitk.Image,
    what: str,
    progress: Progress,
    end_caps: bool,
    registered: Registered,
) -> dict[str, sitk.Image]:
    names = _names(dataset, what)
    frames = _of_other_frames(dataset, names, reference, progress)
    ways = registered.matrices({n: names.get(n, f"ROI {n}") for n in frames}, frames, progress)
    elsewhere = frames.keys() - ways.keys()
    found: dict[str, Contours] = {}
    numbers: dict[str, int] = {}
    drawn = _drawn(dataset, what)
    left_out = NotedProgress(progress)
    for number, items in drawn.items():
        if number in elsewhere:
            continue
        name = names.get(number, f"ROI {number}")
        unique = _unique(name, found)
        way = ways.get(number)
        matrix = way if isinstance(way, np.ndarray) else None  # what bends is applied to the mask
        contours = _contours(items, unique, left_out, matrix)
        if contours is None:
            continue
        if unique != name:
            progress.warn(
                f"Several structures are called {name}; this one is named {unique}: check which "
                "is meant."
            )
        found[unique], numbers[unique] = contours, number
    if elsewhere and not found:
        raise SyntheticCTError(
            f"The {what} ({', '.join(names[n] for n in sorted(elsewhere))}) lie in another frame "
            "of reference than the CT, as those drawn on an MR do: give the DICOM registration "
            "between the two by --structures-registration, the structure set of this CT, or a "
            "segmentation that was brought onto it."
        )
    if not found:
        reason = f" ({left_out.warnings[0].rstrip('.')})" if left_out.warnings else ""
        raise SyntheticCTError(
            f"The {what} hold no closed contour that can be filled{reason}: export the structure "
            "set with its contours."
        )
    for number in sorted(elsewhere):
        progress.warn(
            f"The structure {names[number]} lies in another frame of reference than the CT, as "
            "those drawn on an MR do; it is left out, as no DICOM registration was given."
        )
    for number, name in names.items():
        if number not in drawn.keys() | elsewhere:
            progress.warn(f"The structure {name} has no contour and is left out.")
    gaps = [np.diff(contours.positions) for contours in found.values()]
    common = float(np.median(np.concatenate(gaps))) if any(len(g) for g in gaps) else 0.0
    types = types_of(dataset)
    masks: dict[str, sitk.Image] = {}
    for name, contours in found.items():
        mask = filled(contours, reference, common, name, progress, end_caps)
        way = ways.get(numbers[name])
        if isinstance(way, sitk.Transform):
            mask = bent(mask, way, reference, name, progress)
        if mask is None:
            continue
        if numbers[name] in types:
            mask.SetMetaData(ROI_TYPE, types[numbers[name]])
        masks[name] = mask
    return masks


def _names(dataset: Dataset, what: str) -> dict[int, str]:
    """Names of the ROIs by their number.

    Raises:
        SyntheticCTError: two have one number, so that it is not known whose the contours are.
    """
    names: dict[int, str] = {}
    for item in dataset.get("StructureSetROISequence") or []:
        if item.get("ROINumber") is None:
            continue
        number = int(item.ROINumber)
        name = str(item.get("ROIName") or f"ROI {number}")
        if number in names:
            raise SyntheticCTError(
                f"The {what} give the number {number} to two structures, {names[number]} and "
                f"{name}, so that it is not known whose contours are whose: export them again."
            )
        names[number] = name
    return names


def _drawn(dataset: Dataset, what: str) -> dict[int, list[Dataset]]:
    """The items that hold contours by the number of their ROI; some systems write several."""
    drawn: dict[int, list[Dataset]] = {}
    for item in dataset.get("ROIContourSequence") or []:
        number = item.get("ReferencedROINumber")
        if number is None:  # it is stored behind the contours
            raise SyntheticCTError(
                f"The {what} end in the middle of the contours: the file is truncated; export it "
                "again."
            )
        drawn.setdefault(int(number), []).append(item)
    return drawn


def _unique(name: str, taken: dict) -> str:
    unique, n = name, 2
    while unique in taken:
        unique, n = f"{name} ({n})", n + 1
    return unique


def _contours(
    items: list[Dataset], name: str, progress: Progress, matrix: np.ndarray | None
) -> Contours | None:
    """The closed contours of an ROI; None, with a warning, where it has none to be filled.

    Args:
        matrix: what takes its points into the CT's frame (4 x 4); None: they lie in it.
    """
    polygons, others, by_turns = [], set(), False
    for contour in (part for item in items for part in item.get("ContourSequence") or []):
        kind = str(contour.get("ContourGeometricType", "unknown"))
        if kind not in CLOSED:
            others.add(kind)
            continue
        try:
            points = _points(contour)
        except (AttributeError, TypeError, ValueError):
            others.add("damaged")
            continue
        if matrix is not None:
            points = points @ matrix[:3, :3].T + matrix[:3, 3]
        if len(points) > 2 and np.isfinite(points).all():
            polygons.append(points)
            by_turns = by_turns or kind == XOR
    if others:
        progress.warn(
            f"Contours of {name} that are not closed in a plane ({', '.join(sorted(others))}) "
            "are left out."
        )
    normals = [plane_normal(points) for points in polygons]
    if not any(np.linalg.norm(n) > 0 for n in normals):
        if not others:
            progress.warn(f"The structure {name} has no contour and is left out.")
        return None
    largest = max(normals, key=np.linalg.norm)
    axes = plane_axes(largest / np.linalg.norm(largest))
    flat = [points @ axes.T for points in polygons]
    if max(np.ptp(points[:, 2]) for points in flat) > 2 * PLANE_TOLERANCE_MM:
        progress.warn(f"The contours of {name} do not lie in parallel planes; it is left out.")
        return None
    return Contours(axes, by_plane(flat), by_turns)


def _points(contour: Dataset) -> np.ndarray:
    """Points (n, 3) of a contour in mm, LPS."""
    stored = contour.get_item("ContourData").value
    # As long as pydicom has not converted them one by one, which takes most of the time.
    values = stored.split(b"\\") if isinstance(stored, bytes) else contour.ContourData
    return np.array([float(value) for value in values]).reshape(-1, 3)
