"""The parts of a report after its first screen: dose, image, registration, origin, definitions."""

from __future__ import annotations

from collections.abc import Mapping

import SimpleITK as sitk
from SyntheticCTLib.volumes.grids import told_grid

from SyntheticCTEvalLib.evaluation.names import shown_names, told
from SyntheticCTEvalLib.evaluation.quantities import (
    QUANTITIES,
    is_finite,
    printed,
    quantities_of,
    signed,
)
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.gamma.criteria import spaced
from SyntheticCTEvalLib.image.similarity import DEFINITIONS
from SyntheticCTEvalLib.pictures import charts, dose_maps, maps, planes, registration
from SyntheticCTEvalLib.pictures.charts import candidate_colours
from SyntheticCTEvalLib.pictures.normalisation import normalised, reference_dose
from SyntheticCTEvalLib.pictures.places import (
    DEEP_MM,
    LARGEST,
    LARGEST_DEEP,
    PLACE_DEFINITIONS,
    Place,
    largest_places,
)

from . import dvh_section
from .blocks import Block, Cell, Column, Section, Table, Text, facts_table
from .figures_table import figures_table, noise_head, noise_words, summary_rows

REGISTRATION_FIGURES = (
    "coverage_body_percent", "mae_body_rigid", "dsc_body_rigid", "displacement_mean_mm",
    "displacement_max_mm", "jacobian_min", "jacobian_max", "folding_percent", "registration_dsc",
    "registration_overlap_percent",
)  # fmt: skip
_TOLD_APART = ("dsc_body_rigid", "registration_dsc")
"""Two Dice coefficients that must not be taken for each other: their definitions stand by."""

_CONVENTION = (
    "Pictures use the radiological convention: the axial slice is seen from the feet and the "
    "coronal slice from the front, with the patient's right (R) on the left. A anterior, P "
    "posterior, S superior, I inferior; positions are distances from the origin of the true CT's "
    "frame."
)


def dose_section(evaluation: Evaluation, cuts: list[planes.Plane]) -> Section | None:
    """Return pass rates, structures and pictures of the dose; None without dose."""
    if evaluation.dose_ct is None:
        return None
    blocks: list[Block | None] = [_common_table(evaluation), structures_table(evaluation)]
    blocks += [
        dvh_section.plan_table(evaluation),
        *dvh_section.dvh_tables(evaluation),
        dvh_section.dvh_chart(evaluation),
    ]
    blocks += [
        dose_maps.dose_picture(evaluation, cuts),
        dose_maps.dose_difference_picture(evaluation, cuts),
        *largest_differences(evaluation),
        dose_maps.gamma_picture(evaluation, cuts),
        dose_maps.worst_gamma_picture(evaluation),
        charts.gamma_chart(evaluation),
    ]
    return Section("Dose", [block for block in blocks if block is not None])


def image_section(evaluation: Evaluation, cuts: list[planes.Plane]) -> Section:
    """Return the image's figures and pictures."""
    blocks: list[Block | None] = []
    rows = summary_rows(evaluation, lambda key: not _is_dose(key) and not _is_registration(key))
    if rows:
        blocks.append(figures_table(evaluation, "Every candidate against the true CT.", rows))
    blocks.append(maps.anatomy_picture(evaluation, cuts))
    if evaluation.candidates:
        blocks += [maps.difference_picture(evaluation, cuts), charts.error_chart(evaluation)]
        blocks.append(charts.hu_chart(evaluation))
    blocks.append(charts.mr_chart(evaluation.histograms))
    return Section("Image", [block for block in blocks if block is not None])


def registration_section(evaluation: Evaluation, cuts: list[planes.Plane]) -> Section | None:
    """Return how candidates came to lie on the true CT; None where nothing is known of it."""
    way = evaluation.definitions.get("registration")
    rows = summary_rows(evaluation, _is_registration)
    blocks: list[Block] = [Text(told(way, shown_names(evaluation)))] if way else []
    if rows:
        blocks.append(figures_table(evaluation, "What the registration did.", rows))
        known = DEFINITIONS | evaluation.definitions
        blocks += [
            Text(f"{QUANTITIES[key].label}: {known[key]}")
            for key in _TOLD_APART
            if key in known and any(row.key == key for row in rows)
        ]
    blocks += registration.registration_pictures(evaluation, cuts)
    return Section("Registration", blocks) if blocks else None


def definitions_section(evaluation: Evaluation) -> Section:
    """Return every definition under its name."""
    shown = shown_names(evaluation)
    rows = [
        [
            Cell(key, small=QUANTITIES[key].label if key in QUANTITIES else ""),
            Cell(told(text, shown)),
        ]
        for key, text in definitions_of(evaluation)
    ]
    columns = [Column(Cell(""), width=1), Column(Cell(""), width=3)]
    table = Table("How every figure of this report was computed", columns, rows, "definitions")
    return Section("Definitions", [table, Text(_CONVENTION)])


