"""What a cohort leaves for eyes and for papers: report, tables, statistics, figures."""

from __future__ import annotations

import json
import os
import urllib.parse
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.marks import SYNTHETIC_NOTE

from SyntheticCTEvalLib.cohort.records import METRICS, Cohort, CohortPictures, PatientRecord
from SyntheticCTEvalLib.evaluation.quantities import finite
from SyntheticCTEvalLib.pictures.planes import Picture
from SyntheticCTEvalLib.report.origin_part import origin_facts
from SyntheticCTEvalLib.report.page import template_environment

from . import charts, figures
from .comparison import (
    CONFIRMATORY,
    DEFINITIONS,
    EXPLORATORY,
    CohortComparison,
    compare_cohort,
    comparison_entry,
    printed_p,
    write_statistics_csv,
)
from .tables import MISSING, make_table, mean_and_sd, write_all_figures_csv, write_table_csv
from .values import TABLES, CohortValues, key_text

TITLE = "Evaluation of synthetic CT over a cohort"
REPORT, FIGURES = "report.html", "figures"

MISSING_FIGURES = {
    "figure1": "no patient has slices to show",
    "figure2": "no patient has both dose and gamma",
    "figure3": "no patient has MR histograms before and after Nyul, for want of an MR or a model",
    "figure6": "no patient has an MR to show the candidates against",
    "boxplots": "no patient has a figure of Tables 1 to 3",
    "dvh_differences": "no patient has dose-volume figures, for want of dose or structures",
}
_WORDS = {
    "figure1": "Figure 1", "figure2": "Figure 2", "figure3": "Figure 3", "figure6": "Figure 6",
    "boxplots": "The picture of box plots", "dvh_differences": "The picture of dose-volume "
    "differences",
}  # fmt: skip


@dataclass
class PatientLine:
    """A line of the report's list of patients."""

    name: str
    link: str
    candidates: list[str]
    prescription: str
    notes: list[str]


@dataclass
class ComparisonLine:
    """A line of the report's statistics, ready to be printed."""

    label: str
    unit: str
    candidate: str
    better: str
    difference: str
    interval: str
    p: str
    holm_p: str
    shapiro_p: str
    test: str
    effect: str
    n: int
    significant: bool


def write_cohort(cohort: Cohort, folder: Path, *, progress: Progress = SILENT) -> None:
    """Write report.html, tables, statistics, figures and metrics.json into ``folder``.

    Tables and figures for which there is nothing are left out, and named in the notes; those of
    an earlier run are removed then.

    Args:
        folder: exists; the patients' own results lie in patients/<name> beneath it.

    Raises:
        SyntheticCTError: a file cannot be written.
    """
    folder = Path(folder)
    step = "Cohort report"
    progress.report(step, 0)
    values = CohortValues.of_cohort(cohort)
    comparisons = compare_cohort(values)
    tables = [make_table(number, values, comparisons) for number in TABLES]
    progress.report(step, 0.2)
    notes = list(cohort.notes)
    pictures = {}
    for number, (name, picture) in enumerate(_pictures(cohort, values, comparisons, notes)):
        pictures[name] = picture
        progress.report(step, min(0.2 + 0.1 * (number + 1), 0.8))
    notes += _missing(values, tables, pictures)
    notes = list(dict.fromkeys(notes))
    definitions = _definitions(cohort, values)
    there = [table for table in tables if table is not None]

    environment = template_environment(Path(__file__).parent)
    written = []
    for table in there:
        page = environment.get_template("table.html").render(
            table=table,
            colours=values.colours,
            definitions=_short(definitions),
            synthetic_note=SYNTHETIC_NOTE,
        )
        _write_text(folder / f"table{table.number}.html", page)
        write_table_csv(table, folder / f"table{table.number}.csv")
        written += [f"table{table.number}.html", f"table{table.number}.csv"]
    write_all_figures_csv(values, folder / "all_figures.csv")
    write_statistics_csv(comparisons, folder / "statistics.csv")
    for name, picture in pictures.items():
        with staged_file(folder / FIGURES / f"{name}.png") as stage:
            stage.write_bytes(picture.png)
        written.append(f"{FIGURES}/{name}.png")
    metrics = _metrics(cohort, values, comparisons, definitions, notes)
    text = json.dumps(finite(metrics), indent=2, ensure_ascii=False, allow_nan=False)
    _write_text(folder / METRICS, text + "\n")
    lines = {
        family: [_line(c) for c in comparisons if c.family == family and c.result is not None]
        for family in (CONFIRMATORY, EXPLORATORY)
    }
    html = environment.get_template("study.html").render(
        title=TITLE,
        synthetic_note=SYNTHETIC_NOTE,
        summary=_summary(cohort, values),
        failed=cohort.failed,
        notes=notes,
        values=values,
        tables=there,
        confirmatory=lines[CONFIRMATORY],
        exploratory=lines[EXPLORATORY],
        untested=_untested(comparisons, values),
        pictures=list(pictures.values()),
        patients=[_patient_line(record, folder) for record in cohort.patients],
        definitions=_short(definitions),
    )
    _remove_stale(folder, written)
    _write_text(folder / REPORT, html)
    progress.report(step, 1)


