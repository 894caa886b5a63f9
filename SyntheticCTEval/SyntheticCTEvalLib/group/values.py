"""The figures of a cohort as numbers: one array a candidate and figure, one value a patient."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from SyntheticCTEvalLib.cohort.records import Cohort
from SyntheticCTEvalLib.evaluation.quantities import describe, flat, is_finite, position
from SyntheticCTEvalLib.montecarlo.pass_rate_noise import noise_keys
from SyntheticCTEvalLib.pictures.charts import colours_of

Key = tuple[str, ...]
"""Path into a candidate's entry of metrics.json; the second part is "" where there is none."""

_RATES = ("gpr", "gpr_criteria")
_OF_CUTOFF = (*_RATES, *(key for rates in _RATES for key in noise_keys(rates)))

TABLES: dict[int, tuple[str, ...]] = {
    1: ("ssim", "mae_image", "mae_body"),
    2: ("gpr",),
    3: ("ssim_mr", "dsc_body_mr"),
}
"""Figures of the paper's tables; MAE in the body is what the field reports, beside the paper's."""


@dataclass
class CohortValues:
    """Every scalar figure of a cohort.

    Attributes:
        patients: names, in the manifest's order.
        candidates: names, the baseline first.
        baseline: candidate that the others are compared with; "" where there is none.
        colours: by candidate, as in the patients' reports.
        prescription_gy: prescription of all patients; None where it differs or is not known.
        criterion: name of the gamma criterion that gpr is of; "" where patients differ, which
            have no gpr here then, but gpr_criteria.
        keys: figures that any patient has, in the order in which they are printed.
        targets: name of every patient's target; "" where there is none.
        prescriptions_gy: of every patient; NaN where there is none.
        without_prescription: patients whose largest dose stands for it.
        shown_points: dose-volume points that any patient's report shows, by structure.
    """

    patients: list[str]
    candidates: list[str]
    baseline: str
    colours: dict[str, str]
    prescription_gy: float | None
    criterion: str
    keys: list[Key]
    targets: list[str]
    prescriptions_gy: np.ndarray
    without_prescription: list[str]
    shown_points: dict[str, list[str]]
    _numbers: dict[tuple[str, Key], np.ndarray] = field(repr=False, default_factory=dict)
    _target_ct: list[dict[str, Any]] = field(repr=False, default_factory=list)

    @classmethod
    def of_cohort(cls, cohort: Cohort) -> CohortValues:
        """Collect the figures of ``cohort``; what is not finite becomes NaN."""
        entries = [record.metrics.get("candidates", {}) for record in cohort.patients]
        names = list(dict.fromkeys(name for entry in entries for name in entry))
        baseline = cohort.baseline if cohort.baseline in names else ""
        numbers: dict[tuple[str, Key], np.ndarray] = {}
        firsts = {
            next(iter(metrics["gpr_criteria"]))
            for entry in entries
            for metrics in entry.values()
            if metrics.get("gpr_criteria")
        }
        criterion = firsts.pop() if len(firsts) == 1 else ""
        for row, entry in enumerate(entries):
            for name, metrics in entry.items():
                for key, value in _scalars(metrics, criterion).items():
                    numbers.setdefault((name, key), np.full(len(entries), np.nan))[row] = value
        keys = list(dict.fromkeys(key for _, key in numbers))
        found = {record.metrics.get("prescription_gy") for record in cohort.patients}
        targets = [record.metrics.get("target") or "" for record in cohort.patients]
        return cls(
            patients=[record.patient for record in cohort.patients],
            candidates=sorted(names, key=lambda name: name != baseline),
            baseline=baseline,
            colours=colours_of(names),
            prescription_gy=found.pop() if len(found) == 1 else None,
            criterion=criterion,
            keys=sorted(keys, key=position),
            targets=targets,
            prescriptions_gy=np.array(
                [record.metrics.get("prescription_gy") or np.nan for record in cohort.patients]
            ),
            without_prescription=[
                record.patient
                for record in cohort.patients
                if record.metrics.get("prescription_kind") == "largest"
            ],
            shown_points=_shown_points(cohort),
            _numbers=numbers,
            _target_ct=[
                (record.metrics.get("dvh_ct") or {}).get(target, {})
                for record, target in zip(cohort.patients, targets, strict=True)
            ],
        )

    def of(self, candidate: str, key: Key) -> np.ndarray:
        """Return one value a patient (float64); NaN where there is none."""
        none = np.full(len(self.patients), np.nan)
        return self._numbers.get((candidate, key), none)

    def rows(self) -> Iterator[tuple[str, str, Key, float]]:
        """Yield patient, candidate, key and value of every figure that there is."""
        for column, patient in enumerate(self.patients):
            for candidate in self.candidates:
                for key in self.keys:
                    value = float(self.of(candidate, key)[column])
                    if math.isfinite(value):
                        yield patient, candidate, key, value

    def of_target(self, candidate: str, figure: str) -> np.ndarray:
        """Return a dose-volume figure of every patient's own target; NaN where there is none."""
        rows = [self.of(candidate, ("dvh", target, figure)) for target in self.targets]
        return np.array([row[column] for column, row in enumerate(rows)], float)

    def ct_of_target(self, figure: str) -> np.ndarray:
        """Return a dose-volume figure of every patient's target on the true CT."""
        found = [own.get(figure) for own in self._target_ct]
        return np.array([value if is_finite(value) else np.nan for value in found], float)

    @property
    def target_name(self) -> str:
        """What the patients' target is called: its name where all share one."""
        names = sorted({name for name in self.targets if name})
        if len(names) != 1 or names[0].casefold() == "target":
            return "Target"
        return f"{names[0]} (target)"

    def table_keys(self, number: int) -> list[Key]:
        """Return the figures of one of the paper's tables that any patient has."""
        names = TABLES[number]
        if number == 2 and not any(key[0] == "gpr" for key in self.keys):
            names = ("gpr_criteria",)
        keys = [key for key in self.keys if key[0] in names]
        return sorted(keys, key=lambda key: (names.index(key[0]), key[1:-1], _cutoff(key)))

    def noise_keys(self, key: Key) -> list[Key]:
        """Return what is told of the noise of a pass rate, where any patient has it."""
        told = [(name, *key[1:]) for name in noise_keys(key[0])]
        return [key for key in told if key in self.keys]

    def label(self, key: Key) -> str:
        """Return the name of a figure, the dose of a gamma cutoff with it where it is known."""
        named = ("gpr_criteria", self.criterion, *key[1:])
        label = describe(named if key[0] == "gpr" and self.criterion else key).label
        if key[0] in _OF_CUTOFF and self.prescription_gy:
            label += f" ({_cutoff(key) / 100 * self.prescription_gy:g} Gy)"
        return label