def definitions_of(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return (key, definition) of every figure printed and of everything else defined."""
    entries = [candidate.metrics for candidate in evaluation.candidates.values()]
    keys = dict.fromkeys(key[0] for key in quantities_of(entries))
    known = DEFINITIONS | evaluation.definitions
    order = dict.fromkeys([*(key for key in keys if key in known), *evaluation.definitions])
    if largest_places(evaluation):
        known, order = known | PLACE_DEFINITIONS, order | dict.fromkeys(PLACE_DEFINITIONS)
    return [(key, known[key]) for key in order]


def what_was_compared(evaluation: Evaluation) -> Table:
    """Return the table of grids, doses and what percentages are of."""
    facts = [("True CT", _told(evaluation.ct))]
    if evaluation.mr is not None:
        facts.append(("MR", _told(evaluation.mr)))
    if evaluation.dose_ct is not None:
        largest = float(sitk.GetArrayViewFromImage(evaluation.dose_ct).max())
        facts.append(
            ("Dose on the true CT", f"{_told(evaluation.dose_ct)}, up to {largest:.2f} Gy")
        )
    if evaluation.prescription_gy is not None:
        origin = evaluation.definitions.get("prescription_gy", "")
        kind = evaluation.prescription_kind
        name = "Normalised to" if kind == "largest" else normalised(evaluation).capitalize()
        facts.append((name, f"{evaluation.prescription_gy:.5g} Gy. {origin}".strip()))
    target = planes.target_of(evaluation)
    shown = f"the target ({target[0]})" if target else "the body"
    facts.append(("Pictures cut through", f"the middle of {shown}, where they say nothing else"))
    return facts_table("What was compared", facts)


def structures_table(evaluation: Evaluation) -> Table | None:
    """Return gamma pass rates inside every structure; None where there are none."""
    rates = {n: c.metrics.get("gpr_structures", {}) for n, c in evaluation.candidates.items()}
    structures = dict.fromkeys(s for found in rates.values() for s in found)
    criteria = list(dict.fromkeys(c for own in rates.values() for s in own.values() for c in s))
    colours, shown = candidate_colours(evaluation), shown_names(evaluation)
    rows, groups = [], set()
    for structure in structures:
        first = True
        for name, own in rates.items():
            values = [own.get(structure, {}).get(criterion) for criterion in criteria]
            if not any(map(is_finite, values)):
                continue
            if first:
                groups.add(len(rows))
            entry = evaluation.candidates[name].metrics
            noise = [noise_words(entry, "gpr_structures", structure, c) for c in criteria]
            cells = [Cell(printed(v, 2), small=n) for v, n in zip(values, noise, strict=True)]
            rows.append(
                [Cell(structure if first else ""), Cell(shown[name], colour=colours[name]), *cells]
            )
            first = False
    if not rows:
        return None
    columns = [Column(Cell("Structure"), width=1.6), Column(Cell("Dose on"), width=1.3)]
    columns += [Column(Cell(spaced(criterion)), number=True) for criterion in criteria]
    caption = (
        f"Gamma pass rates in %{noise_head(evaluation)} inside each structure, above the lowest "
        "cutoff; structures without a row hold no voxel that was evaluated."
    )
    return Table(caption, columns, rows, "dense", groups - {0})


def largest_differences(evaluation: Evaluation) -> list[Block]:
    """Return table and pictures, the second where its places are others; nothing without any."""
    whole = largest_places(evaluation)
    if not whole:
        return []
    deep = largest_places(evaluation, deep=True)
    found = [
        _largest_table(evaluation, whole, deep),
        dose_maps.largest_difference_picture(evaluation, whole),
    ]
    if any(place != whole[name] for name, place in deep.items()):
        found.append(dose_maps.largest_difference_picture(evaluation, deep, deep=True))
    return found


def _largest_table(
    evaluation: Evaluation, whole: Mapping[str, Place], deep: Mapping[str, Place]
) -> Table:
    colours, shown, rows = candidate_colours(evaluation), shown_names(evaluation), []
    hundred, words = reference_dose(evaluation)
    for name in whole:
        called = Cell(shown[name], colour=colours[name])
        rows.append(
            [called, Cell("in the body", link=LARGEST), *_largest_cells(whole[name], hundred)]
        )
        where = Cell(f"deeper than {DEEP_MM:g} mm in both bodies", link=LARGEST_DEEP)
        rows.append([Cell(""), where, *_largest_cells(deep.get(name), hundred)])
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


def _largest_cells(place: Place | None, hundred: float) -> list[Cell]:
    if place is None:
        return [*[Cell("n/a")] * 3, Cell("no dose differs there")]
    return [
        Cell(signed(place.difference_gy)),
        Cell(signed(place.difference_gy / hundred * 100)),
        Cell(printed(place.dose_gy, 2)),
        Cell("; ".join(filter(None, (planes.told_point(place.point_mm), place.skin_words)))),
    ]


def _common_table(evaluation: Evaluation) -> Table | None:
    """Return the pass rates where all candidates cover; those of each are in the first section."""
    rows = summary_rows(evaluation, lambda key: key[0] == "common" and _is_dose(key))
    caption = "Gamma pass rates where all candidates cover the patient."
    return figures_table(evaluation, caption, rows) if rows else None


def _is_dose(key: tuple[str, ...]) -> bool:
    return any(part.startswith("gpr") for part in key[:2])


def _is_registration(key: tuple[str, ...]) -> bool:
    return key[0] in REGISTRATION_FIGURES


def _told(image: sitk.Image) -> str:
    return told_grid(image.GetSize(), image.GetSpacing())
