"""The report's pictures of images in three planes: anatomy and differences."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE

from SyntheticCTEvalLib.evaluation.names import shown_names
from SyntheticCTEvalLib.evaluation.quantities import MINUS
from SyntheticCTEvalLib.evaluation.results import CandidateResult, Evaluation

from .board import Board, Key, Keys
from .contours import Contours
from .planes import MISSING_COLOUR, Picture, Plane, colour_scale, mr_scale

CT_WINDOW = (-400, 600)
DIFFERENCE_HU = 300
DIFFERENCE_LINE_HU = 150
SIGN_HU = 50
SMOOTHED_MM = 3.0
FAILS_COLOUR = "#E6007E"
BODY_KEY = Key("body (true CT)", "#555555", width=0.9)
OWN_BODY_KEY = Key("body (candidate)", "#777777", (0, (1, 1.2)), 1.1)


def anatomy_picture(evaluation: Evaluation, planes: list[Plane]) -> Picture:
    """Return MR, true CT and candidates in three planes."""
    shown = shown_names(evaluation)
    images = {"True CT": evaluation.ct}
    images |= {shown[name]: found.volume for name, found in evaluation.candidates.items()}
    laid = evaluation.mr_registered
    mr = evaluation.mr if laid is None else laid
    first = 0 if mr is None else 1
    names = ["MR"][:first] + list(images)
    contours = Contours(evaluation, planes, coloured=True)
    board = Board(planes, names, keys=contours.keys)
    note = ""
    if mr is not None:
        slices = [plane.sample(mr, np.nan) for plane in planes]
        scale = mr_scale(slices)
        for column, values in enumerate(slices):
            board.paint(0, column, np.ma.masked_invalid(values), scale, ground=MISSING_COLOUR)
        note = (
            " The MR is resampled for display only and not registered, so that no structure of the "
            "CT is drawn over it; grey is outside its field of view."
            if laid is None
            else " The MR lies on the true CT by the transform that carried the candidates."
        )
    scale = colour_scale("gray", *CT_WINDOW)
    for row, image in enumerate(images.values(), start=first):
        for column, plane in enumerate(planes):
            board.paint(row, column, plane.sample(image, HU_OUTSIDE), scale)
    board.bar(scale, "CT number in HU", "both", range(first, first + len(images)))
    contours.draw(board, range(first if laid is None else 0, len(names)))
    return Picture(
        "Anatomy",
        f"CT-like images are shown from {CT_WINDOW[0]} to {CT_WINDOW[1]} HU.{note}{contours.words}",
        f"Axial, coronal and sagittal slices of {', '.join(names)}.",
        board.png(),
    )


def difference_picture(evaluation: Evaluation, planes: list[Plane]) -> Picture:
    """Return candidate minus true CT in three planes."""
    names = [shown_names(evaluation)[name] for name in evaluation.candidates]
    lines = signed_lines(DIFFERENCE_LINE_HU, "HU")
    board = Board(
        planes, names, keys=[Keys("Lines", [*lines.values(), BODY_KEY]), sign_keys(SIGN_HU, "HU")]
    )
    scale = colour_scale("RdBu_r", -DIFFERENCE_HU, DIFFERENCE_HU)
    for row, candidate in enumerate(evaluation.candidates.values()):
        for column, plane in enumerate(planes):
            values = plane.sample(candidate.difference, np.nan)
            board.paint(row, column, np.ma.masked_invalid(values), scale, ground=MISSING_COLOUR)
            smooth = _smoothed(values, plane)
            board.lines(row, column, smooth, lines)
            board.signs(row, column, smooth, SIGN_HU)
    board.bar(scale, "Candidate minus true CT in HU", "both")
    board.outline(evaluation.body, BODY_KEY)
    return Picture(
        "Difference in CT number",
        f"Candidate minus true CT from -{DIFFERENCE_HU} to {DIFFERENCE_HU} HU: red where the "
        "candidate is denser, blue where it is less dense, white where they agree, grey where "
        f"there is nothing to compare. Lines at {DIFFERENCE_LINE_HU} HU, of the difference "
        f"smoothed over {SMOOTHED_MM:g} mm, and signs + and {MINUS} beyond {SIGN_HU} HU tell both "
        "sides apart without colour.",
        f"Maps of candidate minus true CT in three planes for {', '.join(names)}.",
        board.png(),
    )


def signed_lines(level: float, unit: str) -> dict[float, Key]:
    """Return keys of lines at plus and minus ``level``: solid and dashed, as is usual."""
    return {
        level: Key(f"+{level:g} {unit}", "black", width=0.9),
        -level: Key(f"{MINUS}{level:g} {unit}", "black", (0, (3, 1.5)), 0.9),
    }


def sign_keys(level: float, unit: str) -> Keys:
    """Return keys of the signs on all that is beyond plus and minus ``level``."""
    sides = (("above +", "+"), (f"below {MINUS}", "_"))
    return Keys("Signs", [Key(f"{s}{level:g} {unit}", "black", marker=m) for s, m in sides])


def with_dose(evaluation: Evaluation) -> list[CandidateResult]:
    """Return the candidates whose dose can be held against the dose on the true CT."""
    if evaluation.dose_ct is None:
        return []
    return [c for c in evaluation.candidates.values() if c.dose is not None]


def with_gamma(evaluation: Evaluation) -> list[CandidateResult]:
    """Return the candidates that have a gamma map."""
    return [c for c in evaluation.candidates.values() if c.gamma is not None]


def _smoothed(values: np.ndarray, plane: Plane) -> np.ndarray:
    """A slice (row, column) without its noise; 0 where there is nothing."""
    image = sitk.GetImageFromArray(np.nan_to_num(values).astype(np.float32))
    sigma = SMOOTHED_MM / 2.355 / plane.grid.GetSpacing()[0]
    return sitk.GetArrayFromImage(sitk.DiscreteGaussian(image, sigma**2))
