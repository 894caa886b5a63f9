"""A cohort's tables as rows of numbers: for CSV, for a workbook (.xlsx) and for LaTeX."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.evaluation.quantities import describe, finite
from SyntheticCTEvalLib.group.agreement import Agreement, Statement, agreement_entry
from SyntheticCTEvalLib.group.comparison import CONFIRMATORY, CohortComparison, comparison_entry
from SyntheticCTEvalLib.group.limit_counts import STATES, WORDS, LimitCount
from SyntheticCTEvalLib.group.outliers import Outlier
from SyntheticCTEvalLib.group.tables import Table, mean_and_sd
from SyntheticCTEvalLib.group.values import CohortValues, key_text, rows_by_name

Value = str | float | int | None


@dataclass(frozen=True)
class Sheet:
    """A table of which numbers are numbers.

    Attributes:
        name: of the sheet in a workbook, at most 31 letters.
        header: names of the columns.
        rows: one value a column; None where there is none.
        digits: decimals of the numbers of each row; None to show them as they are.
    """

    name: str
    header: Sequence[str]
    rows: list[list[Value]]
    digits: Sequence[int | None] = ()


def table_sheet(table: Table, comparisons: Sequence[CohortComparison]) -> Sheet:
    """Return one of the paper's tables, unrounded."""
    tests = {(t.key, t.candidate): t for t in comparisons if t.family == CONFIRMATORY}
    rows, digits = [], []
    for row in table.rows:
        test = tests.get((row.key, row.candidate))
        p = test.result.p if test and test.result else None
        mean, sd, n = mean_and_sd(row.values)
        own = [row.label, row.unit, row.candidate, *row.values, mean, sd, n]
        rows.append(finite([*own, p, test.holm_p if test else None]))
        digits.append(describe(row.key).digits)
    against = f" against {table.baseline}" if table.baseline else ""
    head = ["Figure", "Unit", "Candidate", *table.patients, "Mean", "SD", "n"]
    return Sheet(
        f"Table {table.number}", [*head, f"p{against}", f"p{against} (Holm)"], rows, digits
    )


def agreement_sheet(agreements: Sequence[Agreement]) -> Sheet:
    """Return the dose agreement of every structure, point and candidate."""
    return _of_entries("Agreement", [agreement_entry(each) for each in agreements])


def korsholm_sheet(statements: Sequence[Statement]) -> Sheet:
    """Return what the statements of Korsholm 2014 are made of."""
    entries = [
        {"candidate": statement.candidate, "point": point, "n": found["n"], "mean": found["mean"]}
        | {"tolerance_low": found["tolerance"][0], "tolerance_high": found["tolerance"][1]}
        | {"confidence": found["confidence"], "patients_beyond": found["beyond"]}
        | {"shown": "yes" if found["shown"] else "no", "statement_on_candidate": statement.sentence}
        for statement in statements
        for point, found in statement.points.items()
    ]
    return _of_entries("Korsholm 2014", entries)


def limits_sheet(counts: Sequence[LimitCount]) -> Sheet:
    """Return how many patients are within each limit."""
    rows: list[list[Value]] = [
        [count.label, count.levels, candidate, *(len(found[state]) for state in STATES)]
        for count in counts
        for candidate, found in count.patients.items()
    ]
    return Sheet("Limits", ["limit", "levels", "candidate", *(WORDS[s] for s in STATES)], rows)


def outliers_sheet(outliers: Sequence[Outlier]) -> Sheet:
    """Return the outliers and what they lie outside of."""
    head = ["patient", "candidate", "figure", "unit", "value", "low", "high", "rule"]
    rows: list[list[Value]] = [
        finite([o.patient, o.candidate, o.label, o.unit, o.value, o.low, o.high, o.rule])
        for o in outliers
    ]
    return Sheet("Outliers", head, rows, [o.digits for o in outliers])


def statistics_sheet(comparisons: Sequence[CohortComparison]) -> Sheet:
    """Return every comparison, as statistics.csv has it."""
    return _of_entries("Statistics", [comparison_entry(each) for each in comparisons])


def figures_sheet(values: CohortValues) -> Sheet:
    """Return every figure of every patient and candidate."""
    rows: list[list[Value]] = [
        [patient, candidate, key_text(key), value, describe(key).unit]
        for patient, candidate, key, value in values.rows()
    ]
    return Sheet("All figures", ["patient", "candidate", "figure", "value", "unit"], rows)


def definitions_sheet(definitions: dict[str, str | dict[str, str]]) -> Sheet:
    """Return the definition of every figure, a row a patient where they differ."""
    rows: list[list[Value]] = []
    for key, found in definitions.items():
        texts = found if isinstance(found, dict) else {"": found}
        rows += [[key, patient, text] for patient, text in texts.items()]
    return Sheet("Definitions", ["figure", "patient", "definition"], rows)


def write_sheet_csv(sheet: Sheet, path: Path, shown: Mapping[str, str] | None = None) -> None:
    """Write a sheet as CSV, numbers in full and nothing where there is no value.

    Args:
        shown: see values.rows_by_name.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    with staged_file(path) as stage, stage.open("w", newline="", encoding="utf-8") as stream:
        rows = (["" if cell is None else cell for cell in row] for row in sheet.rows)
        csv.writer(stream).writerows(rows_by_name(sheet.header, rows, shown))


def _of_entries(name: str, entries: Sequence[dict[str, Any]]) -> Sheet:
    header = list(entries[0]) if entries else []
    return Sheet(name, header, [list(finite(entry).values()) for entry in entries])
