"""Coverage of targets and doses of organs, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.body.labels import MUCH_OUTSIDE_PERCENT, left_outside, part_in_body

from SyntheticCTEvalLib.structures.dvh import Dvh, dose_volume_histogram

from .objectives import Objective, of_structure
from .request import highest_first

ENOUGH_PERCENT, HOTTEST_PERCENT = 95.0, 110.0
_OUTSIDE = ("outside_body_percent", "outside_body_cm3")
PLAN_DEFINITIONS = {
    "targets": (
        "Highest level first, of a target's part in the body and of the whole course: D95 (dose "
        "that 95 % of it get at least), D98, D50, D2 and Dmean in Gy, V95% the percent of it that "
        f"get 95 % of its level; covered where D95 is at least {ENOUGH_PERCENT:g} % of the level. "
        "outside_body_percent and outside_body_cm3: what of the target lies outside the body, "
        "where there is no dose."
    ),
    "organs": (
        "D2 and Dmean in Gy, and the points that objectives limit, with the limit and whether it "
        "is met. Objectives weigh against the targets: one that is not met is no fault by itself."
    ),
    "Dmax_percent": (
        "The largest dose of any voxel of the dose grid in the body, in percent of the highest "
        f"level; should be under {HOTTEST_PERCENT:g}."
    ),
}


def table_of(
    dose: sitk.Image,
    body: sitk.Image,
    structures: Mapping[str, sitk.Image],
    levels: Mapping[str, float],
    objectives: tuple[Objective, ...],
) -> dict[str, Any]:
    """Return the figures of a plan (see PLAN_DEFINITIONS).

    Args:
        dose: of the whole course in Gy.
        body: mask of the body, any grid (a couch as in dose.recalculation.recalculate_dose).
        structures: masks by name, any grid; those that are empty are left out.
        levels: Gy by name of the target.
    """
    highest = max(levels.values())
    targets: dict[str, Any] = {}
    organs: dict[str, Any] = {}
    for name, level in highest_first(levels.items()):
        inside = part_in_body(structures[name], body)
        dvh = _histogram(dose, inside)
        if dvh is None:
            continue
        values = dvh.figures(level)
        own = {"level_gy": level}
        own |= {key: values[key] for key in ("D95", "D98", "D50", "D2", "Dmean", "V95%")}
        own["covered"] = values["D95"] >= ENOUGH_PERCENT / 100 * level
        outside = dict(zip(_OUTSIDE, left_outside(structures[name], inside), strict=True))
        targets[name] = own | outside
    for name, mask in structures.items():
        dvh = None if name in levels else _histogram(dose, mask)
        if dvh is None:
            continue
        own = {"D2": dvh.dose_at(2), "Dmean": dvh.mean_gy, "objectives": []}
        for objective in of_structure(objectives, name):
            value = objective.point.value(dvh, highest)
            own["objectives"].append(
                {"objective": objective.told, "value": value, "met": value <= objective.most}
            )
        organs[name] = own
    largest = float(sitk.GetArrayViewFromImage(dose).max())
    return {
        "targets": targets,
        "organs": organs,
        "Dmax_gy": largest,
        "Dmax_percent": 100 * largest / highest,
        "definitions": dict(PLAN_DEFINITIONS),
    }


def _histogram(dose: sitk.Image, mask: sitk.Image) -> Dvh | None:
    """None of a structure that is empty or lies outside the dose's grid."""
    try:
        dvh = dose_volume_histogram(dose, mask)
    except SyntheticCTError:
        return None
    return None if math.isnan(dvh.mean_gy) else dvh


def doubts_of(table: Mapping[str, Any]) -> list[str]:
    """Return sentences on targets that are not covered or reach out of the body, and on a dose that
    is too high."""
    notes = [
        f"The target {name} is not covered: D95 is {own['D95']:.1f} Gy, less than "
        f"{ENOUGH_PERCENT:g} % of {own['level_gy']:g} Gy."
        for name, own in table["targets"].items()
        if not own["covered"]
    ]
    notes += [
        f"{own['outside_body_percent']:.0f} % of the target {name} ({own['outside_body_cm3']:.1f} "
        "cm3) lies outside the body and is not counted in its coverage: check the structure, or "
        "crop it to the body."
        for name, own in table["targets"].items()
        if own["outside_body_percent"] >= MUCH_OUTSIDE_PERCENT
    ]
    if table["Dmax_percent"] >= HOTTEST_PERCENT:
        notes.append(
            f"The largest dose is {table['Dmax_gy']:.1f} Gy, {table['Dmax_percent']:.0f} % of the "
            f"highest level, and should be under {HOTTEST_PERCENT:g} %."
        )
    return notes


def told_table(table: Mapping[str, Any]) -> str:
    """Return the table as lines of text."""
    lines = ["Targets                 level    D95    D98    D50     D2   V95%"]
    for name, own in table["targets"].items():
        figures = " ".join(f"{own[key]:6.1f}" for key in ("D95", "D98", "D50", "D2", "V95%"))
        lines.append(f"{name[:22]:22} {own['level_gy']:6.1f} {figures}")
    lines.append("Organs                     D2  Dmean  objectives")
    for name, own in table["organs"].items():
        told = "; ".join(
            f"{one['objective']}: {one['value']:.1f}{'' if one['met'] else ' (not met)'}"
            for one in own["objectives"]
        )
        lines.append(f"{name[:22]:22} {own['D2']:6.1f} {own['Dmean']:6.1f}  {told}".rstrip())
    lines.append(f"Largest dose {table['Dmax_gy']:.1f} Gy ({table['Dmax_percent']:.0f} %)")
    return "\n".join(lines)
