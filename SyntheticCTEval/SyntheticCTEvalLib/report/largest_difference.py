"""The report's part on where dose differs most: a table, and pictures through the places."""

from __future__ import annotations

from collections.abc import Mapping

from SyntheticCTEvalLib.evaluation.names import shown_names
from SyntheticCTEvalLib.evaluation.quantities import printed, signed
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.pictures.charts import candidate_colours
from SyntheticCTEvalLib.pictures.dose_maps import largest_difference_picture
from SyntheticCTEvalLib.pictures.normalisation import reference_dose
from SyntheticCTEvalLib.pictures.places import (
    DEEP_MM,
    LARGEST,
    LARGEST_DEEP,
    Place,
    largest_places,
)
from SyntheticCTEvalLib.pictures.planes import told_point

from .blocks import Block, Cell, Column, Table


def largest_differences(evaluation: Evaluation) -> list[Block]:
    """Return table and pictures, the second where its places are others; nothing without any."""
    whole = largest_places(evaluation)
    if not whole:
        return []
    deep = largest_places(evaluation, deep=True)
    found = [_table(evaluation, whole, deep), largest_difference_picture(evaluation, whole)]
    if any(place != whole[name] for name, place in deep.items()):
        found.append(largest_difference_picture(evaluation, deep, deep=True))
    return found


def _table(evaluation: Evaluation, whole: Mapping[str, Place], deep: Mapping[str, Place]) -> Table:
    colours, shown, rows = candidate_colours(evaluation), shown_names(evaluation), []
    hundred, words = reference_dose(evaluation)
    for name in whole:
        called = Cell(shown[name], colour=colours[name])
        rows.append([called, Cell("in the body", link=LARGEST), *_cells(whole[name], hundred)])
        where = Cell(f"deeper than {DEEP_MM:g} mm in both bodies", link=LARGEST_DEEP)
        rows.append([Cell(""), where, *_cells(deep.get(name), hundred)])
    columns = [
        Column(Cell("Dose on"), width=1.2),
        Column(Cell("Largest difference"), width=1.9),
        Column(Cell("Gy"), number=True, width=0.6),
        Column(Cell("%"), number=True, width=0.6),
        Column(Cell("Gy on true CT"), number=True, width=0.7),
        Column(Cell("Place"), width=2.6),
    ]
    caption = (
        "Where dose differs most: candidate minus true CT, where gamma was evaluated, in Gy and in "
        f"% of {words}."
    )
    return Table(caption, columns, rows, "dense", set(range(2, len(rows), 2)))


def _cells(place: Place | None, hundred: float) -> list[Cell]:
    if place is None:
        return [*[Cell("n/a")] * 3, Cell("no dose differs there")]
    return [
        Cell(signed(place.difference_gy)),
        Cell(signed(place.difference_gy / hundred * 100)),
        Cell(printed(place.dose_gy, 2)),
        Cell("; ".join(filter(None, (told_point(place.point_mm), place.skin_words)))),
    ]
