"""The report's pictures of dose in three planes: doses, their differences, gamma.

Through the target, and through where each candidate's dose is furthest from that on the true CT.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE

from SyntheticCTEvalLib.evaluation.names import shown_names
from SyntheticCTEvalLib.evaluation.quantities import MINUS, signed
from SyntheticCTEvalLib.evaluation.results import CandidateResult, Evaluation

from .board import Board, Key, Keys
from .contours import Contours
from .maps import (
    BODY_KEY,
    CT_WINDOW,
    FAILS_COLOUR,
    OWN_BODY_KEY,
    sign_keys,
    signed_lines,
    with_dose,
    with_gamma,
)
from .normalisation import reference_dose, whole_dose
from .places import DEEP_MM, Place, worst_gamma
from .planes import MISSING_COLOUR, Picture, Plane, colour_scale, planes_of, short, target_of

DOSE_DIFFERENCE_PERCENT = 3
DOSE_LINE_PERCENT = 2
DOSE_SIGN_PERCENT = 0.5
ISODOSES = {
    10: (0, (1, 1.6)),
    30: (0, (5, 1.4, 1, 1.4)),
    60: (0, (3.4, 1.6)),
    80: (0, (9, 2)),
    95: "-",
}
"""Lines by percent."""
FAILS_KEY = Key("above 1: fails", FAILS_COLOUR, striped=True)
RING = "the ring is drawn around it"


def dose_picture(evaluation: Evaluation, planes: list[Plane]) -> Picture | None:
    """Return the doses over the images that they belong to; None without dose."""
    if evaluation.dose_ct is None:
        return None
    shown = shown_names(evaluation)
    rows = [("True CT", evaluation.ct, evaluation.dose_ct)]
    rows += [(shown[c.name], c.volume, c.dose) for c in with_dose(evaluation)]
    doses = [[plane.sample(dose, 0) for plane in planes] for _, _, dose in rows]
    reference, reference_name = reference_dose(evaluation)
    highest = max(float(values.max()) for own in doses for values in own) or 1.0
    levels = {p: p / 100 * reference for p in ISODOSES if p / 100 * reference < highest}
    lowest = min(levels.values(), default=0.0)
    grey, scale = colour_scale("gray", *CT_WINDOW), colour_scale("viridis", 0, highest)
    lines = {
        level: Key(
            f"{percent} % ({level:.1f} Gy)",
            scale.to_rgba(level),
            ISODOSES[percent],
            1.5,
            halo="black" if level > 0.45 * highest else "white",
        )
        for percent, level in levels.items()
    }
    contours = Contours(evaluation, planes)
    keys = [Keys("Isodoses", list(lines.values()))] if lines else []
    board = Board(planes, [name for name, _, _ in rows], keys=[*keys, *contours.keys])
    for row, (_, image, _) in enumerate(rows):
        for column, plane in enumerate(planes):
            board.paint(row, column, plane.sample(image, HU_OUTSIDE), grey)
            values = doses[row][column]
            board.paint(row, column, np.ma.masked_less(values, lowest), scale, alpha=0.4)
            board.lines(row, column, values, lines)
    contours.draw(board)
    bar = board.bar(scale, "")
    bar.ax.set_title("Dose", fontsize=10, pad=6)
    bar.set_ticks(list(levels.values()), labels=[key.label for key in lines.values()])
    return Picture(
        "Dose",
        f"Isodose lines at {', '.join(map(str, levels))} % of {reference_name}; below the first "
        f"of them the anatomy shows alone. {whole_dose(evaluation)}{contours.words}",
        f"Dose distributions in three planes on {', '.join(name for name, _, _ in rows)}.",
        board.png(),
    )


def dose_difference_picture(evaluation: Evaluation, planes: list[Plane]) -> Picture | None:
    """Return candidate dose minus dose on the true CT in percent; None without dose."""
    candidates = with_dose(evaluation)
    if not candidates:
        return None
    shown = shown_names(evaluation)
    board = Board(planes, [shown[c.name] for c in candidates], keys=_difference_keys(evaluation))
    _paint_differences(board, evaluation, candidates)
    return Picture(
        "Difference in dose",
        f"{_difference_words(evaluation)} {whole_dose(evaluation)}",
        f"Dose difference maps in three planes for {_listed(evaluation, candidates)}.",
        board.png(),
    )


def largest_difference_picture(
    evaluation: Evaluation, places: Mapping[str, Place], deep: bool = False
) -> Picture:
    """Return the dose differences through each candidate's largest.

    Args:
        places: of candidates (places.largest_places), with ``deep`` the same.
    """
    reference, reference_name = reference_dose(evaluation)
    candidates = [evaluation.candidates[name] for name in places]
    shown = shown_names(evaluation)
    heads = [
        f"{short(shown[name], 40)}: {signed(place.difference_gy)} Gy "
        f"({signed(place.difference_gy / reference * 100)} %), "
        f"at {_dose(place.dose_gy, reference)} on the true CT{_depth(place)}"
        for name, place in places.items()
    ]
    board = Board(
        [planes_of(evaluation, at=place.point_mm) for place in places.values()],
        [shown[name] for name in places],
        heads,
        _difference_keys(evaluation),
    )
    _paint_differences(board, evaluation, candidates)
    for row, place in enumerate(places.values()):
        board.ring(row, place.point_mm)
    cutoff = min(candidates[0].gamma.criteria.cutoffs_percent)
    inside = f"deeper than {DEEP_MM:g} mm in the body of the true CT and of the candidate"
    return Picture(
        f"Largest difference in dose{', away from the skin' if deep else ''}",
        "The planes of each row cut the voxel where the dose on that candidate differs most from "
        f"that on the true CT, up or down, {inside if deep else 'inside the body'} and above "
        f"{cutoff:g} % of {reference_name}, where gamma was evaluated; {RING}. Colours and lines "
        f"as above.{'' if deep else _at_skin(places)}"
        f"{_without(evaluation, places, 'no dose differs there')}",
        f"Dose difference maps through the largest of {_listed(evaluation, candidates)}.",
        board.png(),
    )


def gamma_picture(evaluation: Evaluation, planes: list[Plane]) -> Picture | None:
    """Return the gamma maps over the true CT; None where no gamma was evaluated."""
    candidates = with_gamma(evaluation)
    if not candidates:
        return None
    shown = shown_names(evaluation)
    contours = Contours(evaluation, planes)
    keys = [Keys("Gamma", [FAILS_KEY]), *contours.keys]
    board = Board(planes, [shown[c.name] for c in candidates], keys=keys)
    _paint_gamma(board, evaluation, candidates)
    contours.draw(board)
    criterion = candidates[0].gamma.criteria.criterion
    return Picture(
        "Gamma on the anatomy",
        f"Gamma {criterion.told} from 0 to 1 over the true CT. Voxels that fail (gamma above 1) "
        "are magenta with white stripes and a white edge; where gamma was not evaluated, "
        f"the anatomy shows alone.{contours.words}",
        f"Gamma maps in three planes for {_listed(evaluation, candidates)}.",
        board.png(),
    )


def worst_gamma_picture(evaluation: Evaluation) -> Picture | None:
    """Return the gamma maps through each candidate's worst place; None without gamma."""
    found = {name: worst_gamma(evaluation, c) for name, c in evaluation.candidates.items()}
    places = {name: place for name, place in found.items() if place is not None}
    if not places:
        return None
    reference, _ = reference_dose(evaluation)
    candidates = [evaluation.candidates[name] for name in places]
    shown = shown_names(evaluation)
    cuts = [planes_of(evaluation, at=place.point_mm) for place in places.values()]
    heads = [
        f"{short(shown[name], 40)}: {_gamma(evaluation.candidates[name], place)}; on the true CT "
        f"{_dose(place.dose_gy, reference)}, {signed(place.difference_gy)} Gy{_depth(place)}"
        for name, place in places.items()
    ]
    contours = Contours(evaluation, [plane for own in cuts for plane in own])
    keys = [Keys("Gamma", [FAILS_KEY]), *contours.keys]
    board = Board(cuts, [shown[name] for name in places], heads, keys)
    _paint_gamma(board, evaluation, candidates)
    contours.draw(board)
    for row, place in enumerate(places.values()):
        board.ring(row, place.point_mm)
    criterion = candidates[0].gamma.criteria.criterion
    return Picture(
        "Worst gamma",
        f"The planes of each row cut the largest gamma ({criterion.told}) of that candidate's "
        "worst hot spot, the connected voxels whose sum of (gamma - 1) times volume is largest; "
        "where nothing fails, the largest gamma. "
        f"{RING[0].upper()}{RING[1:]}. Colours as above.{contours.words}"
        f"{_without(evaluation, places, 'gamma was evaluated nowhere')}",
        f"Gamma maps through the worst gamma of {_listed(evaluation, candidates)}.",
        board.png(),
    )


