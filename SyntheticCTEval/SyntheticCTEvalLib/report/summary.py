"""The first screen of a report: who, which candidates, what dose and image say, what to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from SyntheticCTEvalLib.evaluation.bounds import BOUNDS, bounds_of, scope_of
from SyntheticCTEvalLib.evaluation.limits import (
    ACTION,
    FAIL,
    MARKS,
    MISSING,
    PASS,
    WORST_FIRST,
    Acceptance,
    Limit,
    Verdict,
    worst,
)
from SyntheticCTEvalLib.evaluation.names import shown_names, told
from SyntheticCTEvalLib.evaluation.quantities import describe, signed
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.gamma.criteria import Criterion, spaced
from SyntheticCTEvalLib.pictures.charts import colours_of, shown_colours
from SyntheticCTEvalLib.pictures.normalisation import normalised, reference_dose
from SyntheticCTEvalLib.pictures.planes import target_of
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE

from .blocks import (
    Block,
    Cell,
    Column,
    Document,
    Lines,
    Notes,
    Section,
    Table,
    Text,
    candidate_columns,
)
from .figures_table import figure_row, noise_head, noise_words

TARGET_POINTS = ("Dmean", "D98", "D50", "D2")
IMAGE_FIGURES = (("mae_body", ""), ("mae_body_rigid", ""), ("ssim", ""), ("dsc_body", ""))
RESULT, VERDICTS = "result", "verdicts"
_SAID = {
    FAIL: "beyond the limits",
    MISSING: "not evaluated in full",
    ACTION: "within action levels, beyond tolerance",
    PASS: "within the limits",
}
_COUNTED = {
    FAIL: "beyond",
    MISSING: "not evaluated",
    ACTION: "beyond tolerance, within action level",
    PASS: "within",
}


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


def summary_section(evaluation: Evaluation) -> Section:
    """Return the first section: what bounds its figures, what limits say, the figures."""
    bounds = bounds_of(evaluation)
    blocks: list[Block] = [Notes(BOUNDS, bounds)] if bounds else []
    blocks += verdict_blocks(evaluation)
    if evaluation.candidates:
        blocks.append(_result_table(evaluation))
    blocks.append(Lines(("Name", "Date", "Signature")))
    beside: list[Block] = []
    shown = shown_names(evaluation)
    if notes := [told(note, shown) for note in evaluation.warnings]:
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
    return Table("", columns, rows, RESULT, heads=heads)


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
            noise = [noise_words(entry, *key) for entry in entries]
            rows.append(_marked(Cell(label, small=small, link="gpr"), row.cells, row.best, noise))
        yield f"Dose: gamma pass rate in %{noise_head(evaluation)} ({of})", rows


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
        cells = [signed(value, 2) for value in values]
        gray = ["" if v is None else f"{signed(v * scale, 2)} Gy" for v in values]
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


def _marked(
    label: Cell, cells: list[str], best: list[bool], smalls: Sequence[str] | None = None
) -> list[Cell]:
    smalls = smalls or [""] * len(cells)
    each = zip(cells, best, smalls, strict=True)
    return [label, *(Cell(c, best=b, small=small) for c, b, small in each)]


def verdict_blocks(evaluation: Evaluation) -> list[Block]:
    """Return what limits say of an evaluation; nothing where no limits were given."""
    if evaluation.acceptance is None:
        return []
    return verdicts_as_blocks(
        evaluation.acceptance, evaluation.verdicts, shown_names(evaluation), evaluation.target
    )


def verdicts_as_blocks(
    acceptance: Acceptance,
    verdicts: Mapping[str, Sequence[Verdict]],
    shown: Mapping[str, str],
    target: str | None = None,
) -> list[Block]:
    """Return a table of verdicts, what all limits say in its first row, and the limits' source.

    Args:
        shown: what candidates are called, by their names.
        target: name of the evaluation's target.
    """
    colours = colours_of(shown)
    if not colours:
        return []
    head = Cell("All limits", small=scope_of(acceptance, verdicts, target), best=True)
    rows = [[head, *(_overall(verdicts[name]) for name in colours)]]
    for limit in acceptance.limits:
        rows += _limit_rows(limit, [verdicts[name] for name in colours])
    columns = [Column(Cell("Limit"), width=1.4)]
    columns += [Column(Cell(shown[n], colour=colour), width=1.2) for n, colour in colours.items()]
    caption = (
        f"Acceptance: {acceptance.name}. {MARKS[PASS]} within tolerance, {MARKS[ACTION]} beyond "
        f"tolerance and within the action level, {MARKS[FAIL]} beyond the limit, {MARKS[MISSING]} "
        "not evaluated."
    )
    source = acceptance.source.rstrip(".")
    words = f"Limits: {source}. {acceptance.note} They are kept in acceptance.toml."
    return [Table(caption, columns, rows, VERDICTS), Text(" ".join(words.split()))]


def shown_in(document: Document, candidates: Iterable[str]) -> dict[str, str]:
    """Return what a report calls the candidates of its evaluation, by their names.

    Their names where the report has no table of results.
    """
    blocks = document.sections[0].blocks
    results = [b for b in blocks if isinstance(b, Table) and b.kind == RESULT]
    titles = [column.title.text for table in results for column in table.columns[1:]]
    names = list(candidates)
    return dict(zip(names, titles or names, strict=True))


def renew_verdicts(document: Document, blocks: Sequence[Block]) -> None:
    """Exchange what limits say in a report's first section for other ``blocks``, or for none."""
    first: Section = document.sections[0]
    kept = first.blocks
    bounds = [b for b in kept[:1] if isinstance(b, Notes)]
    kept = kept[len(bounds) :]
    if kept and isinstance(kept[0], Table) and kept[0].kind == VERDICTS:
        kept = kept[2:]
    first.blocks = [*bounds, *blocks, *kept]


def _overall(verdicts: Sequence[Verdict]) -> Cell:
    counts = Counter(verdict.state for verdict in verdicts)
    state = worst(counts)
    if len(counts) == 1:
        many = f"all {len(verdicts)}" if len(verdicts) > 1 else "the one limit"
        words = f"{many} {_COUNTED[state]}"
    else:
        parts = "; ".join(
            f"{counts[each]} {_COUNTED[each]}" for each in WORST_FIRST if counts[each]
        )
        words = f"of {len(verdicts)}: {parts}"
    return Cell(f"{MARKS[state]} {_SAID[state]}", small=words, best=state == PASS, state=state)


def _limit_rows(limit: Limit, verdicts: Sequence[Sequence[Verdict]]) -> list[list[Cell]]:
    """The rows of a limit: one a structure that it fits on any candidate."""
    own = [[verdict for verdict in found if verdict.limit == limit] for found in verdicts]
    paths = dict.fromkeys(verdict.path for found in own for verdict in found)
    general = limit.path(limit.structure)  # of a candidate on which it fits nothing
    paths = [path for path in paths if path != general] or list(paths)
    rows = []
    for path in paths:
        chosen = [next((v for v in found if v.path == path), found[0]) for found in own]
        label = next(verdict.label for verdict in chosen if verdict.path == path)
        rows.append([Cell(label, small=limit.levels_words), *map(_verdict_cell, chosen)])
    return rows


def _verdict_cell(verdict: Verdict) -> Cell:
    words = f"{verdict.words}: {verdict.reason}" if verdict.reason else verdict.words
    return Cell(f"{verdict.mark} {verdict.printed}", small=words, state=verdict.state)
