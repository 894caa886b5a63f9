"""The files that a cohort's tables leave beside its report: CSV, HTML, LaTeX, a workbook, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.volumes.marks import SYNTHETIC_NOTE

from SyntheticCTEvalLib.cohort.records import Cohort
from SyntheticCTEvalLib.evaluation.quantities import finite
from SyntheticCTEvalLib.group.agreement import agreement_entry
from SyntheticCTEvalLib.group.analysis import Analysis, short_definitions
from SyntheticCTEvalLib.group.comparison import comparison_entry, write_statistics_csv
from SyntheticCTEvalLib.group.tables import mean_and_sd, write_all_figures_csv, write_table_csv
from SyntheticCTEvalLib.group.values import TABLES, key_text
from SyntheticCTEvalLib.report.page import template_environment

from . import sheets
from .latex import rows_latex, table_latex
from .result_tables import AGREEMENT_HEAD, agreement_cells, agreement_group
from .sheets import Sheet, write_sheet_csv
from .workbook import missing, write_workbook

WORKBOOK = "study.xlsx"
OWN = (
    *(f"table{number}.{kind}" for number in TABLES for kind in ("csv", "html", "tex")),
    *("agreement.csv", "agreement.tex", "korsholm2014.csv", "limits.csv", "outliers.csv"),
    WORKBOOK,
)
"""Files that may be left out; those of an earlier run are removed then."""

SCHEMA = "urn:synthetic-ct:cohort-metrics:1"
"""Version of the cohort's metrics.json: it changes where a name or a meaning does."""

_OF_PATIENTS = (
    "candidates", "dvh_ct", "target", "prescription_gy", "prescription_kind", "plan",
    "registration", "notes",
)  # fmt: skip


def write_tables(
    analysis: Analysis, folder: Path, computed: str = "", shown: Mapping[str, str] | None = None
) -> list[str]:
    """Write the tables as CSV, HTML, LaTeX and as a workbook, and return the files' names.

    Args:
        computed: when the results were computed (ISO 8601).
        shown: what candidates are called in reports, by their names (Cohort.shown_names). Tables
            for programs have the names, as metrics.json does.

    Raises:
        SyntheticCTError: a file cannot be written.
    """
    written = []
    page = template_environment(Path(__file__).parent).get_template("table.html")
    for table in filter(None, analysis.tables.values()):
        name = f"table{table.number}"
        html = page.render(
            table=table,
            colours=analysis.values.colours,
            definitions=short_definitions(analysis.definitions),
            synthetic_note=SYNTHETIC_NOTE,
        )
        write_text(folder / f"{name}.html", html)
        write_table_csv(table, folder / f"{name}.csv")
        write_text(folder / f"{name}.tex", table_latex(table))
        written += [f"{name}.{kind}" for kind in ("html", "csv", "tex")]
    further = dict(_further(analysis))
    for name, sheet in further.items():
        write_sheet_csv(sheet, folder / name, shown)
        written.append(name)
    if analysis.agreements:
        write_text(folder / "agreement.tex", _agreement_latex(analysis))
        written.append("agreement.tex")
    write_all_figures_csv(analysis.values, folder / "all_figures.csv", shown)
    write_statistics_csv(analysis.comparisons, folder / "statistics.csv", shown)
    if analysis.values.candidates and not missing():
        write_workbook(_workbook(analysis, further.values()), folder / WORKBOOK, computed)
        written.append(WORKBOOK)
    return written


def write_cohort_metrics(cohort: Cohort, analysis: Analysis, notes: list[str], path: Path) -> None:
    """Write the cohort's metrics.json (see cohort_metrics.schema.json).

    Args:
        cohort: with its candidates by their names, which this file keeps as keys.
        analysis: of the cohort as it is shown (Cohort.as_shown).

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    values = analysis.values
    means: dict[str, dict[str, Any]] = {}
    for candidate in values.candidates:
        means[candidate] = {}
        for key in values.keys:
            mean, sd, n = mean_and_sd(values.of(candidate, key))
            if n:
                means[candidate][key_text(key)] = {"mean": mean, "sd": sd, "n": n}
    group = {
        "baseline": values.baseline,
        "candidates": values.candidates,
        "means": means,
        "statistics": [comparison_entry(c) for c in analysis.comparisons],
        "agreement": [agreement_entry(each) for each in analysis.agreements],
        "korsholm2014": {
            each.candidate: {"state": each.state, "sentence": each.sentence, "points": each.points}
            for each in analysis.statements
        },
        "outliers": [vars(outlier) for outlier in analysis.outliers],
        "acceptance": {
            "files": [
                {"name": a.name, "source": a.source, "sha256": a.sha256, "text": a.text}
                for a in cohort.acceptances()
            ],
            "counts": [count.entry() for count in analysis.counts],
        }
        if cohort.acceptances()
        else None,
    }
    metrics = {
        "schema": SCHEMA,
        "note": SYNTHETIC_NOTE,
        "definitions": analysis.definitions,
        **_renamed(group, {called: name for name, called in cohort.shown_names().items()}),
        "patients": {
            record.patient: {
                key: record.metrics[key] for key in _OF_PATIENTS if key in record.metrics
            }
            for record in cohort.patients
        },
        "failed": cohort.failed,
        "notes": notes,
        "origin": cohort.origin,
    }
    text = json.dumps(finite(metrics), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return ``value`` with keys and texts that are one of ``names`` exchanged for what it has."""
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    with staged_file(path) as stage:
        stage.write_text(text, encoding="utf-8")


def _agreement_latex(analysis: Analysis) -> str:
    groups: dict[str, list[list[str]]] = {}
    for each in analysis.agreements:
        cells = agreement_cells(each)
        cells[-1] += "" if each.normal else ", not normal"
        groups.setdefault(agreement_group(each), []).append(cells)
    notes = [str(analysis.definitions["agreement"])]
    title = "Dose on candidates minus dose on the true CT"
    return rows_latex(title, AGREEMENT_HEAD, groups, notes, texts=2)


def _further(analysis: Analysis) -> Iterator[tuple[str, Sheet]]:
    """Yield the tables that are not the paper's, where they have rows, by their CSV's name."""
    for name, sheet in (
        ("agreement.csv", sheets.agreement_sheet(analysis.agreements)),
        ("korsholm2014.csv", sheets.korsholm_sheet(analysis.statements)),
        ("limits.csv", sheets.limits_sheet(analysis.counts)),
        ("outliers.csv", sheets.outliers_sheet(analysis.outliers)),
    ):
        if sheet.rows:
            yield name, sheet


def _workbook(analysis: Analysis, further: Iterable[Sheet]) -> list[Sheet]:
    found = [
        sheets.table_sheet(table, analysis.comparisons)
        for table in filter(None, analysis.tables.values())
    ]
    found += further
    found += [sheets.statistics_sheet(analysis.comparisons), sheets.figures_sheet(analysis.values)]
    found.append(sheets.definitions_sheet(analysis.definitions))
    return [sheet for sheet in found if sheet.rows]