def _difference_keys(evaluation: Evaluation) -> list[Keys]:
    keys = [*signed_lines(DOSE_LINE_PERCENT, "%").values(), BODY_KEY, OWN_BODY_KEY]
    target = target_of(evaluation)
    lines = keys if target is None else [*keys, _target_key(target[0])]
    return [Keys("Lines", lines), sign_keys(DOSE_SIGN_PERCENT, "%")]


def _target_key(name: str) -> Key:
    return Key(name, "black", width=1.8)


def _difference_words(evaluation: Evaluation) -> str:
    return (
        f"Dose on the candidate minus dose on the true CT from -{DOSE_DIFFERENCE_PERCENT} to "
        f"{DOSE_DIFFERENCE_PERCENT} % of {reference_dose(evaluation)[1]}: orange where the "
        f"candidate's is higher (+ beyond {DOSE_SIGN_PERCENT} %), purple where it is lower "
        f"({MINUS}), grey outside the dose grid."
    )


def _paint_differences(
    board: Board, evaluation: Evaluation, candidates: list[CandidateResult]
) -> None:
    """Paint a row a candidate on the row's own planes, with lines and colour bar."""
    reference, reference_name = reference_dose(evaluation)
    scale = colour_scale("PuOr_r", -DOSE_DIFFERENCE_PERCENT, DOSE_DIFFERENCE_PERCENT)
    lines = signed_lines(DOSE_LINE_PERCENT, "%")
    for row, candidate in enumerate(candidates):
        for column, plane in enumerate(board.planes[row]):
            true = plane.sample(evaluation.dose_ct, np.nan)
            values = (plane.sample(candidate.dose, np.nan) - true) / reference * 100
            board.paint(row, column, np.ma.masked_invalid(values), scale, ground=MISSING_COLOUR)
            board.lines(row, column, values, lines)
            board.signs(row, column, np.nan_to_num(values), DOSE_SIGN_PERCENT)
        board.outline(candidate.body, OWN_BODY_KEY, [row])
    board.outline(evaluation.body, BODY_KEY)
    if target := target_of(evaluation):
        board.outline(target[1], _target_key(target[0]))
    board.bar(scale, f"Dose difference in %\nof {reference_name}", "both")


