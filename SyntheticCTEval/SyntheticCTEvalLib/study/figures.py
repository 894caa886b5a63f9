"""The paper's Figures 1, 2 and 6 of a cohort: anatomy, dose and gamma, MR against candidates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from SyntheticCTEvalLib.cohort.records import CohortPictures
from SyntheticCTEvalLib.evaluation.quantities import HIGHER, describe, printed
from SyntheticCTEvalLib.group.values import CohortValues, Key
from SyntheticCTEvalLib.pictures.maps import DIFFERENCE_HU, FAILS_COLOUR
from SyntheticCTEvalLib.pictures.planes import (
    MISSING_COLOUR,
    Picture,
    colour_scale,
    mr_scale,
    short,
)

from .panels import AXIAL, CORONAL, Panels, size_of

WINDOW = (-750, 750)
"""HU, of the paper's Figure 1."""

PATIENTS_A_PAGE = 10
"""Of Figure 2: as many as the paper shows."""

UNRANKED = "shown as an example"

_SHORT = 10  # letters of a name that share a line with more

LEAST_DOSE = 0.1
"""Of the largest dose; below it, Figure 2 shows the anatomy alone."""

Pictures = Mapping[str, CohortPictures]
"""By patient."""


def figure1(
    values: CohortValues, pictures: Pictures, registered: Mapping[str, bool]
) -> Picture | None:
    """Return true CT and candidates before and after registration (paper, Figure 1).

    Args:
        registered: by patient, whether its candidates were registered; else they are shown as
            they came only.
    """
    shown = _examples(values, ("mae_body", ""), {n for n, p in pictures.items() if p.axial_after})
    if len(values.candidates) > 2:
        shown = dict(list(shown.items())[:1])
    if not shown:
        return None
    sizes, names, spaces, headings = [], [], [], []
    for patient, why in shown.items():
        found = pictures[patient]
        size = size_of(found.axial_ct, found.step_mm)
        headings.append((len(names), f"{short(patient, 60)}, {why}"))
        sizes.append([size if found.axial_mr is not None else None, size, None])
        names.append("MR, true CT" if found.axial_mr is not None else "True CT")
        spaces.append(0.62 if headings[1:] else 0.4)
        for name in _own(values, found.axial_after):
            before = registered[patient] and name in found.axial_before
            sizes.append([size if before else None, size, size])
            names.append(name)
            spaces.append(0.0)
    panels = Panels(sizes, AXIAL, names, spaces=spaces)
    grey = colour_scale("gray", *WINDOW)
    change = colour_scale("RdBu_r", -DIFFERENCE_HU, DIFFERENCE_HU)
    row = 0
    for (first, heading), patient in zip(headings, shown, strict=True):
        found = pictures[patient]
        panels.heading(first, heading)
        if found.axial_mr is not None:
            panels.paint(
                first, 0, found.axial_mr, mr_scale([found.axial_mr]), ground=MISSING_COLOUR
            )
            panels.label(first, 0, "MR, unregistered")
        panels.paint(first, 1, found.axial_ct, grey, ground=MISSING_COLOUR)
        panels.label(first, 1, "True CT")
        for row, name in enumerate(_own(values, found.axial_after), start=first + 1):
            after = found.axial_after[name]
            if registered[patient] and name in found.axial_before:
                panels.paint(row, 0, found.axial_before[name], grey, ground=MISSING_COLOUR)
                panels.label(row, 0, _label(name, "unregistered"))
            panels.paint(row, 1, after, grey, ground=MISSING_COLOUR)
            state = "registered" if registered[patient] else "as it came"
            panels.label(row, 1, _label(name, state))
            panels.paint(row, 2, after - found.axial_ct, change, ground=MISSING_COLOUR)
            error = _printed(values, patient, name, ("mae_body", ""))
            called = name if len(name) <= _SHORT else "Candidate"  # its row has the whole name
            panels.label(row, 2, f"{called} minus CT\nMAE (body) {error} HU")
    panels.bars(
        [(grey, "CT number in HU", "both"), (change, "Candidate minus true CT\nin HU", "both")]
    )
    places, when = _registered_words([name for name in shown if registered[name]], list(shown))
    return Picture(
        "Figure 1. True CT and candidates",
        f"Axial slices of {_who(shown, 'MAE in the body')}. CT numbers from {WINDOW[0]} to "
        f"{WINDOW[1]} HU. {places}: difference, red where the candidate is denser, blue where it "
        "is less dense. Grey: nothing to show. Seen from the feet.",
        f"Axial slices of true CT and {', '.join(values.candidates)} {when}, with difference maps.",
        panels.png(),
    )


