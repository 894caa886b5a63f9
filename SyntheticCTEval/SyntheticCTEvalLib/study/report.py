"""What a cohort leaves for eyes and for papers: report, tables, statistics, figures."""

from __future__ import annotations

import os
import urllib.parse
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.marks import SYNTHETIC_NOTE

from SyntheticCTEvalLib.cohort.records import METRICS, Cohort, CohortPictures, PatientRecord
from SyntheticCTEvalLib.evaluation.quantities import signed
from SyntheticCTEvalLib.group.agreement import MAIN_POINTS, Agreement
from SyntheticCTEvalLib.group.analysis import Analysis, analyse, short_definitions
from SyntheticCTEvalLib.group.comparison import (
    CONFIRMATORY,
    EXPLORATORY,
    CohortComparison,
    printed_p,
)
from SyntheticCTEvalLib.group.tables import MISSING
from SyntheticCTEvalLib.group.values import CohortValues
from SyntheticCTEvalLib.pictures.planes import Picture
from SyntheticCTEvalLib.report.blocks import Table, facts_table
from SyntheticCTEvalLib.report.origin_part import inputs_table, origin_facts
from SyntheticCTEvalLib.report.page import template_environment

from . import agreement_charts, charts, figures
from .files import OWN, write_cohort_metrics, write_tables, write_text
from .headline import identity_lines, registration_ways, registration_words
from .result_tables import agreement_table, limits_table, statements_table
from .workbook import missing as no_workbook

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
_MAY_LACK = ("paired", "bland_altman", "bland_altman_dose")
"""Figures that need several candidates or a target's doses, which other notes speak of."""

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
class OutlierLine:
    """A line of the report's outliers, ready to be printed."""

    name: str
    link: str
    candidate: str
    label: str
    value: str
    outside: str
    rule: str


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
    names, cohort = cohort, cohort.as_shown()
    found = analyse(cohort)
    progress.report(step, 0.2)
    notes = list(cohort.notes)
    pictures = {}
    for number, (name, picture) in enumerate(_pictures(cohort, found, notes)):
        pictures[name] = picture
        progress.report(step, min(0.2 + 0.1 * (number + 1), 0.8))
    notes += _missing(found, pictures)
    if len(cohort.acceptances()) > 1:
        notes.append(
            "Patients have limits of different files: each was held against its own, and the group "
            "against none."
        )
    if len(registration_ways(cohort)) > 1:
        notes.append(
            "Patients were not laid on their true CTs in one way, which shows in every figure of "
            f"images and doses: {registration_words(cohort)}."
        )
    if (reason := no_workbook()) and found.values.candidates:
        notes.append(reason)
    notes = list(dict.fromkeys(notes))
    written = write_tables(found, folder, cohort.origin.get("date", ""), names.shown_names())
    for name, picture in pictures.items():
        with staged_file(folder / FIGURES / f"{name}.png") as stage:
            stage.write_bytes(picture.png)
        written.append(f"{FIGURES}/{name}.png")
    write_cohort_metrics(names, found, notes, folder / METRICS)
    html = _page(cohort, found, pictures, notes, folder)
    _remove_stale(folder, written)
    write_text(folder / REPORT, html)
    progress.report(step, 1)


def _page(
    cohort: Cohort,
    found: Analysis,
    pictures: dict[str, Picture],
    notes: list[str],
    folder: Path,
) -> str:
    values = found.values
    lines = {
        family: [_line(c) for c in found.comparisons if c.family == family and c.result is not None]
        for family in (CONFIRMATORY, EXPLORATORY)
    }
    patients = [_patient_line(record, folder) for record in cohort.patients]
    target = [each for each in found.agreements if each.of_target and _is_shown(values, each)]
    others = [each for each in found.agreements if not each.of_target and _is_shown(values, each)]
    first = []
    if found.counts:
        names = ", ".join(acceptance.name for acceptance in cohort.acceptances())
        first.append(limits_table(values, found.counts, names))
    if found.statements:
        first.append(statements_table(values, found.statements))
    return (
        template_environment(Path(__file__).parent)
        .get_template("study.html")
        .render(
            title=TITLE,
            synthetic_note=SYNTHETIC_NOTE,
            identity=identity_lines(cohort, values),
            first=first,
            failed=cohort.failed,
            notes=notes,
            values=values,
            tables=[table for table in found.tables.values() if table is not None],
            confirmatory=lines[CONFIRMATORY],
            exploratory=lines[EXPLORATORY],
            untested=_untested(found.comparisons, values),
            target=_agreement(found, target, "Dose in the patients' targets"),
            others=_agreement(found, others, "Dose in the other structures"),
            outliers=_outlier_lines(found, patients),
            pictures=list(pictures.values()),
            patients=patients,
            origin=_origin_tables(cohort),
            definitions=short_definitions(found.definitions),
        )
    )


