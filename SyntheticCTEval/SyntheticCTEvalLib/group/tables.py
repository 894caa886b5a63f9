"""The paper's Tables 1 to 3 of a cohort, as data and as CSV; every figure in a long table."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.evaluation.quantities import HIGHER, describe, printed

from .comparison import CONFIRMATORY, CohortComparison, printed_p
from .values import CohortValues, Key, key_text, rows_by_name

TITLES = {
    1: "Image similarity between true CT and candidates",
    2: "Dose similarity between true CT and candidates: gamma pass rates",
    3: "Similarity between MR and candidates before any registration",
}
MISSING = {
    1: "no patient has figures of image similarity",
    2: "no patient has a gamma pass rate, for want of doses",
    3: "no patient has an MR to hold the candidates against",
}
NOT_AVAILABLE = "n/a"
NOISE_OF_MEANS = (
    "Noise and bias are of each patient's pass rate, and their means are over patients: the noise "
    "of a mean pass rate is smaller than the mean noise, by about the root of the patients."
)
_DIGITS = {"HU": 2}
"""Of tables, by unit, where the study prints more digits than a patient's report."""

_BLOCK = 10
"""Patients side by side in HTML: as many as the study has, and a page has room for."""


@dataclass
class TableRow:
    """One figure of one candidate, ready to be printed.

    Attributes:
        key, label, unit, candidate: what the row is of.
        values: one a patient; NaN where there is none.
        cells: ``values`` as printed.
        mean, sd: over the ``n`` patients with a value, as printed.
        p, holm_p: of the comparison with the baseline; "" in the baseline's own row.
        best: the best mean of the figure, as printed.
    """

    key: Key
    label: str
    unit: str
    candidate: str
    values: np.ndarray
    cells: list[str]
    mean: str
    sd: str
    n: int
    p: str
    holm_p: str
    best: bool = False


@dataclass
class Table:
    """One of the paper's tables: rows are figures by candidate, columns are patients."""

    number: int
    title: str
    patients: list[str]
    baseline: str
    rows: list[TableRow]
    keys: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield first and last + 1 of the patients that stand side by side in HTML."""
        for first in range(0, max(len(self.patients), 1), _BLOCK):
            yield first, min(first + _BLOCK, len(self.patients))

    def groups(self) -> list[list[TableRow]]:
        """Return the rows of each figure."""
        found: dict[Key, list[TableRow]] = {}
        for row in self.rows:
            found.setdefault(row.key, []).append(row)
        return list(found.values())


def make_table(
    number: int, values: CohortValues, comparisons: list[CohortComparison]
) -> Table | None:
    """Return table ``number`` of the paper; None where no patient has a figure of it."""
    keys = [key for key in values.table_keys(number) if _exists(values, key)]
    if not keys:
        return None
    tests = {(t.key, t.candidate): t for t in comparisons if t.family == CONFIRMATORY}
    table = Table(number, TITLES[number], values.patients, values.baseline, [])
    table.keys = list(dict.fromkeys(key[0] for key in keys))
    uneven = []
    for key in keys:
        rows = [
            _row(values, key, candidate, tests.get((key, candidate)))
            for candidate in values.candidates
        ]
        if len({row.n for row in rows if row.n}) > 1:
            uneven.append(rows[0].label)
        else:
            _mark_best(rows)
        table.rows += rows
        for noise in values.noise_keys(key):
            table.rows += [_row(values, noise, candidate, None) for candidate in values.candidates]
            table.keys = list(dict.fromkeys([*table.keys, noise[0]]))
    if number == 2 and any(values.noise_keys(key) for key in keys):
        table.notes.append(NOISE_OF_MEANS)
    if uneven:
        table.notes.append(
            f"{', '.join(uneven)}: the means are not over the same patients (see n), so no best is "
            "marked; p is over those with a value of both."
        )
    reasons: dict[str, list[str]] = {}
    for test in tests.values():
        if test.reason and test.key in keys:
            reasons.setdefault(test.reason, []).append(test.label)
    for reason, labels in reasons.items():
        table.notes.append(f"{', '.join(dict.fromkeys(labels))}: no test. {reason}")
    return table


def write_table_csv(table: Table, path: Path) -> None:
    """Write a table as it is printed; cells without a value are empty.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    with staged_file(path) as stage, stage.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        against = f" against {table.baseline}" if table.baseline else ""
        tests = (f"p{against}", f"p{against} (Holm)")
        head = ("figure", "unit", "candidate", *table.patients, "mean", "SD", "n", *tests)
        writer.writerow(head)
        for row in table.rows:
            printed_row = [*row.cells, row.mean, row.sd, row.n, row.p, row.holm_p]
            writer.writerow(
                [row.label, row.unit, row.candidate]
                + ["" if cell == NOT_AVAILABLE else cell for cell in printed_row]
            )


def write_all_figures_csv(
    values: CohortValues, path: Path, shown: Mapping[str, str] | None = None
) -> None:
    """Write every figure in full: a row a patient, candidate and figure.

    Args:
        shown: see values.rows_by_name.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    with staged_file(path) as stage, stage.open("w", newline="", encoding="utf-8") as stream:
        head = ["patient", "candidate", "figure", "value"]
        rows = (
            [patient, name, key_text(key), value] for patient, name, key, value in values.rows()
        )
        csv.writer(stream).writerows(rows_by_name(head, rows, shown))


def mean_and_sd(values: np.ndarray) -> tuple[float, float, int]:
    """Return mean, standard deviation (n - 1) and n of the finite ``values``; NaN where none."""
    there = values[np.isfinite(values)]
    mean = float(there.mean()) if there.size else math.nan
    return mean, float(there.std(ddof=1)) if there.size > 1 else math.nan, int(there.size)


def _exists(values: CohortValues, key: Key) -> bool:
    return any(np.isfinite(values.of(name, key)).any() for name in values.candidates)


def _row(values: CohortValues, key: Key, candidate: str, test: CohortComparison | None) -> TableRow:
    quantity = describe(key)
    digits = _DIGITS.get(quantity.unit, quantity.digits)
    found = values.of(candidate, key)
    mean, sd, n = mean_and_sd(found)
    return TableRow(
        key=key,
        label=values.label(key),
        unit=quantity.unit,
        candidate=candidate,
        values=found,
        cells=[printed(float(value), digits) for value in found],
        mean=printed(mean, digits),
        sd=printed(sd, digits),
        n=n,
        p=printed_p(test.result.p) if test and test.result else NOT_AVAILABLE if test else "",
        holm_p=printed_p(test.holm_p) if test else "",
    )


def _mark_best(rows: list[TableRow]) -> None:
    """Mark the best means; those that print alike are equally good."""
    quantity = describe(rows[0].key)
    there = [float(row.mean) for row in rows if row.mean != NOT_AVAILABLE]
    if len(there) < 2:
        return
    best = max(there) if quantity.better == HIGHER else min(there)
    for row in rows:
        row.best = row.mean != NOT_AVAILABLE and float(row.mean) == best