def _pictures(
    cohort: Cohort, values: CohortValues, comparisons: list[CohortComparison], notes: list[str]
) -> Iterator[tuple[str, Picture]]:
    """Yield the figures that there are, by file name, and note what could not be read."""
    slices: dict[str, CohortPictures] = {}
    gpr: dict[str, dict[str, dict[str, float]]] = {}
    for record in cohort.patients:
        try:
            slices[record.patient] = record.pictures()
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            notes.append(f"The slices of {record.patient} cannot be read: evaluate it anew.")
        candidates = record.metrics.get("candidates", {})
        gpr[record.patient] = {name: c.get("gpr", {}) for name, c in candidates.items()}
    single = {
        "figure1": lambda: figures.figure1(values, slices, registered=cohort.registered),
        "figure3": lambda: charts.figure3(slices),
        "figure6": lambda: figures.figure6(values, slices),
        "boxplots": lambda: charts.box_plots(values, comparisons),
        "dvh_differences": lambda: charts.dvh_differences(values),
    }
    for name, make in single.items():
        if name == "figure3":
            for page, picture in enumerate(figures.figure2(values, slices, gpr), start=1):
                yield ("figure2" if page == 1 else f"figure2_page{page}"), picture
        picture = make()
        if picture is not None:
            yield name, picture


def _missing(
    values: CohortValues, tables: list[Any], pictures: dict[str, Picture]
) -> Iterator[str]:
    for number, table in zip(TABLES, tables, strict=True):
        if table is None:
            yield f"Table {number} is left out: {MISSING[number]}."
    for name, reason in MISSING_FIGURES.items():
        if name not in pictures:
            yield f"{_WORDS[name]} is left out: {reason}."
    if not values.baseline and values.candidates:
        yield "Nothing was tested: there is no candidate that the others could be compared with."
    elif len(values.candidates) == 1:
        yield f"Nothing was tested: {values.candidates[0]} is the only candidate."


def _definitions(cohort: Cohort, values: CohortValues) -> dict[str, str | dict[str, str]]:
    """Return the definition of every figure: one line, or a line a patient where they differ."""
    found: dict[str, dict[str, str]] = {}
    for record in cohort.patients:
        for key, text in record.metrics.get("definitions", {}).items():
            found.setdefault(key, {})[record.patient] = text
    merged: dict[str, str | dict[str, str]] = {
        key: next(iter(texts.values())) if len(set(texts.values())) == 1 else texts
        for key, texts in found.items()
    }
    if values.candidates:
        merged |= DEFINITIONS
    return merged


def _short(definitions: dict[str, str | dict[str, str]]) -> dict[str, str]:
    """Return one line for each definition; where patients differ, the first one's."""
    short = {}
    for key, found in definitions.items():
        if isinstance(found, dict):
            patient, text = next(iter(found.items()))
            found = (
                f"{text} (Of {patient}; this line differs between patients and is in each one's "
                "report and in metrics.json.)"
            )
        short[key] = found
    return short


