"""Reading structures: DICOM RTSTRUCT, .seg.nrrd or a label map, as one mask a structure."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from SyntheticCTLib.errors import SyntheticCTError
from SyntheticCTLib.frames import frame_of
from SyntheticCTLib.mask_folder import is_mask_folder, read_masks
from SyntheticCTLib.progress import SILENT, Progress
from SyntheticCTLib.segmentation import read_segmentation

IN_PLANE_MM = 1.0
"""Largest pixel that contours are filled on."""

PIXELS_ACROSS = 100
"""A smaller structure gets pixels so small that about as many lie across it..."""

SMALLEST_PIXEL_MM = 0.1
"""... but none smaller than this."""

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
PLANE_TOLERANCE_MM = 0.1


@dataclass(frozen=True)
class _Contours:
    """Contours of one ROI: points (n, 2; mm) in the plane, by position (mm) along the normal."""

    axes: np.ndarray
    planes: dict[float, list[np.ndarray]]

    @property
    def positions(self) -> np.ndarray:
        return np.array(sorted(self.planes))


def read_structures(
    path: str | os.PathLike,
    reference: sitk.Image,
    progress: Progress = SILENT,
    *,
    end_caps: bool = True,
) -> dict[str, sitk.Image]:
    """Return the structures in ``path`` as masks (uint8, 0 or 1) by name, in the file's order.

    A label map or .seg.nrrd keeps its grid. Every structure of an RTSTRUCT gets a grid of its
    own, parallel to its contours: pixels of at most 1 mm whose centres lie inside an odd number
    of its contours on a plane (holes, keyholes and several contours a plane come out right),
    each plane filling the space up to half way to the next one, and half a contour spacing
    beyond the last. Contours of any orientation; DICOM PS3.3 C.8.8.6.

    Args:
        path: an RTSTRUCT file, a folder that holds exactly one, a segmentation, or a folder of
            masks (SyntheticCTLib.mask_folder).
        reference: the CT that the structures belong to; gives the thickness of a structure
            with one contour plane, and its ``FrameOfReferenceUID`` is compared where known.
        progress: receives a warning for every structure that is left out or has gaps.
        end_caps: fill half a contour spacing beyond the first and the last contour of an
            RTSTRUCT's structure, so that its volume is area times spacing; planning systems
            differ in this (Eclipse ends its dose-volume histograms at the last contour).

    Raises:
        SyntheticCTError: missing, unreadable, neither RTSTRUCT nor segmentation, without any
            closed contour, or nowhere near ``reference``.
    """
    path = Path(path)
    if not path.exists():
        raise SyntheticCTError(f"The structures {path} do not exist: check the path.")
    if is_mask_folder(path):
        masks = read_masks(path)
    else:
        masks = _read_file(path, reference, progress, end_caps)
    if not any(_touches(mask, reference) for mask in masks.values()):
        raise SyntheticCTError(
            f"None of the structures {path} lies inside the CT: check that they belong to the "
            "same patient and frame."
        )
    return masks


def _read_file(
    path: Path, reference: sitk.Image, progress: Progress, end_caps: bool
) -> dict[str, sitk.Image]:
    dataset = _only_rtstruct(path) if path.is_dir() else _dicom(path)
    if dataset is None:
        return read_segmentation(path)
    if not _is_rtstruct(dataset):
        raise SyntheticCTError(
            f"The structures {path} are a DICOM file of modality "
            f"{dataset.get('Modality', 'unknown')}, not RTSTRUCT: give the structure set."
        )
    _compare_frames(dataset, reference, progress)
    return _read_rtstruct(dataset, reference, f"structures {path}", progress, end_caps)


def _dicom(path: Path) -> Dataset | None:
    try:
        return pydicom.dcmread(path)
    except InvalidDicomError:
        pass
    except Exception:  # pydicom raises many kinds for damaged files
        return None
    try:  # some systems leave out the preamble
        dataset = pydicom.dcmread(path, force=True)
    except Exception:
        return None
    return dataset if "SOPClassUID" in dataset else None


def _is_rtstruct(dataset: Dataset) -> bool:
    return dataset.get("Modality") == "RTSTRUCT"


def _only_rtstruct(folder: Path) -> Dataset:
    found = [
        dataset
        for item in sorted(folder.iterdir())
        if item.is_file() and (dataset := _dicom(item)) is not None and _is_rtstruct(dataset)
    ]
    if len(found) != 1:
        raise SyntheticCTError(
            f"The folder {folder} holds {len(found) or 'no'} DICOM RTSTRUCT files: "
            "give the one structure set itself."
        )
    return found[0]


def _compare_frames(dataset: Dataset, reference: sitk.Image, progress: Progress) -> None:
    frames = {
        str(item.get("FrameOfReferenceUID", ""))
        for item in dataset.get("ReferencedFrameOfReferenceSequence") or []
    } | {
        str(item.get("ReferencedFrameOfReferenceUID", ""))
        for item in dataset.get("StructureSetROISequence") or []
    }
    frames.discard("")
    if frames and frame_of(reference) not in ("", *frames):
        progress.warn(
            "The structures and the CT are of different frames of reference: check that the "
            "structures lie where they should."
        )


def _read_rtstruct(
    dataset: Dataset, reference: sitk.Image, what: str, progress: Progress, end_caps: bool
) -> dict[str, sitk.Image]:
    names = {
        int(item.ROINumber): str(item.get("ROIName") or f"ROI {item.ROINumber}")
        for item in dataset.get("StructureSetROISequence") or []
        if item.get("ROINumber") is not None
    }
    found: dict[str, _Contours] = {}
    drawn = set()
    for item in dataset.get("ROIContourSequence") or []:
        number = item.get("ReferencedROINumber")
        if number is None:  # it is stored behind the contours
            raise SyntheticCTError(
                f"The {what} end in the middle of the contours: the file is truncated; export it "
                "again."
            )
        drawn.add(int(number))
        name = _unique(names.get(number, f"ROI {number}"), found)
        contours = _contours(item, name, progress)
        if contours is not None:
            found[name] = contours
    if not found:
        raise SyntheticCTError(
            f"The {what} hold no closed contour: export the structure set with its contours."
        )
    for number, name in names.items():
        if number not in drawn:
            progress.warn(f"The structure {name} has no contour and is left out.")
    gaps = [np.diff(contours.positions) for contours in found.values()]
    common = float(np.median(np.concatenate(gaps))) if any(len(g) for g in gaps) else 0.0
    return {
        name: _filled(contours, reference, common, name, progress, end_caps)
        for name, contours in found.items()
    }


def _unique(name: str, taken: dict) -> str:
    unique, n = name, 2
    while unique in taken:
        unique, n = f"{name} ({n})", n + 1
    return unique


def _contours(item: Dataset, name: str, progress: Progress) -> _Contours | None:
    """The closed contours of an ROI; None, with a warning, where it has none to be filled."""
    polygons, others = [], set()
    for contour in item.get("ContourSequence") or []:
        kind = str(contour.get("ContourGeometricType", "unknown"))
        if kind not in CLOSED:
            others.add(kind)
            continue
        try:
            points = _points(contour)
        except (AttributeError, TypeError, ValueError):
            others.add("damaged")
            continue
        if len(points) > 2 and np.isfinite(points).all():
            polygons.append(points)
    if others:
        progress.warn(
            f"Contours of {name} that are not closed in a plane ({', '.join(sorted(others))}) "
            "are left out."
        )
    normals = [_normal(points) for points in polygons]
    if not any(np.linalg.norm(n) > 0 for n in normals):
        if not others:
            progress.warn(f"The structure {name} has no contour and is left out.")
        return None
    largest = max(normals, key=np.linalg.norm)
    axes = _axes(largest / np.linalg.norm(largest))
    flat = [points @ axes.T for points in polygons]
    if max(np.ptp(points[:, 2]) for points in flat) > 2 * PLANE_TOLERANCE_MM:
        progress.warn(f"The contours of {name} do not lie in parallel planes; it is left out.")
        return None
    return _Contours(axes, _by_plane(flat))


def _points(contour: Dataset) -> np.ndarray:
    """Points (n, 3) of a contour in mm, LPS."""
    stored = contour.get_item("ContourData").value
    # As long as pydicom has not converted them one by one, which takes most of the time.
    values = stored.split(b"\\") if isinstance(stored, bytes) else contour.ContourData
    return np.array([float(value) for value in values]).reshape(-1, 3)


def _normal(points: np.ndarray) -> np.ndarray:
    """Area of a polygon times its normal (Newell)."""
    points = points - points[0]
    return 0.5 * np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)


def _axes(normal: np.ndarray) -> np.ndarray:
    """Rows: two directions in the plane and its normal, right-handed, nearest to x, y and z."""
    normal = normal * (-1 if normal[np.abs(normal).argmax()] < 0 else 1)
    along = np.eye(3)[0 if abs(normal[0]) < 0.9 else 1]
    first = along - (along @ normal) * normal
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first), normal])


def _by_plane(flat: list[np.ndarray]) -> dict[float, list[np.ndarray]]:
    heights = np.array([points[:, 2].mean() for points in flat])
    order = np.argsort(heights, kind="stable")
    groups: list[list[int]] = []
    for index in order:
        if groups and heights[index] - heights[groups[-1][0]] <= PLANE_TOLERANCE_MM:
            groups[-1].append(int(index))
        else:
            groups.append([int(index)])
    planes = {}
    for group in groups:
        # A contour that was stored twice would cancel itself.
        once = {_outline(flat[i][:, :2]): flat[i][:, :2] for i in group}
        planes[float(heights[group].mean())] = list(once.values())
    return planes


def _outline(points: np.ndarray) -> frozenset[tuple[float, float]]:
    """The points of a contour, whichever comes first and whichever way round."""
    return frozenset(map(tuple, np.round(points, 3).tolist()))


def _filled(
    contours: _Contours,
    reference: sitk.Image,
    common_mm: float,
    name: str,
    progress: Progress,
    end_caps: bool,
) -> sitk.Image:
    """The mask of a structure on its own grid."""
    positions = contours.positions
    spacing = _contour_spacing(positions, contours.axes[2], reference, common_mm)
    heights, step, chosen = _slabs(positions, spacing, end_caps or len(positions) == 1)
    if (chosen < 0).any():
        progress.warn(
            f"The structure {name} has planes without contours between others; nothing is filled "
            f"farther than {spacing / 2:g} mm from a contour there."
        )
    points = np.concatenate([p for plane in contours.planes.values() for p in plane])
    low, high = points.min(axis=0), points.max(axis=0)
    pixel = float(np.clip((high - low).max() / PIXELS_ACROSS, SMALLEST_PIXEL_MM, IN_PLANE_MM))
    columns, rows = np.maximum(np.ceil((high - low) / pixel).astype(int), 1)
    start = (low + high) / 2 - pixel * (np.array([columns, rows]) - 1) / 2
    drawn = [
        _even_odd(contours.planes[z], start, pixel, int(rows), int(columns)) for z in positions
    ]
    array = np.zeros((len(heights), rows, columns), np.uint8)
    for k, index in enumerate(chosen):
        if index >= 0:
            array[k] = drawn[index]
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((pixel, pixel, step))
    image.SetOrigin((np.array([*start, heights[0]]) @ contours.axes).tolist())
    image.SetDirection(contours.axes.T.ravel().tolist())
    return image


def _contour_spacing(
    positions: np.ndarray, normal: np.ndarray, reference: sitk.Image, common_mm: float
) -> float:
    """Distance of neighbouring contour planes; the CT's slices stand in where there is one."""
    if len(positions) > 1:
        # Two planes far apart are two parts rather than a thick one.
        return float(min(np.median(np.diff(positions)), 3 * common_mm))
    if common_mm:
        return common_mm
    directions = np.reshape(reference.GetDirection(), (3, 3))
    return float(reference.GetSpacing()[int(np.abs(normal @ directions).argmax())])