def _origin_tables(cohort: Cohort) -> list[Table]:
    if not cohort.origin:
        return []
    tables = [facts_table("", origin_facts(cohort.origin)), inputs_table(cohort.origin)]
    return [table for table in tables if table is not None]


def _agreement(found: Analysis, agreements: list[Agreement], caption: str) -> Table | None:
    if not agreements:
        return None
    return agreement_table(found.values, agreements, caption, limits=bool(found.counts))


def _is_shown(values: CohortValues, agreement: Agreement) -> bool:
    """Whether the page has room for a point: those of the patients' reports, and the main ones."""
    structures = values.targets if agreement.of_target else [agreement.key[1]]
    points = {point for name in structures for point in values.shown_points.get(name, ())}
    return agreement.point in (points | set(MAIN_POINTS))


def _outlier_lines(found: Analysis, patients: list[PatientLine]) -> list[OutlierLine]:
    links = {patient.name: patient.link for patient in patients}
    return [
        OutlierLine(
            name=each.patient,
            link=links.get(each.patient, ""),
            candidate=each.candidate,
            label=each.label,
            value=f"{signed(each.value, each.digits).removeprefix('+')} {each.unit}".strip(),
            outside=f"{signed(each.low, each.digits).removeprefix('+')} to "
            f"{signed(each.high, each.digits).removeprefix('+')}",
            rule=each.rule,
        )
        for each in found.outliers
    ]


def _pictures(cohort: Cohort, found: Analysis, notes: list[str]) -> Iterator[tuple[str, Picture]]:
    """Yield the figures that there are, by file name, and note what could not be read."""
    values, main = found.values, found.figures
    slices: dict[str, CohortPictures] = {}
    registered = {record.patient: record.registered for record in cohort.patients}
    gpr: dict[str, dict[str, dict[str, float]]] = {}
    for record in cohort.patients:
        try:
            slices[record.patient] = record.pictures()
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            notes.append(f"The slices of {record.patient} cannot be read: evaluate it anew.")
        candidates = record.metrics.get("candidates", {})
        gpr[record.patient] = {name: c.get("gpr", {}) for name, c in candidates.items()}
    single = {
        "figure1": lambda: figures.figure1(values, slices, registered),
        "figure3": lambda: charts.figure3(slices),
        "figure6": lambda: figures.figure6(values, slices),
        "boxplots": lambda: charts.box_plots(values, found.comparisons),
        "paired": lambda: agreement_charts.paired(values, main),
        "bland_altman": lambda: agreement_charts.bland_altman_candidates(values, main),
        "bland_altman_dose": lambda: agreement_charts.bland_altman_dose(values, main),
        "dvh_differences": lambda: charts.dvh_differences(values),
    }
    for name, make in single.items():
        if name == "figure3":
            for page, picture in enumerate(figures.figure2(values, slices, gpr), start=1):
                yield ("figure2" if page == 1 else f"figure2_page{page}"), picture
        picture = make()
        if picture is not None:
            yield name, picture


def _missing(found: Analysis, pictures: dict[str, Picture]) -> Iterator[str]:
    values = found.values
    for number, table in found.tables.items():
        if table is None:
            yield f"Table {number} is left out: {MISSING[number]}."
    for name, reason in MISSING_FIGURES.items():
        if name not in pictures:
            yield f"{_WORDS[name]} is left out: {reason}."
    if not values.baseline and values.candidates:
        yield "Nothing was tested: there is no candidate that the others could be compared with."
    elif len(values.candidates) == 1:
        yield f"Nothing was tested: {values.candidates[0]} is the only candidate."


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
    low, high = (signed(bound, digits) for bound in result.interval)
    effect = "dz" if result.effect_name.startswith("Cohen") else "r"
    return ComparisonLine(
        label=comparison.label,
        unit=quantity.unit,
        candidate=comparison.candidate,
        better=comparison.better,
        difference=signed(result.difference, digits),
        interval=f"{low} to {high}",
        p=printed_p(result.p),
        holm_p=printed_p(comparison.holm_p),
        shapiro_p=printed_p(result.shapiro_p),
        test=result.test,
        effect=f"{effect} = {signed(result.effect, 2)}",
        n=result.n,
        significant=comparison.significant,
    )


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
    own = [*OWN, *(f"{FIGURES}/{name}.png" for name in (*MISSING_FIGURES, *_MAY_LACK))]
    own += [f"{FIGURES}/{path.name}" for path in (folder / FIGURES).glob("figure2_page*.png")]
    for name in set(own) - set(written):
        (folder / name).unlink(missing_ok=True)