def _metrics(
    cohort: Cohort,
    values: CohortValues,
    comparisons: list[CohortComparison],
    definitions: dict[str, Any],
    notes: list[str],
) -> dict[str, Any]:
    """Return the content of the cohort's metrics.json."""
    means: dict[str, dict[str, Any]] = {}
    for candidate in values.candidates:
        means[candidate] = {}
        for key in values.keys:
            mean, sd, n = mean_and_sd(values.of(candidate, key))
            if n:
                means[candidate][key_text(key)] = {"mean": mean, "sd": sd, "n": n}
    return {
        "note": SYNTHETIC_NOTE,
        "definitions": definitions,
        "baseline": values.baseline,
        "candidates": values.candidates,
        "patients": {
            record.patient: {
                key: record.metrics[key]
                for key in ("candidates", "dvh_ct", "prescription_gy", "notes")
                if key in record.metrics
            }
            for record in cohort.patients
        },
        "means": means,
        "statistics": [comparison_entry(c) for c in comparisons],
        "failed": cohort.failed,
        "notes": notes,
        "origin": cohort.origin,
    }


def _summary(cohort: Cohort, values: CohortValues) -> str:
    count = len(cohort.patients)
    said = f"{count} {'patient' if count == 1 else 'patients'} evaluated"
    if cohort.failed:
        said += f", {len(cohort.failed)} not (see below)"
    if values.candidates:
        said += f". Candidates, held against the true CT: {', '.join(values.candidates)}"
    if values.baseline and len(values.candidates) > 1:
        said += f"; the others are compared with {values.baseline}"
    for what, text in origin_facts(cohort.origin):
        said += f". {what}: {text}"
    return said + "."


def _untested(comparisons: list[CohortComparison], values: CohortValues) -> list[str]:
    """Say in one sentence a reason what was not tested."""
    reasons: dict[str, list[str]] = {}
    for comparison in comparisons:
        if comparison.reason:
            name = comparison.label
            if len(values.candidates) > 2:
                name += f" of {comparison.candidate}"
            reasons.setdefault(comparison.reason, []).append(name)
    return [f"Not tested: {', '.join(names)}. {why}" for why, names in reasons.items()]


def _line(comparison: CohortComparison) -> ComparisonLine:
    result, quantity = comparison.result, comparison.quantity
    digits = quantity.digits + (quantity.unit in ("HU", "mm"))
    low, high = (_signed(bound, digits) for bound in result.interval)
    effect = "dz" if result.effect_name.startswith("Cohen") else "r"
    return ComparisonLine(
        label=comparison.label,
        unit=quantity.unit,
        candidate=comparison.candidate,
        better=comparison.better,
        difference=_signed(result.difference, digits),
        interval=f"{low} to {high}",
        p=printed_p(result.p),
        holm_p=printed_p(comparison.holm_p),
        shapiro_p=printed_p(result.shapiro_p),
        test=result.test,
        effect=f"{effect} = {_signed(result.effect, 2)}",
        n=result.n,
        significant=comparison.significant,
    )


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    if text in ("+nan", "nan"):
        return "n/a"
    text = text[1:] if float(text) == 0 else text
    return text.replace("-", "\N{MINUS SIGN}")


def _patient_line(record: PatientRecord, folder: Path) -> PatientLine:
    prescription = record.metrics.get("prescription_gy")
    own = record.folder / REPORT
    link = ""
    if own.is_file():
        relative = os.path.relpath(own, folder).replace(os.sep, "/")
        link = urllib.parse.quote(relative)
    return PatientLine(
        name=record.patient,
        link=link,
        candidates=list(record.metrics.get("candidates", {})),
        prescription=f"{prescription:g} Gy" if prescription else "",
        notes=list(record.metrics.get("notes", [])),
    )


def _remove_stale(folder: Path, written: list[str]) -> None:
    """Remove tables and figures of an earlier run that this one does not have."""
    own = [f"table{number}.{kind}" for number in TABLES for kind in ("csv", "html")]
    own += [f"{FIGURES}/{name}.png" for name in MISSING_FIGURES]
    own += [f"{FIGURES}/{path.name}" for path in (folder / FIGURES).glob("figure2_page*.png")]
    for name in set(own) - set(written):
        (folder / name).unlink(missing_ok=True)


def _write_text(path: Path, text: str) -> None:
    with staged_file(path) as stage:
        stage.write_text(text, encoding="utf-8")
