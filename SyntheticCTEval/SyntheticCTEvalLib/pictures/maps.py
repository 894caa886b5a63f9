"""The report's pictures in three planes: anatomy, differences, dose, gamma."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE

from SyntheticCTEvalLib.evaluation.results import CandidateResult, Evaluation

from .normalisation import reference_dose
from .planes import (
    MISSING_COLOUR,
    Board,
    Picture,
    Plane,
    colour_scale,
    target_of,
)

CT_WINDOW = (-400, 600)
DIFFERENCE_HU = 300
DOSE_DIFFERENCE_PERCENT = 3
ISODOSE_PERCENT = (10, 30, 60, 80, 95)
FAILS_COLOUR = "#E6007E"
TARGET_COLOUR = "#F0E442"
BODY_COLOUR = "#555555"


def anatomy_picture(evaluation: Evaluation, planes: list[Plane]) -> Picture:
    """Return MR, true CT and candidates in three planes."""
    images = {"True CT": evaluation.ct}
    images |= {name: candidate.volume for name, candidate in evaluation.candidates.items()}
    laid = evaluation.mr_registered is not None
    mr = evaluation.mr_registered if laid else evaluation.mr
    first = 0 if mr is None else 1
    board = Board(planes, ["MR"][:first] + list(images))
    note = ""
    if mr is not None:
        slices = [plane.sample(mr, np.nan) for plane in planes]
        seen = np.concatenate([values[values > 0] for values in slices])
        scale = colour_scale("gray", 0, float(np.percentile(seen, 99)) if seen.size else 1)
        for column, values in enumerate(slices):
            board.paint(0, column, np.ma.masked_invalid(values), scale, ground=MISSING_COLOUR)
        note = (
            " The MR lies on the true CT by the transform that carried the candidates."
            if laid
            else " The MR is resampled for display only and not registered, so that no structure "
            "of the CT is drawn over it; grey is outside its field of view."
        )
    scale = colour_scale("gray", *CT_WINDOW)
    for row, image in enumerate(images.values(), start=first):
        for column, plane in enumerate(planes):
            board.paint(row, column, plane.sample(image, HU_OUTSIDE), scale)
    board.bar(scale, "CT number in HU", "both", range(first, first + len(images)))
    target = _outline_target(board, evaluation, TARGET_COLOUR, "Yellow", 0 if laid else first)
    return Picture(
        "Anatomy",
        f"CT-like images are shown from {CT_WINDOW[0]} to {CT_WINDOW[1]} HU.{note}{target}",
        f"Axial, coronal and sagittal slices of {', '.join(['MR'][:first] + list(images))}.",
        board.png(),
    )


def difference_picture(evaluation: Evaluation, planes: list[Plane]) -> Picture:
    """Return candidate minus true CT in three planes."""
    board = Board(planes, list(evaluation.candidates))
    scale = colour_scale("RdBu_r", -DIFFERENCE_HU, DIFFERENCE_HU)
    for row, candidate in enumerate(evaluation.candidates.values()):
        for column, plane in enumerate(planes):
            values = np.ma.masked_invalid(plane.sample(candidate.difference, np.nan))
            board.paint(row, column, values, scale, ground=MISSING_COLOUR)
    board.bar(scale, "Candidate minus true CT in HU", "both")
    board.outline(sitk.Cast(evaluation.body, sitk.sitkFloat32), BODY_COLOUR)
    return Picture(
        "Difference in CT number",
        f"Candidate minus true CT from -{DIFFERENCE_HU} to {DIFFERENCE_HU} HU: red where the "
        "candidate is denser, blue where it is less dense, white where they agree, grey where "
        "there is nothing to compare. Dark line: body contour of the true CT.",
        f"Maps of candidate minus true CT in three planes for {', '.join(evaluation.candidates)}.",
        board.png(),
    )


def dose_picture(evaluation: Evaluation, planes: list[Plane]) -> Picture | None:
    """Return the doses over the images that they belong to; None without dose."""
    if evaluation.dose_ct is None:
        return None
    rows = [("True CT", evaluation.ct, evaluation.dose_ct)]
    rows += [(c.name, c.volume, c.dose) for c in with_dose(evaluation)]
    reference, reference_name = reference_dose(evaluation)
    highest = max(float(sitk.GetArrayViewFromImage(dose).max()) for _, _, dose in rows)
    levels = {p: p / 100 * reference for p in ISODOSE_PERCENT if p / 100 * reference < highest}
    lowest = min(levels.values(), default=0.0)
    board = Board(planes, [name for name, _, _ in rows])
    grey, scale = colour_scale("gray", *CT_WINDOW), colour_scale("viridis", 0, highest)
    lines = {level: scale.to_rgba(level) for level in levels.values()}
    for row, (_, image, dose) in enumerate(rows):
        for column, plane in enumerate(planes):
            board.paint(row, column, plane.sample(image, HU_OUTSIDE), grey)
            values = plane.sample(dose, 0)
            board.paint(row, column, np.ma.masked_less(values, lowest), scale, alpha=0.45)
            board.lines(row, column, values, lines, width=1.4)
    bar = board.bar(scale, "Dose in Gy")
    for percent, level in levels.items():
        bar.ax.axhline(level, color="white" if level < 0.6 * highest else "black", linewidth=1)
        bar.ax.text(-0.3, level, f"{percent} %", ha="right", va="center", fontsize=8,
                    transform=bar.ax.get_yaxis_transform())  # fmt: skip
    target = _outline_target(board, evaluation, "white", "White")
    return Picture(
        "Dose",
        f"Isodose lines at {', '.join(map(str, levels))} % of {reference_name}; below the first "
        f"of them the anatomy shows alone.{target}",
        f"Dose distributions in three planes on {', '.join(name for name, _, _ in rows)}.",
        board.png(),
    )


def dose_difference_picture(evaluation: Evaluation, planes: list[Plane]) -> Picture | None:
    """Return candidate dose minus dose on the true CT in percent; None without dose."""
    candidates = with_dose(evaluation)
    if not candidates:
        return None
    reference, reference_name = reference_dose(evaluation)
    board = Board(planes, [c.name for c in candidates])
    scale = colour_scale("PuOr_r", -DOSE_DIFFERENCE_PERCENT, DOSE_DIFFERENCE_PERCENT)
    for column, plane in enumerate(planes):
        true = plane.sample(evaluation.dose_ct, np.nan)
        for row, candidate in enumerate(candidates):
            values = (plane.sample(candidate.dose, np.nan) - true) / reference * 100
            board.paint(row, column, np.ma.masked_invalid(values), scale, ground=MISSING_COLOUR)
    board.bar(scale, f"Dose difference in %\nof {reference_name}", "both")
    board.outline(sitk.Cast(evaluation.body, sitk.sitkFloat32), BODY_COLOUR)
    target = _outline_target(board, evaluation, "black", "Black")
    return Picture(
        "Difference in dose",
        f"Dose on the candidate minus dose on the true CT from -{DOSE_DIFFERENCE_PERCENT} to "
        f"{DOSE_DIFFERENCE_PERCENT} % of {reference_name}: orange where the candidate's is "
        "higher, purple where it is lower, grey outside the dose grid. Dark line: body contour "
        f"of the true CT.{target}",
        f"Dose difference maps in three planes for {', '.join(c.name for c in candidates)}.",
        board.png(),
    )


def gamma_picture(evaluation: Evaluation, planes: list[Plane]) -> Picture | None:
    """Return the gamma maps over the true CT; None where no gamma was evaluated."""
    candidates = with_gamma(evaluation)
    if not candidates:
        return None
    board = Board(planes, [c.name for c in candidates])
    grey = colour_scale("gray", *CT_WINDOW)
    scale = colour_scale("viridis", 0, 1, over=FAILS_COLOUR)
    for column, plane in enumerate(planes):
        anatomy = plane.sample(evaluation.ct, HU_OUTSIDE)
        for row, candidate in enumerate(candidates):
            board.paint(row, column, anatomy, grey)
            # The nearest voxel: nothing lies between gamma and -1, which is "not evaluated".
            values = np.ma.masked_less(plane.sample(candidate.gamma.gamma, -1, nearest=True), 0)
            board.paint(row, column, values, scale, alpha=0.8)
    board.bar(scale, "Gamma", "max").ax.set_title("> 1\nfails", fontsize=8, pad=4)
    target = _outline_target(board, evaluation, "white", "White")
    return Picture(
        "Gamma on the anatomy",
        "Gamma from 0 to 1 over the true CT. Voxels that fail (gamma above 1) are magenta; where "
        f"gamma was not evaluated, the anatomy shows alone.{target}",
        f"Gamma maps in three planes for {', '.join(c.name for c in candidates)}.",
        board.png(),
    )


def with_dose(evaluation: Evaluation) -> list[CandidateResult]:
    """Return the candidates whose dose can be held against the dose on the true CT."""
    if evaluation.dose_ct is None:
        return []
    return [c for c in evaluation.candidates.values() if c.dose is not None]


def with_gamma(evaluation: Evaluation) -> list[CandidateResult]:
    """Return the candidates that have a gamma map."""
    return [c for c in evaluation.candidates.values() if c.gamma is not None]


def _outline_target(
    board: Board, evaluation: Evaluation, colour: str, word: str, first: int = 0
) -> str:
    """Draw the target into rows from ``first`` on, where there is one; return the words for it."""
    target = target_of(evaluation)
    if target is None:
        return ""
    board.outline(target[1], colour, halo="white" if colour == "black" else "black", first=first)
    return f" {word} line: {target[0]}."
