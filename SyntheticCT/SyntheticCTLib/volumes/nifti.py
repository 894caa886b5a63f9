"""What the headers of NIfTI files say, and ITK does not: two places, sheared axes, NaN voxels.

Source: the NIfTI-1 standard, nifti1.h (https://nifti.nimh.nih.gov).
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import math
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress

from .grids import with_values

PLACE_TOLERANCE_MM = 0.1
"""By how much the corners of a volume may lie apart by the two matrices of its header."""
_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz")
_FLOATS = {16: "f4", 64: "f8", 32: "f4", 1792: "f8"}
"""Data types whose values may be NaN, complex ones included."""
_MM = {1: 1000.0, 2: 1.0, 3: 0.001}
"""Millimetres in a unit of length."""


@dataclass(frozen=True)
class NiftiHeader:
    """What a NIfTI-1 header says.

    Attributes:
        voxels: the file that holds them.
        size: voxels (i, j, k).
        floats: numpy type of voxels that may be NaN, "" of others.
        first, end: bytes of that file, unpacked, at which the voxels begin and end.
        qform, sform: index (i, j, k, 1) to mm, LPS, (3, 4); None where they are not valid.
    """

    voxels: Path
    size: tuple[int, int, int]
    floats: str
    first: int
    end: int
    qform: np.ndarray | None
    sform: np.ndarray | None


def is_nifti(path: Path) -> bool:
    return path.name.lower().endswith(_SUFFIXES)


def read_nifti_header(path: Path) -> NiftiHeader:
    """Return what the header of a NIfTI-1 file, or of a pair of header and image, says.

    Raises:
        SyntheticCTError: Analyze, which does not say where left is, or NIfTI-2.
        EOFError, OSError: truncated, or no NIfTI.
    """
    content = next(_blocks(_of_pair(path, "hdr")), b"")
    order = next((o for o in "<>" if content[:4] == struct.pack(o + "i", 348)), None)
    if any(content[:4] == struct.pack(o + "i", 540) for o in "<>"):
        raise SyntheticCTError(f"The file {path} is NIfTI-2: convert it to NIfTI-1 or NRRD.")
    if order is None or len(content) < 348:
        raise EOFError("no NIfTI header")
    if content[344:347] not in (b"n+1", b"ni1"):
        raise SyntheticCTError(
            f"The file {path} is of the format Analyze, which does not say on which side left is: "
            "convert it to NIfTI."
        )

    def of(kind: str, at: int) -> tuple:
        return struct.unpack_from(order + kind, content, at)

    dims, (datatype, bits) = of("8h", 40), of("2h", 70)
    sizes = [max(1, n) if axis <= dims[0] else 1 for axis, n in enumerate(dims[1:], start=1)]
    first = max(0, int(of("f", 108)[0]))
    slope, intercept = of("2f", 112)
    if np.isfinite(slope) and slope and not np.isfinite(intercept):
        raise SyntheticCTError(
            f"The file {path} has a rescale intercept (scl_inter) that is no number: correct it."
        )
    if not (np.isfinite(slope) and slope) and np.isfinite(intercept) and intercept:
        raise SyntheticCTError(
            f"The file {path} has a rescale intercept (scl_inter {intercept:g}) without a slope "
            "(scl_slope), which some programs add and others do not: correct its header."
        )
    pixdim = np.array(of("8f", 76), float)
    quaternion, shift = np.array(of("3f", 256), float), np.array(of("3f", 268), float)
    qform_code, sform_code = of("2h", 252)
    scale = np.diag([-1.0, -1.0, 1.0]) * _MM.get(content[123] & 7, 1.0)
    qform = np.column_stack([_turn(quaternion) * pixdim[1:4], shift])
    if pixdim[0] < 0:
        qform[:, 2] *= -1
    sform = np.reshape(of("12f", 280), (3, 4)).astype(float)
    return NiftiHeader(
        voxels=_of_pair(path, "img"),
        size=tuple(sizes[:3]),
        floats=order + _FLOATS[datatype] if datatype in _FLOATS else "",
        first=first,
        end=first + math.prod(sizes) * (bits // 8),
        qform=scale @ qform if qform_code > 0 else None,
        sform=scale @ sform if sform_code > 0 else None,
    )


def _of_pair(path: Path, suffix: str) -> Path:
    """The header or the image of a pair of files; of a single file, itself."""
    return path.with_name(re.sub(r"\.(hdr|img)(\.gz)?$", rf".{suffix}\2", path.name, flags=re.I))


def _blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, unpacked where it is .gz; the last one raises for a wrong check sum."""
    with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as stream:
        yield from iter(lambda: stream.read(1 << 20), b"")