def _label(name: str, state: str) -> str:
    """Return what stands in a panel: two lines where a name is long."""
    return f"{short(name, 20)}{', ' if len(name) <= _SHORT else chr(10)}{state}"


def _registered_words(moved: list[str], shown: list[str]) -> tuple[str, str]:
    """Return what Figure 1 shows where, and when, if those ``moved`` are registered."""
    came = "iddle: as they came and as evaluated, not registered onto the true CT"
    both = (
        "eft: before registration onto the true CT, on the same plane; middle: registered, as "
        "evaluated (how, is in the definitions)"
    )
    if not moved:
        return f"M{came}; right", "as they came"
    others = [name for name in shown if name not in moved]
    if not others:
        return f"L{both}; right", "before and after registration"
    who, whose = ", ".join(moved), ", ".join(others)
    return (
        f"The patients were not treated alike. {who}, l{both}. {whose}, m{came}. Right",
        f"before and after registration ({who}), as they came ({whose})",
    )


def figure2(values: CohortValues, pictures: Pictures, gpr: Mapping) -> Iterator[Picture]:
    """Yield pages of coronal doses and gamma maps (paper, Figure 2), ten patients each.

    Args:
        gpr: pass rates in percent by patient, candidate and cutoff (metrics.json).
    """
    patients = [n for n, p in pictures.items() if p.coronal_dose is not None and p.coronal_gamma]
    names = [n for n in values.candidates if any(n in pictures[p].coronal_gamma for p in patients)]
    highest = max((np.nanmax(pictures[p].coronal_dose) for p in patients), default=0.0)
    pages = math.ceil(len(patients) / PATIENTS_A_PAGE)
    for page in range(pages):
        shown = patients[page * PATIENTS_A_PAGE : (page + 1) * PATIENTS_A_PAGE]
        yield _dose_page(values, {n: pictures[n] for n in shown}, names, gpr, float(highest),
                         f" (page {page + 1} of {pages})" if pages > 1 else "")  # fmt: skip


def figure6(values: CohortValues, pictures: Pictures) -> Picture | None:
    """Return MR and candidates before any registration (paper, Figure 6)."""
    there = {n for n, p in pictures.items() if p.mr_axial is not None and p.mr_candidates}
    shown = _examples(values, ("ssim_mr", ""), there)
    if not shown:
        return None
    names = [n for n in values.candidates if any(n in pictures[p].mr_candidates for p in shown)]
    sizes = []
    for patient in shown:
        found = pictures[patient]
        size = size_of(found.mr_axial, found.step_mm)
        sizes.append([size, *(size if n in found.mr_candidates else None for n in names)])
    panels = Panels(sizes, AXIAL, list(shown), ["MR, as acquired", *names], [0.16] * len(sizes))
    grey = colour_scale("gray", *WINDOW)
    for row, patient in enumerate(shown):
        found = pictures[patient]
        panels.paint(row, 0, found.mr_axial, mr_scale([found.mr_axial]), ground=MISSING_COLOUR)
        for column, name in enumerate(names, start=1):
            if name not in found.mr_candidates:
                continue
            panels.paint(row, column, found.mr_candidates[name], grey, ground=MISSING_COLOUR)
            texts = [
                f"{word} {_printed(values, patient, name, (key, ''))}"
                for word, key in (("SSIM", "ssim_mr"), ("DSC", "dsc_body_mr"))
            ]
            panels.caption(row, column, "   ".join(texts))
    panels.bars([(grey, "CT number in HU", "both")])
    return Picture(
        "Figure 6. MR and candidates before any registration",
        f"Axial slices on the MR's own plane of {_who(shown, 'SSIM against the MR')}. "
        f"Candidates from {WINDOW[0]} to {WINDOW[1]} HU. SSIM and DSC of the body "
        "contours are of the whole volume against the MR, as in Table 3. Seen from the feet.",
        f"Axial slices of the MR and of {', '.join(names)} before registration.",
        panels.png(),
    )


