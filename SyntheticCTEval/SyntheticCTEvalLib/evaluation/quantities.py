"""The quantities of metrics.json in words: name, unit, digits, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from SyntheticCTEvalLib.gamma.criteria import spaced
from SyntheticCTEvalLib.image.similarity import TISSUES
from SyntheticCTEvalLib.montecarlo.pass_rate_noise import RATES, noise_keys
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE, DIFFERENCE_GY
from SyntheticCTEvalLib.structures.dvh_points import told_point

MINUS = "\N{MINUS SIGN}"
LOWER, HIGHER, ZERO = "lower is better", "higher is better", "nearer to 0 is better"


@dataclass(frozen=True)
class Quantity:
    """How a quantity is told: label, unit, digits printed, and LOWER, HIGHER, ZERO or ""."""

    label: str
    unit: str = ""
    digits: int = 3
    better: str = ""


QUANTITIES: dict[str, Quantity] = {
    "mae_body": Quantity("MAE in the body", "HU", 1, LOWER),
    "mae_image": Quantity("MAE of the whole image", "HU", 1, LOWER),
    "me_body": Quantity("Mean error in the body", "HU", 1, ZERO),
    "me_image": Quantity("Mean error of the whole image", "HU", 1, ZERO),
    "rmse_body": Quantity("RMSE in the body", "HU", 1, LOWER),
    "rmse_image": Quantity("RMSE of the whole image", "HU", 1, LOWER),
    "psnr_body": Quantity("PSNR in the body", "dB", 2, HIGHER),
    "psnr_image": Quantity("PSNR of the whole image", "dB", 2, HIGHER),
    "ssim": Quantity("SSIM of the whole image", "", 4, HIGHER),
    "ssim_body": Quantity("SSIM in the body", "", 4, HIGHER),
    "ssim_3d": Quantity("SSIM in 3D of the whole image", "", 4, HIGHER),
    "ssim_3d_body": Quantity("SSIM in 3D in the body", "", 4, HIGHER),
    "ms_ssim": Quantity("MS-SSIM of the whole image", "", 4, HIGHER),
    "ms_ssim_body": Quantity("MS-SSIM in the body", "", 4, HIGHER),
    "dsc_body": Quantity("Dice of the body contour", "", 4, HIGHER),
    "hd95_body": Quantity("95 % Hausdorff distance of the body contour", "mm", 1, LOWER),
    "dsc_bone": Quantity("Dice of the bones", "", 4, HIGHER),
    "msd_bone": Quantity("Mean surface distance of the bones", "mm", 2, LOWER),
    "hd95_bone": Quantity("95 % Hausdorff distance of the bones", "mm", 1, LOWER),
    "tissue_mae": Quantity("MAE in", "HU", 1, LOWER),
    "gpr": Quantity("Gamma pass rate", "%", 2, HIGHER),
    "gpr_noise": Quantity("Noise of the gamma pass rate", "% points", 2, LOWER),
    "gpr_bias": Quantity("Bias of the gamma pass rate by noise", "% points", 2, ZERO),
    "gpr_criteria": Quantity("Gamma pass rate, each criterion", "%", 2, HIGHER),
    "gpr_criteria_noise": Quantity(
        "Noise of the gamma pass rate, each criterion", "% points", 2, LOWER
    ),
    "gpr_criteria_bias": Quantity(
        "Bias of the gamma pass rate by noise, each criterion", "% points", 2, ZERO
    ),
    "gpr_structures": Quantity("Gamma pass rate, each structure", "%", 2, HIGHER),
    "gpr_structures_noise": Quantity(
        "Noise of the gamma pass rate, each structure", "% points", 2, LOWER
    ),
    "gpr_structures_bias": Quantity(
        "Bias of the gamma pass rate by noise, each structure", "% points", 2, ZERO
    ),
    "ssim_mr": Quantity("SSIM against the MR, unregistered", "", 4, HIGHER),
    "dsc_body_mr": Quantity("Dice of the body contour against the MR, unregistered", "", 4, HIGHER),
    "background_hu": Quantity("Around the patient, where air is -1000", "HU", 0),
    "coverage_body_percent": Quantity("Part of the body that was compared", "%", 1),
    "mae_body_rigid": Quantity("MAE in the body, registered rigidly alone", "HU", 1, LOWER),
    "dsc_body_rigid": Quantity(
        "Dice of the body contour of the result, registered rigidly alone", "", 4, HIGHER
    ),
    "displacement_mean_mm": Quantity("Mean displacement by bending, in the body", "mm", 1),
    "displacement_max_mm": Quantity("Largest displacement by bending, in the body", "mm", 1),
    "jacobian_min": Quantity("Least Jacobian determinant in the body", "", 2),
    "jacobian_max": Quantity("Largest Jacobian determinant in the body", "", 2),
    "folding_percent": Quantity("Folded part of the body", "%", 2, LOWER),
    "registration_dsc": Quantity("Check of the registration: overlap of rough outlines", "", 3),
    "registration_overlap_percent": Quantity(
        "Check of the registration: body in the shared field of view", "%", 0
    ),
}
"""By key of metrics.json, in the order in which reports print them."""

_TISSUE_NAMES = {
    "air": "gas",
    "fat": "fat",
    "soft": "soft tissue",
    "spongy": "spongy bone",
    "compact": "compact bone",
}


OF_NOISE = {
    key: named
    for rates in RATES
    for key, named in zip(noise_keys(rates), noise_keys("gpr"), strict=True)
}
"""Keys of what noise does to pass rates, and the one of :data:`QUANTITIES` that names it."""
OF_STRUCTURES = ("dvh", *noise_keys("gpr_structures"), "gpr_structures")
"""Keys whose second part is a structure."""


def describe(key: tuple[str, ...]) -> Quantity:
    """Return how the quantity at ``key`` is told.

    Args:
        key: path into a candidate's entry of metrics.json: ("mae_body", ""), ("gpr", "10"),
            ("gpr_criteria", "2%/2mm", "10"), ("gpr_structures", "bladder", "2%/2mm") or
            ("dvh", "bladder", "D95_difference"); the second part is "" where there is none.
    """
    name, part, *rest = (*key, "") if len(key) < 2 else key
    if name == "dvh" and rest:
        return _describe_dvh(part, rest[0])
    if name == "common":
        inner = describe((part, *(rest or [""])))
        return replace(inner, label=f"{inner.label}, where all candidates cover")
    found = QUANTITIES.get(name, Quantity(name.replace("_", " ")))
    label = found.label
    if name == "tissue_mae":
        label = f"{label} {_TISSUE_NAMES.get(part, part)}"
    elif name in ("gpr", "gpr_noise", "gpr_bias"):
        label = f"{label}, dose above {part} %"
    elif name.startswith("gpr_criteria") and rest:
        label = f"{_rate(name)} {spaced(part)}, dose above {rest[0]} %"
    elif name.startswith("gpr_structures") and rest:
        label = f"{_rate(name)} {spaced(rest[0])} in {part}"
    elif part:
        label = f"{label}, {part}"
    return Quantity(label, found.unit, found.digits, found.better)


def _rate(name: str) -> str:
    """What a pass rate, its noise or its bias is called."""
    return QUANTITIES[OF_NOISE.get(name, "gpr")].label


def quantities_of(entries: Iterable[dict[str, Any]]) -> dict[tuple[str, ...], Quantity]:
    """Return the numbers of candidates' entries in the order in which they are printed.

    Gamma pass rates carry the name of their criterion, and stand here once. Those of structures
    are left out: they have tables of their own.
    """
    entries = list(entries)
    numbers = [flat(entry) for entry in entries]
    first = next((next(iter(e["gpr_criteria"])) for e in entries if e.get("gpr_criteria")), "")
    found: dict[tuple[str, ...], Quantity] = {}
    for key in sorted(dict.fromkeys(key for own in numbers for key in own), key=position):
        again = key[0].startswith("gpr_criteria") and key[1] == first
        again = again or any(part.startswith("gpr_criteria") for part in key[1:])
        if key[0] in OF_STRUCTURES or again or not any(is_number(own.get(key)) for own in numbers):
            continue
        named = ("gpr_criteria", first, *key[1:])
        found[key] = describe(named if key[0] == "gpr" and first else key)
    return found


def position(key: tuple[str, ...]) -> tuple[int, int]:
    """Return where the quantity at ``key`` is printed, as a sort key."""
    names, tissues = list(QUANTITIES), list(TISSUES)
    name, part = key[:2]
    within = tissues.index(part) if part in tissues else 0
    return names.index(name) if name in names else len(names), within


def flat(metrics: dict[str, Any]) -> dict[tuple[str, ...], Any]:
    """Return metrics by path, as :func:`describe` takes it; lists stay whole.

    The second part is "" but for quantities that hold several values.
    """
    values: dict[tuple[str, ...], Any] = {}
    for key, value in metrics.items():
        if isinstance(value, dict):
            for path, inner in flat(value).items():
                values[(key, *(part for part in path if part))] = inner
        else:
            values[key, ""] = value
    return values


def noise_of(metrics: Mapping[str, Any], path: Sequence[str]) -> tuple[float, float] | None:
    """Return noise and bias of the pass rate at ``path`` of a candidate's entry of metrics.json;
    None where its dose has no noise."""
    found = []
    for key in noise_keys(path[0]):
        value: Any = metrics
        for part in (key, *path[1:]):
            value = value.get(part) if isinstance(value, Mapping) else None
        found.append(value)
    return tuple(found) if all(map(is_finite, found)) else None


def finite(value: Any) -> Any:
    """Return ``value`` with None for NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def is_number(value: Any) -> bool:
    """Tell whether ``value`` is a number, NaN and infinity as well (true and false are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """Tell whether ``value`` is a finite number."""
    return is_number(value) and math.isfinite(value)


def printed(value: Any, digits: int) -> str:
    """Return ``value`` as tables print it, "n/a" where it does not exist."""
    if isinstance(value, float) and value == math.inf:
        return "∞"
    if not is_finite(value):
        return "n/a"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def signed(value: Any, digits: int = 2) -> str:
    """Return a difference as tables print it: with its sign, but for 0; "n/a" without one."""
    if not is_finite(value):
        return "n/a"
    text = f"{value:+.{digits}f}"
    text = text[1:] if float(text) == 0 else text
    return text.replace("-", MINUS)


def _describe_dvh(structure: str, figure: str) -> Quantity:
    name = figure.removesuffix(DIFFERENCE_GY).removesuffix(DIFFERENCE)
    told = told_point(name)
    label = f"{structure}, {told}"
    unit = "%" if name.startswith(("V", "outside")) else "Gy"
    unit = "cm³" if name.endswith("_cm3") else unit
    if figure == name:
        return Quantity(label, unit, 2)
    if figure.endswith(DIFFERENCE):
        unit = {"%": "% points", "Gy": "% of prescription"}.get(unit, unit)
    comma = "" if told == name else ","  # or the difference would seem to be the prescription's
    return Quantity(f"{label}{comma} difference", unit, 2, ZERO)
