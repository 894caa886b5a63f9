"""Gamma by pymedphys, the engine that physicists know, kept as a reference for the exact one."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.resampling import resample

from .tiles import index_map

_FAR_DOSE_GY = 1e9


def pymedphys_gamma(
    reference: sitk.Image,
    evaluated: sitk.Image,
    region: np.ndarray,
    dose_percent: float,
    distance_mm: float,
    normalization_gy: float,
    local: bool,
    cap: float,
) -> tuple[np.ndarray, str]:
    """Return gamma on the reference grid (k, j, i; float32), -1 where not evaluated, and a note.

    pymedphys compares doses on parallel axes. An evaluated dose whose axes are permuted or
    flipped is turned, one at another angle is resampled on the reference grid; the note, empty or
    beginning with "; ", says so. The arguments are those of ``gamma_exact.exact_gamma``.
    """
    pymedphys = _pymedphys()
    matrix, offset = index_map(reference, evaluated)
    doses = sitk.GetArrayFromImage(reference).astype(float)
    other, axes_other, note = _on_reference_axes(reference, evaluated, matrix, offset)
    axes = [n * np.arange(size) for n, size in zip(_spacing(reference), doses.shape, strict=True)]
    # pymedphys evaluates from its cutoff of 0 up.
    doses = np.where(region, np.maximum(doses, 0), -1)
    flat = tuple(axis for axis, n in enumerate(other.shape) if n == 1)
    for axis in flat:
        if doses.shape[axis] > 1 or abs(axes_other[axis][0]) > 1e-3:
            raise SyntheticCTError(
                "pymedphys cannot compare a volume with a single slice of evaluated dose, or "
                "slices at two places: use the exact gamma engine."
            )
    used = [axis for axis in range(3) if axis not in flat]
    found = pymedphys.gamma(
        tuple(axes[axis] for axis in used),
        np.squeeze(doses, flat),
        tuple(axes_other[axis] for axis in used),
        np.squeeze(other, flat),
        dose_percent,
        distance_mm,
        lower_percent_dose_cutoff=0,
        interp_fraction=10,
        max_gamma=cap,
        local_gamma=local,
        global_normalisation=normalization_gy,
        quiet=None,
    )
    gamma = np.nan_to_num(np.reshape(found, doses.shape), nan=-1).astype(np.float32)
    gamma[~region] = -1
    return gamma, note


def _pymedphys() -> ModuleType:
    """Return the package.

    0.40, the last one for Python 3.13, interpolates by scipy where an optional package is absent,
    but only after it has read a list that it looks for in the wrong folder.
    """
    import pymedphys

    if pymedphys.__version__.startswith("0.40."):
        from pymedphys._dev import paths

        paths.DEPENDENCY_EXTRA_PATH = Path(pymedphys.__file__).with_name("dependency-extra.txt")
    return pymedphys


def _spacing(image: sitk.Image) -> tuple[float, ...]:
    """Return voxel spacing in mm in the order k, j, i."""
    return image.GetSpacing()[::-1]


def _on_reference_axes(
    reference: sitk.Image, evaluated: sitk.Image, matrix: np.ndarray, offset: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray], str]:
    """Return doses (k, j, i), coordinates in mm along the reference's axes, and a note."""
    turn = matrix * np.array(evaluated.GetSpacing())[:, None] / reference.GetSpacing()
    axes = np.abs(turn).argmax(axis=1)
    signs = np.sign(turn[range(3), axes])
    if np.abs(turn - signs[:, None] * np.eye(3)[axes]).max() > 1e-4:
        # Beyond the evaluated dose no dose may agree; linear resampling would give its edge.
        there = resample(sitk.Cast(evaluated, sitk.sitkFloat64), reference, fill=_FAR_DOSE_GY)
        doses = sitk.GetArrayFromImage(there)
        coordinates = [
            n * np.arange(size) for n, size in zip(_spacing(reference), doses.shape, strict=True)
        ]
        note = "; the evaluated dose, at an angle to the reference, resampled linearly on its grid"
        return doses, coordinates, note
    doses = sitk.GetArrayFromImage(evaluated).astype(float)
    # Evaluated axis a runs along reference axis axes[a]: index_e = sign * index_r * ratio + start.
    doses = np.transpose(doses.T, np.argsort(axes)).T
    coordinates = []
    for axis in range(3):
        own = int(np.flatnonzero(axes == axis)[0])
        size = evaluated.GetSize()[own]
        along = (np.arange(size) - offset[own]) * signs[own] * evaluated.GetSpacing()[own]
        if signs[own] < 0:
            doses = np.flip(doses, 2 - axis)
            along = along[::-1].copy()
        coordinates.append(along)
    turned = (axes != range(3)).any() or (signs < 0).any()
    note = "; the evaluated dose turned to the axes of the reference" if turned else ""
    return np.ascontiguousarray(doses), coordinates[::-1], note
