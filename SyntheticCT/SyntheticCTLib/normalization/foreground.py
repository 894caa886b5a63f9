"""The foreground of an MR: the voxels that its standard scale is read off."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.plausible import usual_range
from SyntheticCTLib.volumes.resampling import mask_on

from .padding import padding_mask, widened

CERTAIN_CONTRAST, LIKELY_CONTRAST = 10.0, 5.0
"""Medians of tissue and air differ by such factors; those of fat and muscle by 3 to 6."""
DARKEST_TISSUE = 0.15  # of the median of an MR without air; gas and cortical bone are darker


def foreground_mask(mr: sitk.Image, given: sitk.Image | None = None) -> np.ndarray:
    """Return the foreground of an MR as booleans (k, j, i).

    The threshold is Otsu's on the logarithm of the intensity, which separates the noise of
    air from tissue; on the plain intensity it would separate muscle from fat. Padding
    (:func:`padding_mask`) is neither: it is left out before, so that the foreground is that of
    the same MR without it. Where no air is left, as in an MR that was masked to its body or cut
    out of it, Otsu would split the tissues: there all but the darkest is foreground.

    Args:
        given: mask (not 0) on any grid that is the foreground instead.

    Raises:
        SyntheticCTError: nothing, or a single value, lies above the threshold; the given mask
            holds no voxel of the MR.
    """
    values = sitk.GetArrayFromImage(mr).astype(np.float32)
    mask = _above_air(values) if given is None else _placed(given, mr)
    inside = values[mask]
    if inside.size == 0 or inside.min() == inside.max():
        raise SyntheticCTError(
            "The MR has no foreground to normalize (air and tissue cannot be told apart): "
            "check that it is the right volume."
        )
    return mask


def _above_air(values: np.ndarray) -> np.ndarray:
    """Voxels above Otsu's threshold on the logarithm; all but the darkest where no air is left."""
    padding = padding_mask(values)
    measured = values[~padding]
    low, high = usual_range(measured)
    measured = measured[(measured >= low) & (measured <= high)]
    scale = max(float(measured.mean()) - low, 1e-12) / 100
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.GetImageFromArray(np.log1p((measured[None] - low) / scale)))
    mask = np.log1p(np.maximum(values - low, 0) / scale) > otsu.GetThreshold()
    mask &= ~padding
    if _air_is_left(values - low, mask, padding):
        single = mask.any() and np.ptp(values[mask]) == 0
        return ~padding if single and padding.any() else mask
    return (values - low > DARKEST_TISSUE * (np.median(measured) - low)) & ~padding


def _placed(given: sitk.Image, mr: sitk.Image) -> np.ndarray:
    mask = mask_on(given, mr)
    if not mask.any():
        raise SyntheticCTError(
            "The foreground holds no voxel of the MR: give a mask of this MR's patient."
        )
    return mask


def _air_is_left(signal: np.ndarray, above: np.ndarray, padding: np.ndarray) -> bool:
    """Whether what lies below a threshold is air.

    Air is far darker than what lies above. Where noise makes it less dark, it is most of the
    border of what was measured, and as bright there as elsewhere; at the border of a masked or
    cut out patient lies a mixture of tissues.
    """
    below = ~above & ~padding
    if not above.any() or not below.any():
        return True
    dark = float(np.median(signal[below]))
    contrast = float(np.median(signal[above])) / max(dark, 1e-12)
    if contrast >= CERTAIN_CONTRAST:
        return True
    border = widened(padding)
    border[:, [0, -1]] = border[:, :, [0, -1]] = True
    border &= ~padding
    dark_border = signal[border & below]
    if dark_border.size < 0.6 * np.count_nonzero(border):
        return False
    return contrast >= LIKELY_CONTRAST or float(np.median(dark_border)) > 0.5 * dark