def _paint_gamma(board: Board, evaluation: Evaluation, candidates: list[CandidateResult]) -> None:
    """Paint a row a candidate on the row's own planes, with its colour bar."""
    grey = colour_scale("gray", *CT_WINDOW)
    scale = colour_scale("viridis", 0, 1, over=FAILS_COLOUR)
    for row, candidate in enumerate(candidates):
        for column, plane in enumerate(board.planes[row]):
            board.paint(row, column, plane.sample(evaluation.ct, HU_OUTSIDE), grey)
            # The nearest voxel: nothing lies between gamma and -1, which is "not evaluated".
            gamma = plane.sample(candidate.gamma.gamma, -1, nearest=True)
            board.paint(row, column, np.ma.masked_less(gamma, 0), scale, alpha=0.8)
            board.stripe(row, column, gamma > 1, "white")
    board.bar(scale, "Gamma", "max").ax.set_title("> 1\nfails", fontsize=9, pad=4)


def _listed(evaluation: Evaluation, candidates: list[CandidateResult]) -> str:
    shown = shown_names(evaluation)
    return ", ".join(shown[c.name] for c in candidates)


def _without(evaluation: Evaluation, places: Mapping[str, Place], why: str) -> str:
    """Return in a sentence which candidates with gamma have no place."""
    left = [c for c in with_gamma(evaluation) if c.name not in places]
    return f" Left out, because {why}: {_listed(evaluation, left)}." if left else ""


def _gamma(candidate: CandidateResult, place: Place) -> str:
    if place.volume_cm3 <= 0:
        return f"largest gamma {place.gamma:.2f}, no voxel fails"
    least = "at least " if place.gamma >= candidate.gamma.criteria.cap else ""
    return f"gamma {least}{place.gamma:.2f}, hot spot of {place.volume_cm3:.2g} cm³"


def _dose(gray: float, reference: float) -> str:
    return f"{gray:.2f} Gy ({gray / reference * 100:.0f} %)"


def _depth(place: Place) -> str:
    return f"; {place.skin_words}" if place.skin_words else ""


def _at_skin(places: Mapping[str, Place]) -> str:
    if not any(place.at_skin for place in places.values()):
        return ""
    return (
        " At the skin, one body may have dose where the other has none: the largest difference "
        "inside both follows."
    )