def _dose_page(
    values: CohortValues,
    pictures: Pictures,
    names: list[str],
    gpr: Mapping,
    highest: float,
    page: str,
) -> Picture:
    sizes = []
    for found in pictures.values():
        size = size_of(found.coronal_dose, found.step_mm)
        sizes.append([size, *(size if n in found.coronal_gamma else None for n in names)])
    titles = ["Dose on the true CT", *(f"Gamma, {name}" for name in names)]
    panels = Panels(sizes, CORONAL, list(pictures), titles, [0.16] * len(sizes))
    grey, dose = colour_scale("gray", *WINDOW), colour_scale("inferno", 0, highest)
    gamma = colour_scale("viridis", 0, 1, over=FAILS_COLOUR)
    for row, (patient, found) in enumerate(pictures.items()):
        anatomy = found.coronal_ct
        if anatomy is None:
            anatomy = np.full_like(found.coronal_dose, np.nan)
        panels.paint(row, 0, anatomy, grey, ground=MISSING_COLOUR)
        shown = np.where(found.coronal_dose >= LEAST_DOSE * highest, found.coronal_dose, np.nan)
        panels.paint(row, 0, shown, dose, alpha=0.6)
        for column, name in enumerate(names, start=1):
            if name not in found.coronal_gamma:
                continue
            panels.paint(row, column, anatomy, grey, ground=MISSING_COLOUR)
            panels.paint(row, column, found.coronal_gamma[name], gamma, alpha=0.8)
            rates = gpr.get(patient, {}).get(name, {})
            text = "   ".join(
                f"{printed(rate, 2)} % (> {cutoff} %)" for cutoff, rate in rates.items()
            )
            panels.caption(row, column, text)
    bars = panels.bars([(dose, "Dose in Gy", "neither"), (gamma, "Gamma", "max")])
    bars[1].ax.set_title("> 1\nfails", fontsize=9, pad=4)
    return Picture(
        f"Figure 2. Dose and gamma{page}",
        "Coronal planes through the middle of the target, else of the body, over the true CT, seen "
        f"from the front. Left: dose on the true CT, shown above {100 * LEAST_DOSE:g} % of "
        f"{highest:.1f} Gy. Then gamma of the dose on each candidate, from 0 to 1; voxels that "
        "fail (gamma above 1) are magenta, and where gamma was not evaluated the anatomy shows "
        "alone. Above each map its pass rates, in percent of the voxels above a dose cutoff, over "
        "the whole volume as in Table 2.",
        f"Coronal dose on the true CT and gamma maps of {', '.join(names)} for "
        f"{', '.join(pictures)}.",
        panels.png(),
    )


def _examples(values: CohortValues, key: Key, patients: set[str]) -> dict[str, str]:
    """Return the patient in the middle and the worst one by ``key``, with these words.

    Ranked by the mean over the candidates; the first patient where no one has the figure.
    """
    order = [name for name in values.patients if name in patients]
    found = np.array([values.of(name, key) for name in values.candidates])
    means = {
        name: found[np.isfinite(found[:, row]), row].mean()
        for row, name in enumerate(values.patients)
        if name in patients and np.isfinite(found[:, row]).any()
    }
    if not means:
        return dict.fromkeys(order[:1], UNRANKED)
    sign = -1 if describe(key).better == HIGHER else 1
    ranked = sorted(means, key=lambda name: sign * means[name])
    if len(ranked) == 1:
        return {ranked[0]: "the only patient"}
    return {ranked[(len(ranked) - 1) // 2]: "in the middle", ranked[-1]: "the worst"}


def _who(shown: Mapping[str, str], criterion: str) -> str:
    """Name the patients that are shown, and by what they were chosen."""
    if UNRANKED in shown.values():
        return " and ".join(shown)
    who = " and ".join(f"{patient} ({why})" for patient, why in shown.items())
    return f"{who}, chosen by {criterion}, mean over the candidates"


def _printed(values: CohortValues, patient: str, candidate: str, key: Key) -> str:
    value = values.of(candidate, key)[values.patients.index(patient)]
    return printed(float(value), describe(key).digits)


def _own(values: CohortValues, slices: Mapping[str, np.ndarray]) -> list[str]:
    return [name for name in values.candidates if name in slices]
