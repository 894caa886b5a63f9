"""Whether the numbers of a CT are Hounsfield units: told by where air, fat and soft tissue lie."""

from __future__ import annotations

import math

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress

PADDING_BELOW_HU = -1100
"""One value below this in many voxels is no measurement: -2000 or -3024 beyond the scanner's
field of view, or what a mask left out."""

USUAL_PADDING_HU = (-2000, -2048, -3000, -3024, -4096, -8192, -9999, -10000, -32768)
"""Values that scanners and programs fill with; of another one it is doubted, as scaled air may be
one value too, in bulk densities and where everything around a patient was set to one."""

AIR_HU = (-1150, -650)
"""Where the commonest value of air (or lung) must lie; -1000 in a calibrated scanner."""

AIR_AROUND_HU, FAT_HU, SOFT_TISSUE_HU = (-1060, -930), (-150, -60), (-10, 110)
"""Where the commonest values of the air around a patient, of fat and of soft tissue are expected;
a CT of which they lie elsewhere is doubted."""

_TISSUE_HU = -300  # half-way in a voxel of air and fat: what lies above is tissue
_AROUND_TISSUE_HU = (-250, 250)
_SAMPLES = 4_000_000
_HELP = (
    "give it in HU (a rescale slope or an offset of -1024 that was lost, a window, or an MR given "
    "as a CT are the usual causes)"
)


def require_hu(ct: sitk.Image, what: str, progress: Progress = SILENT) -> None:
    """Refuse a CT whose air, fat and soft tissue do not lie where HU put them.

    Air is -1000 HU, fat about -100, water 0 and soft tissue about 40. Backgrounds of one value
    below -1100 (-2000, -3024) count as air; a volume without any air is doubted, not refused.

    Args:
        ct: 3D CT (any orientation).
        what: what sentences call it ("true CT").
        progress: receives the doubts.

    Raises:
        SyntheticCTError: the numbers are no HU.
    """
    values = _sample(sitk.GetArrayViewFromImage(ct))
    sides = np.concatenate([values[:, [0, -1]].ravel(), values[:, :, [0, -1]].ravel()])
    measured = _without_padding(values.ravel())
    for found in (
        _wrong_around(sides),
        _wrong_air(measured),
        _wrong_tissue(measured, padded=measured.size < values.size),
    ):
        if found:
            raise SyntheticCTError(f"The {what} is not in HU: {found}; {_HELP}.")
    padding = np.unique(values[values < measured.min()])
    doubts = _doubts(measured, sides, padded=measured.size < values.size)
    for doubt in [*_odd_padding(padding, measured), *doubts]:
        progress.warn(f"The {what} may not be in HU: {doubt}.")


def _sample(array: np.ndarray) -> np.ndarray:
    """Every n-th voxel of each axis, as many as are needed (float32)."""
    step = max(1, math.ceil((array.size / _SAMPLES) ** (1 / 3)))
    return array[::step, ::step, ::step].astype(np.float32)


def _without_padding(values: np.ndarray) -> np.ndarray:
    # A scanner and a later program may have filled with a value each.
    for _ in range(3):
        least = values.min() if values.size else 0
        padding = values == least
        if least >= PADDING_BELOW_HU or np.count_nonzero(padding) < 0.002 * values.size:
            break
        values = values[~padding]
    return values


def _wrong_around(sides: np.ndarray) -> str:
    """What the slices' sides show where it is one thing, and neither air nor padding."""
    low, middle, high = np.percentile(sides, (10, 50, 90))
    if middle <= AIR_HU[1] or high - low > 100:
        return ""
    return f"around the patient it holds {_told(middle)}, and air is -1000 HU"