def key_text(key: Key) -> str:
    """Return a key as files have it: "mae_body", "gpr.10", "dvh.bladder.D95_difference"."""
    return ".".join(part for part in key if part)


def _shown_points(cohort: Cohort) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for record in cohort.patients:
        for structure, points in (record.metrics.get("dvh_points") or {}).items():
            found.setdefault(structure, {}).update(dict.fromkeys(points))
    return {structure: list(points) for structure, points in found.items()}


def _cutoff(key: Key) -> float:
    return float(key[-1]) if key[0] in _OF_CUTOFF else 0.0


def _scalars(metrics: dict[str, Any], criterion: str) -> dict[Key, float]:
    """Return a candidate's figures, gpr only where all patients have it by ``criterion``."""
    found: dict[Key, float] = {}
    # Candidates are compared over what all of them cover, where that is not what each covers.
    compared = {key: value for key, value in metrics.items() if key != "common"}
    compared |= metrics.get("common", {})
    twice = ("gpr_criteria", criterion) if criterion else ("gpr",)
    for key, value in flat(compared).items():
        rates = key[0].removesuffix("_noise").removesuffix("_bias")
        if (rates, *key[1 : len(twice)]) == twice and metrics.get("gpr_criteria"):
            continue
        # None is how metrics.json has a figure that does not exist.
        if value is None or is_finite(value) or isinstance(value, float):
            found[key] = float(value) if is_finite(value) else float("nan")
    return found


def rows_by_name(
    header: Sequence[str], rows: Iterable[Sequence[Any]], shown: Mapping[str, str] | None
) -> Iterator[Sequence[Any]]:
    """Yield a table for programs, its header first, with candidates by their names in metrics.json.

    Where reports call one otherwise, a last column shown_as tells how.

    Args:
        rows: with candidates as they are shown.
        shown: what candidates are called in reports, by their names (evaluation.names).
    """
    names = {called: name for name, called in (shown or {}).items() if called != name}
    if not names:
        yield header
        yield from rows
        return
    yield [*header, "shown_as"]
    of, named = header.index("candidate"), {"candidate", "baseline", "better"}
    for row in rows:
        cells = zip(header, row, strict=True)
        yield [*(names.get(c, c) if column in named else c for column, c in cells), row[of]]
