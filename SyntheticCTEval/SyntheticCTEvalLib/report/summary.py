"""The first screen of a report: who, which candidates, what dose and image say, what to read."""

from __future__ import annotations

from collections.abc import Iterator

from SyntheticCTEvalLib.evaluation.names import shown_names, told
from SyntheticCTEvalLib.evaluation.quantities import describe, printed
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.gamma.criteria import Criterion, spaced
from SyntheticCTEvalLib.pictures.charts import shown_colours
from SyntheticCTEvalLib.pictures.normalisation import normalised, reference_dose
from SyntheticCTEvalLib.pictures.planes import target_of
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE

from .blocks import Block, Cell, Column, Lines, Notes, Section, Table, candidate_columns
from .figures_table import MINUS, figure_row

TARGET_POINTS = ("Dmean", "D98", "D50", "D2")
IMAGE_FIGURES = (("mae_body", ""), ("ssim", ""), ("dsc_body", ""))


def identity_lines(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return who and what was evaluated, and when: what stands under the title."""
    lines = [("Patient", evaluation.patient or "no pseudonym was given")]
    candidates = ", ".join(shown_names(evaluation).values()) or "none"
    lines.append(("Held against the true CT", candidates))
    if evaluation.dose_ct is not None:
        words = reference_dose(evaluation)[1]
        kind = evaluation.prescription_kind
        lines.append(("Dose normalised to" if kind == "largest" else "100 % of dose", words))
    if date := evaluation.origin.get("date"):
        lines.append(("Computed", date.replace("T", " ")))
    return lines


def summary_section(evaluation: Evaluation, verdicts: list[Block]) -> Section:
    """Return the first section.

    Args:
        verdicts: what limits say, where limits were given.
    """
    blocks = [*verdicts]
    if evaluation.candidates:
        blocks.append(_result_table(evaluation))
    blocks.append(Lines(("Name", "Date", "Signature")))
    beside: list[Block] = []
    shown = shown_names(evaluation)
    if notes := list(dict.fromkeys(told(note, shown) for note in evaluation.notes)):
        beside.append(Notes("Read this first", notes))
    return Section("Result", blocks, beside)


def _result_table(evaluation: Evaluation) -> Table:
    rows: list[list[Cell]] = []
    heads: dict[int, str] = {}
    for head, part in (
        *_gamma_rows(evaluation),
        _target_rows(evaluation),
        ("Image", _image_rows(evaluation)),
    ):
        if part:
            heads[len(rows)] = head
            rows += part
    columns = [Column(Cell(""), width=2), *candidate_columns(shown_colours(evaluation))]
    return Table("", columns, rows, "result", heads=heads)


def _gamma_rows(evaluation: Evaluation) -> Iterator[tuple[str, list[list[Cell]]]]:
    """Yield the pass rates of global criteria, and of local ones, each with what they are."""
    entries = [candidate.metrics for candidate in evaluation.candidates.values()]
    found = dict.fromkeys(
        (name, cutoff)
        for entry in entries
        for name, rates in entry.get("gpr_criteria", {}).items()
        for cutoff in rates
    )
    if not found:
        return
    whole, words = reference_dose(evaluation)
    for local, of in ((False, f"global, % of {words}"), (True, "local, % of the voxel's dose")):
        rows = []
        for name, cutoff in found:
            if Criterion.parse(name).local is not local:
                continue
            values = [e.get("gpr_criteria", {}).get(name, {}).get(cutoff) for e in entries]
            label = f"{spaced(name).removesuffix(' local')}, above {cutoff} %"
            small = f"{float(cutoff) / 100 * whole:.4g} Gy"
            key = ("gpr_criteria", name, cutoff)
            row = figure_row(key, describe(key), values)
            rows.append(_marked(Cell(label, small=small, link="gpr"), row.cells, row.best))
        yield f"Dose: gamma pass rate in % ({of})", rows


def _target_rows(evaluation: Evaluation) -> tuple[str, list[list[Cell]]]:
    target = target_of(evaluation)
    if target is None or not evaluation.prescription_gy:
        return "", []
    name, scale = target[0], evaluation.prescription_gy / 100
    entries = [c.metrics.get("dvh", {}).get(name, {}) for c in evaluation.candidates.values()]
    rows = []
    for point in TARGET_POINTS:
        values = [entry.get(point + DIFFERENCE) for entry in entries]
        if all(value is None for value in values):
            continue
        cells = [_signed(value, 2) for value in values]
        gray = ["" if v is None else f"{_signed(v * scale, 2)} Gy" for v in values]
        label = Cell(point, link="dvh_differences")
        rows.append([label, *(Cell(c, small=g) for c, g in zip(cells, gray, strict=True))])
    of = normalised(evaluation)
    return f"Dose in {name}: candidate minus true CT in % of the {of}", rows


def _image_rows(evaluation: Evaluation) -> list[list[Cell]]:
    entries = [candidate.metrics for candidate in evaluation.candidates.values()]
    rows = []
    for key in IMAGE_FIGURES:
        values = [entry.get(key[0]) for entry in entries]
        if any(value is not None for value in values):
            quantity = describe(key)
            row = figure_row(key, quantity, values)
            label = Cell(row.label, small=quantity.unit, link=key[0])
            rows.append(_marked(label, row.cells, row.best))
    return rows


def _marked(label: Cell, cells: list[str], best: list[bool]) -> list[Cell]:
    return [label, *(Cell(c, best=b) for c, b in zip(cells, best, strict=True))]


def _signed(value: float | None, digits: int) -> str:
    text = printed(value, digits)
    if text == "n/a" or float(text) == 0:
        return text.removeprefix("-")
    return text.replace("-", MINUS) if text.startswith("-") else f"+{text}"