def _wrong_air(measured: np.ndarray) -> str:
    if _share(measured, -np.inf, AIR_HU[0]) > 0.05:
        deep = _commonest(measured[measured < AIR_HU[0]])
        return f"its air lies at {_told(deep)}, and air is -1000 HU"
    dark = measured[measured < _TISSUE_HU]
    if dark.size < 0.05 * measured.size:
        return ""
    air = _commonest(dark)
    # Gas, foam and the edges of things spread; the air around a patient does not.
    if air <= AIR_HU[1] or np.mean(np.abs(dark - air) <= 100) < 0.5:
        return ""
    return f"its air lies at {_told(air)}, and air is -1000 HU"


def _wrong_tissue(measured: np.ndarray, padded: bool) -> str:
    if not measured.size:
        return "it holds nothing but one value"
    tissue = measured[measured > _TISSUE_HU]
    if tissue.size < 0.001 * measured.size:
        return f"its largest value is {_told(measured.max())}, and tissues lie about 0 HU"
    around = _share(tissue, *_AROUND_TISSUE_HU)
    if around < 0.5:
        return (
            f"of what is not air, {100 * (1 - around):.0f} % lies beyond "
            f"{_AROUND_TISSUE_HU[0]} to {_AROUND_TISSUE_HU[1]} HU, where fat and soft tissue are"
        )
    if not padded and not _holds_air(measured) and _share(tissue, -200, -30) < 0.01:
        return (
            f"its values, {_told(measured.min())} to {_told(measured.max())}, hold neither air "
            "(-1000 HU) nor fat (about -100 HU)"
        )
    return ""


def _doubts(measured: np.ndarray, sides: np.ndarray, padded: bool) -> list[str]:
    doubts = []
    around = _without_padding(sides)
    air = around[around < _TISSUE_HU]
    if air.size > 0.3 * sides.size:
        doubts += _unusual("the air around the patient", _commonest(air), AIR_AROUND_HU)
    if not padded and not _holds_air(measured):
        doubts.append(
            "it holds no air (-1000 HU), so that its body contour is the whole image: check that "
            "it was cropped inside the patient"
        )
    tissue = measured[measured > _TISSUE_HU]
    if _share(tissue, -200, -30) < 0.02:
        doubts.append("it holds no fat (about -100 HU): check rescale slope and intercept")
    for name, (low, high), usual in (
        ("fat", (-250, -20), FAT_HU),
        ("soft tissue", (-20, 250), SOFT_TISSUE_HU),
    ):
        part = tissue[(tissue >= low) & (tissue < high)]
        if part.size < 0.1 * tissue.size:
            continue
        peak = _commonest(part)
        # At the end of the range it is the flank of something else.
        if low + 20 <= peak < high - 20:
            doubts += _unusual(name, peak, usual)
    return doubts


def _odd_padding(padding: np.ndarray, measured: np.ndarray) -> list[str]:
    nearest = -1500 if _holds_air(measured) else -np.inf
    odd = [value for value in padding if value > nearest and value not in USUAL_PADDING_HU]
    return [
        f"in many voxels it holds one value, {_told(value)}, which is neither air (-1000 HU) nor a "
        "usual filling (-2000, -3024): check rescale slope and intercept"
        for value in odd
    ]


def _unusual(what: str, value: float, usual: tuple[int, int]) -> list[str]:
    if usual[0] <= value <= usual[1]:
        return []
    return [
        f"{what} lies at {_told(value)}, and {usual[0]} to {usual[1]} HU are usual: check "
        "rescale slope and intercept"
    ]


def _holds_air(measured: np.ndarray) -> bool:
    return np.count_nonzero(measured < AIR_HU[1]) >= 0.001 * measured.size


def _share(values: np.ndarray, low: float, high: float) -> float:
    return float(np.mean((values >= low) & (values <= high))) if values.size else 0.0


def _commonest(values: np.ndarray) -> float:
    """The commonest value: the median of the fullest bin of 20 HU and its neighbours."""
    bins = np.floor(np.clip(values, -20_000, 20_000) / 20).astype(np.int64)
    first = bins.min()
    fullest = first + int(np.bincount(bins - first).argmax())
    return float(np.median(values[np.abs(bins - fullest) <= 1]))


def _told(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.3g}"
