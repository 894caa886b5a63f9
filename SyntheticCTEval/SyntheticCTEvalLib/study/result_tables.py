"""A cohort's tables as blocks of its report: agreement of doses, statements, counts of limits."""

from __future__ import annotations

from collections.abc import Sequence

from SyntheticCTEvalLib.evaluation.limits import FAIL, MARKS, MISSING, PASS, worst
from SyntheticCTEvalLib.evaluation.quantities import signed
from SyntheticCTEvalLib.group.agreement import Agreement, Statement
from SyntheticCTEvalLib.group.comparison import printed_p
from SyntheticCTEvalLib.group.limit_counts import LimitCount
from SyntheticCTEvalLib.group.tolerance import Interval
from SyntheticCTEvalLib.group.values import CohortValues
from SyntheticCTEvalLib.report.blocks import Cell, Column, Table

AGREEMENT_HEAD = (
    "Point", "Candidate", "Mean", "SD", "n", "95 % interval of the mean",
    "Tolerance interval 95 %/95 %", "Limits of agreement", "Shapiro-Wilk p",
)  # fmt: skip

_NAMES_SHOWN = 6
_SHOWN = {PASS: "shown", FAIL: "not shown", MISSING: "not evaluated"}


def agreement_cells(agreement: Agreement) -> list[str]:
    """Return an agreement as printed, in the order of :data:`AGREEMENT_HEAD`."""
    spread = agreement.spread
    return [
        agreement.point,
        agreement.candidate,
        signed(spread.mean),
        signed(spread.sd).removeprefix("+"),
        str(spread.n),
        interval_text(spread.mean_interval),
        interval_text(spread.tolerance),
        interval_text(spread.limits),
        printed_p(spread.shapiro_p),
    ]


def agreement_group(agreement: Agreement) -> str:
    """Return what an agreement is of, which stands above its rows: structure and unit."""
    structure = agreement.label.rpartition(", ")[0]
    return f"{structure}: candidate minus true CT in {agreement.unit}"


def interval_text(interval: Interval) -> str:
    """Return an interval as printed, "n/a" where there is none."""
    low, high = (signed(bound) for bound in interval)
    return "n/a" if low == "n/a" else f"{low} to {high}"


def agreement_table(
    values: CohortValues, agreements: Sequence[Agreement], caption: str, *, limits: bool
) -> Table:
    """Return agreements as a table, a head a structure and unit.

    Args:
        limits: there is an acceptance file, and a column for what its limits say.
    """
    columns = [Column(Cell(name), number=place > 1) for place, name in enumerate(AGREEMENT_HEAD)]
    if limits:
        columns.insert(-2, Column(Cell("Limits")))
    rows: list[list[Cell]] = []
    heads, before, point = {}, None, None
    for each in agreements:
        head = agreement_group(each)
        if head != before:
            heads[len(rows)] = head
            before, point = head, None
        name, candidate, mean, sd, n, of_mean, tolerance, agreed, p = agreement_cells(each)
        spread = each.spread
        ends = ""
        if agreed != "n/a":
            lower, upper = interval_text(spread.lower_limit), interval_text(spread.upper_limit)
            ends = f"({lower}; {upper})"
        row = [
            Cell("" if name == point else name),
            Cell(candidate, colour=values.colours[each.candidate]),
            *map(Cell, (mean, sd, n, of_mean, tolerance)),
        ]
        if limits:
            told = "; ".join(f"{MARKS[v.state]} {v.words}" for v in each.verdicts)
            row.append(Cell(told, state=worst(v.state for v in each.verdicts)))
        row += [Cell(agreed, small=ends), Cell(p, small="" if each.normal else "▲ not normal")]
        rows.append(row)
        point = name
    return Table(caption, columns, rows, "dense agreement", heads=heads)


def statements_table(values: CohortValues, statements: Sequence[Statement]) -> Table:
    """Return the statements of Korsholm 2014, a row a candidate."""
    rows = [
        [
            Cell(each.candidate, colour=values.colours[each.candidate]),
            Cell(f"{MARKS[each.state]} {_SHOWN[each.state]}", state=each.state),
            Cell(each.sentence.partition(". ")[2]),
        ]
        for each in statements
    ]
    caption = (
        "Is the dose difference below 2 % of the prescription for 95 % of the patients in the "
        "target's Dmedian, D2 and D98 (after Korsholm 2014)?"
    )
    columns = [Column(Cell("Candidate")), Column(Cell("With 95 % confidence")), Column(Cell(""))]
    return Table(caption, columns, rows, "verdicts")


def limits_table(values: CohortValues, counts: Sequence[LimitCount], name: str) -> Table:
    """Return how many patients are within each limit, and who is not."""
    columns = [Column(Cell("Limit"))]
    columns += [Column(Cell(c, colour=values.colours[c])) for c in values.candidates]
    rows = []
    for count in counts:
        row = [Cell(count.label, small=count.levels)]
        cells = count.cells()
        for candidate in values.candidates:
            found = cells[candidate]
            state = worst(each for each, _, _ in found)
            told = "; ".join(text for _, text, _ in found) or "no patient has it"
            who = "; ".join(f"{MARKS[each]} {_few(names)}" for each, _, names in found if names)
            row.append(Cell(told, small=who, state=state))
        rows.append(row)
    return Table(f"Patients within the limits: {name}", columns, rows, "verdicts")


def _few(names: Sequence[str]) -> str:
    shown, more = ", ".join(names[:_NAMES_SHOWN]), len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