def _slabs(
    positions: np.ndarray, spacing: float, end_caps: bool
) -> tuple[np.ndarray, float, np.ndarray]:
    """Return slice heights, their distance, and the contour plane of each slice (-1 for none)."""
    steps = (positions - positions[0]) / spacing
    regular = np.abs(steps - np.rint(steps)).max() * spacing <= PLANE_TOLERANCE_MM
    length = positions[-1] - positions[0]
    if regular and end_caps:
        count = int(np.rint(steps[-1])) + 1
        step = float(length / (count - 1)) if count > 1 else spacing
    else:
        # Slices so thin that the ends and the half-way points are met closely.
        length += spacing if end_caps else 0
        count = int(np.ceil(length / 0.5))
        step = float(length / count)
    heights = (positions[0] + positions[-1]) / 2 + step * (np.arange(count) - (count - 1) / 2)
    distance = np.abs(heights[:, None] - positions[None, :])
    chosen = distance.argmin(axis=1)
    # Up to half way to the next plane; a gap of two spacings or more is not bridged.
    gaps = np.diff(positions, prepend=-np.inf, append=np.inf)
    reach = np.where(gaps < 1.9 * spacing, gaps / 2, spacing / 2)
    above = heights > positions[chosen]
    limit = np.where(above, reach[chosen + 1], reach[chosen])
    chosen[distance.min(axis=1) > limit + 1e-6] = -1
    return heights, step, chosen


def _even_odd(
    polygons: list[np.ndarray], start: np.ndarray, pixel: float, rows: int, columns: int
) -> np.ndarray:
    """Pixels (rows, columns) whose centres lie inside an odd number of ``polygons``."""
    points = [(p - start) / pixel for p in polygons]
    ends = np.concatenate([np.roll(p, -1, axis=0) for p in points])
    starts = np.concatenate(points)
    upward = starts[:, 1] <= ends[:, 1]
    low, high = np.where(upward[:, None], starts, ends), np.where(upward[:, None], ends, starts)
    # Half-open in y, so that a vertex between two edges counts once.
    first = np.clip(np.ceil(low[:, 1]), 0, rows).astype(int)
    last = np.clip(np.ceil(high[:, 1]), 0, rows).astype(int)
    count = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    a, b = low[edge], high[edge]
    x = a[:, 0] + (row - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    crossed = np.zeros((rows, columns + 1), np.int64)
    np.add.at(crossed, (row, np.clip(np.ceil(x), 0, columns).astype(int)), 1)
    return (np.cumsum(crossed[:, :-1], axis=1) % 2).astype(np.uint8)


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