def _turn(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix of the last three of a unit quaternion's numbers."""
    b, c, d = quaternion
    a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
    if a == 0:
        b, c, d = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


def read_nifti(path: Path, what: str, progress: Progress = SILENT) -> sitk.Image:
    """Read a NIfTI file that is whole; infinite voxels come as NaN.

    Raises:
        SyntheticCTError: axes that are not at right angles, or two
            places.
        EOFError, OSError, RuntimeError: it cannot be read.
    """
    header = read_nifti_header(path)
    wrong = not_finite_at(header)
    _require_right_angles(path, header, what)
    with _rounded_axes():
        image = sitk.ReadImage(str(path))
    if header.sform is not None and _apart(header, header.sform, _matrix(image)) > 0.001:
        # What ITK makes of axes that are not quite at right angles may point anywhere.
        spacing = np.array(image.GetSpacing()[:3])
        if np.allclose(np.linalg.norm(header.sform[:, :3], axis=0), spacing, rtol=1e-3):
            _place(image, _straight(header.sform))
    _require_one_place(path, header, _matrix(image), what)
    if header.qform is None and header.sform is None:
        progress.warn(
            f"The {what} {path} does not say where it lies (neither qform nor sform is valid): "
            "check that it lies on the others."
        )
    if len(wrong) and image.GetNumberOfComponentsPerPixel() == 1:
        values = sitk.GetArrayFromImage(image)
        values.flat[wrong] = np.nan
        image = with_values(image, values)
    return image


def not_finite_at(header: NiftiHeader) -> np.ndarray:
    """Read all voxels, and return which (flat) are NaN or infinite, of which ITK makes 0: water.

    Raises:
        EOFError, OSError, zlib.error: the file is truncated, or its check sum is wrong.
    """
    wrong, taken, there, rest = [np.empty(0, np.intp)], 0, 0, b""
    kind = np.dtype(header.floats or "u1")
    for block in _blocks(header.voxels):
        if header.floats:
            begin, stop = (min(max(0, at - there), len(block)) for at in (header.first, header.end))
            part = rest + block[begin:stop]
            whole = len(part) - len(part) % kind.itemsize
            values = np.frombuffer(part[:whole], kind)
            wrong.append(taken + np.flatnonzero(~np.isfinite(values)))
            taken += len(values)
            rest = part[whole:]
        there += len(block)
    if there < header.end:
        raise EOFError(f"{there} of {header.end} bytes")
    return np.concatenate(wrong)


def _require_right_angles(path: Path, header: NiftiHeader, what: str) -> None:
    if not all(np.isfinite(m).all() for m in (header.qform, header.sform) if m is not None):
        raise SyntheticCTError(
            f"The {what} {path} has a matrix (qform or sform) with NaN: correct its header."
        )
    if header.sform is None:
        return
    columns = header.sform[:, :3]
    lengths = np.linalg.norm(columns, axis=0)
    if lengths.min() == 0 or abs(np.linalg.det(columns / lengths)) < 1e-3:
        raise SyntheticCTError(
            f"The {what} {path} has a matrix (sform) in which two axes are the same: correct its "
            "header."
        )
    if _apart(header, header.sform, _straight(header.sform)) > PLACE_TOLERANCE_MM:
        cosines = (columns / lengths).T @ (columns / lengths) - np.eye(3)
        angle = np.degrees(np.arccos(-np.abs(cosines).max()))
        raise SyntheticCTError(
            f"The {what} {path} has sheared axes (two of them at {angle:.2f} degrees and not at a "
            "right angle, as where a tilted gantry was straightened by the matrix alone): "
            "resample it onto a grid with axes at right angles."
        )


def _straight(matrix: np.ndarray) -> np.ndarray:
    """The matrix with the nearest axes at right angles; voxel sizes and origin are kept."""
    lengths = np.linalg.norm(matrix[:, :3], axis=0)
    left, _, right = np.linalg.svd(matrix[:, :3] / lengths)
    return np.column_stack([left @ right * lengths, matrix[:, 3]])


def _matrix(image: sitk.Image) -> np.ndarray:
    """Index (i, j, k, 1) to mm of an image's first three dimensions, (3, 4)."""
    n = image.GetDimension()
    directions = np.reshape(image.GetDirection(), (n, n))[:3, :3]
    return np.column_stack([directions * image.GetSpacing()[:3], image.GetOrigin()[:3]])


def _place(image: sitk.Image, matrix: np.ndarray) -> None:
    """Give the first three dimensions of an image the place that a straight matrix says."""
    n = image.GetDimension()
    lengths = np.linalg.norm(matrix[:, :3], axis=0)
    directions = np.eye(n)
    directions[:3, :3] = matrix[:, :3] / lengths
    image.SetDirection(directions.ravel().tolist())
    image.SetSpacing([*lengths.tolist(), *image.GetSpacing()[3:]])
    image.SetOrigin([*matrix[:, 3].tolist(), *image.GetOrigin()[3:]])


def _apart(header: NiftiHeader, one: np.ndarray, other: np.ndarray) -> float:
    """Largest distance (mm) between the corners of a volume by two matrices."""
    corners = np.array(list(itertools.product(*[(0, n - 1) for n in header.size])), float)
    difference = one - other
    moved = corners @ difference[:, :3].T + difference[:, 3]
    return float(np.linalg.norm(moved, axis=1).max())


@contextlib.contextmanager
def _rounded_axes() -> Iterator[None]:
    """Let ITK read axes at right angles but for rounding, which it would refuse."""
    name = "ITK_NIFTI_SFORM_PERMISSIVE"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def _require_one_place(path: Path, header: NiftiHeader, read: np.ndarray, what: str) -> None:
    """Hold where a volume was put against both matrices of its header."""
    matrices = [matrix for matrix in (header.qform, header.sform) if matrix is not None]
    if len(matrices) == 2 and (apart := _apart(header, *matrices)) > PLACE_TOLERANCE_MM:
        raise SyntheticCTError(
            f"The {what} {path} names two places in its header, {apart:.1f} mm apart (qform and "
            "sform contradict each other): keep the right one and mark the other as not valid, or "
            "resample the file."
        )
    if any(_apart(header, matrix, read) > PLACE_TOLERANCE_MM for matrix in matrices):
        raise SyntheticCTError(
            f"The {what} {path} has voxel sizes (pixdim) that contradict its matrix (sform): "
            "correct its header, or save it as NRRD."
        )
