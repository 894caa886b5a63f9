"""The foreground of an MR: the voxels that its standard scale is read off."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.resampling import mask_on

AIR_SHARE = 0.2
"""Of the signal of tissue: what lies below the threshold is air where its median is less."""
USUAL_AIR = 0.6
"""Share of air in the field of view of a scan of the pelvis."""
LEAST_PADDING = 0.05
"""Share of the volume below which equal voxels at the border are no padding."""


def foreground_mask(mr: sitk.Image, given: sitk.Image | None = None) -> np.ndarray:
    """Return the foreground of an MR as booleans (k, j, i).

    The threshold is Otsu's on the logarithm of the intensity, which separates the noise of
    air from tissue; on the plain intensity it would separate muscle from fat. Padding (see
    :func:`padding`) is neither: it is left out before. Where no air is left beside it, as in an
    MR that was masked to its body, all that is no padding is foreground.

    Args:
        given: mask (not 0) on any grid that is the foreground instead.

    Raises:
        SyntheticCTError: nothing, or a single value, lies above the threshold; the given mask
            holds no voxel of the MR.
    """
    values = sitk.GetArrayFromImage(mr).astype(np.float32)

    if given is not None:
        mask = _placed(given, mr)
    else:
        padded = padding(values)
        mask = _above_air(values) if padded is None else _above_air_in(values, ~padded)
    inside = values[mask]
    if inside.size == 0 or inside.min() == inside.max():
        raise SyntheticCTError(
            "The MR has no foreground to normalize (air and tissue cannot be told apart): "
            "check that it is the right volume."
        )
    return mask


def padding(values: np.ndarray) -> np.ndarray | None:
    """Return the voxels (k, j, i) that were set to one value around the patient, None for none.

    They are exactly the smallest value, in patches that reach the border of the volume; noise of
    a scanner holds such voxels here and there, but no patches of them.
    """
    equal = values == values.min()
    if equal.mean() < LEAST_PADDING:
        return None
    patches = ndimage.binary_erosion(equal, np.ones((1, 3, 3), bool), border_value=1)
    labels, _ = ndimage.label(ndimage.binary_propagation(patches, mask=equal))
    rim = np.ones(values.shape, bool)
    rim[:, 1:-1, 1:-1] = False
    at_border = np.unique(labels[rim & (labels > 0)])
    found = np.isin(labels, at_border[at_border > 0])
    return found if LEAST_PADDING <= found.mean() < 1 else None


def _above_air(values: np.ndarray) -> np.ndarray:
    """Voxels above Otsu's threshold on the logarithm."""
    low = float(values.min())
    logs = np.log1p((values - low) / max(float(values.mean()) - low, 1e-12) * 100)
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.GetImageFromArray(logs))
    return logs > otsu.GetThreshold()


def _above_air_in(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """The same of the voxels that are counted; all of these where there is no air among them."""
    part = values[counted]
    above = _above_air(part.reshape(-1, 1, 1)).ravel()
    if above.all() or not above.any():
        return counted
    low = min(float(values.min()), 0.0)
    tissue, rest = (float(np.median(part[which])) - low for which in (above, ~above))
    if rest > AIR_SHARE * tissue:
        return counted
    # Otsu's threshold depends on how much air there is: as much as around a scan as it comes.
    air, wanted = part[~above], round(USUAL_AIR / (1 - USUAL_AIR) * np.count_nonzero(above))
    usual = np.concatenate([np.resize(air, wanted), part[above]])
    least = float(usual[_above_air(usual.reshape(-1, 1, 1)).ravel()].min())
    mask = np.zeros(values.shape, bool)
    mask[counted] = part >= least
    return mask


def _placed(given: sitk.Image, mr: sitk.Image) -> np.ndarray:
    mask = mask_on(given, mr)
    if not mask.any():
        raise SyntheticCTError(
            "The foreground holds no voxel of the MR: give a mask of this MR's patient."
        )
    return mask
