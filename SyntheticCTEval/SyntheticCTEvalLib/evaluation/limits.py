"""Limits that figures are held against, and what that says: plain data, judged in acceptance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .quantities import HIGHER, LOWER, ZERO, describe, signed

TARGET = "target"
"""As a limit's structure: the target of the evaluation."""

PASS, ACTION, FAIL, MISSING = "pass", "action", "fail", "missing"
"""What a verdict may be, see :attr:`Verdict.state`."""

WORST_FIRST = (FAIL, MISSING, ACTION, PASS)
"""The worst first; what was not evaluated is not accepted."""

MARKS = {PASS: "✓", ACTION: "▲", FAIL: "✗", MISSING: "–"}


def worst(states: Iterable[str]) -> str:
    """Return the worst of ``states`` (:data:`WORST_FIRST`); "" where there is none."""
    return min(states, key=WORST_FIRST.index, default="")


LIMITS_DEFINITION = (
    "Where limits are given: each figure is held, unrounded, against them; levels themselves are "
    "within. Within tolerance; beyond tolerance and within the action level; beyond the action "
    "level, or beyond the only level that is given; not evaluated: there is no such figure, which "
    "is no acceptance. Figures that should be 0 are judged by their size. Pass rates of structures "
    "are of the voxels above the run's lowest dose cutoff, which stands in the limit's name."
)


@dataclass(frozen=True)
class Limit:
    """One limit of an acceptance file; see acceptance.limits.

    Attributes:
        figure: first part of the figure's name in metrics.json, or a dose-volume figure's own
            name, such as "D98_difference".
        better: LOWER, HIGHER or ZERO: which side is good.
        tolerance, action: in the figure's unit; either may be None. For ZERO, of its size.
        criterion: gamma criterion by its name; "" where the figure has none.
        cutoff_percent: dose cutoff of a pass rate; None where the figure has none.
        structure: shell pattern of names, or :data:`TARGET`; "" where the figure has none.
        tissue: of ``tissue_mae``; "" else.
        label: what reports call it; "" for the figure's own label.
    """

    figure: str
    better: str
    tolerance: float | None = None
    action: float | None = None
    criterion: str = ""
    cutoff_percent: float | None = None
    structure: str = ""
    tissue: str = ""
    label: str = ""

    def path(self, structure: str = "") -> tuple[str, ...]:
        """Return where the figure of ``structure`` stands in a candidate's entry."""
        if self.figure == "gpr_criteria":
            return (self.figure, self.criterion, f"{self.cutoff_percent:g}")
        if self.figure == "gpr_structures":
            return (self.figure, structure, self.criterion)
        if self.structure:
            return ("dvh", structure, self.figure)
        return (self.figure, self.tissue) if self.tissue else (self.figure,)

    @property
    def unit(self) -> str:
        """Unit of the figure, the tolerance and the action level."""
        return describe(self.path(self.structure)).unit

    @property
    def levels(self) -> list[tuple[str, float]]:
        """The levels that are given, by what they are called; the strictest first."""
        named = [("tolerance", self.tolerance), ("action level", self.action)]
        return [(name, level) for name, level in named if level is not None]

    @property
    def levels_words(self) -> str:
        """The levels as reports print them."""
        return "; ".join(f"{name} {self.words(level)}" for name, level in self.levels)

    def words(self, level: float) -> str:
        """Return a level as reports print it, "at least 95 %"."""
        side = _SIDES.get(self.better, f"±{_SPACE}")
        return f"{side}{level:g}{_SPACE}{self.unit}".strip()

    def entry(self) -> dict[str, Any]:
        """Return what metrics.json says of the limit beside a verdict."""
        return {"tolerance": self.tolerance, "action": self.action, "better": self.better}


_SIDES = {HIGHER: "at least ", LOWER: "at most "}
_SPACE = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Acceptance:
    """The limits of an acceptance file.

    Attributes:
        name: what they are called.
        source: where they come from.
        limits: in the file's order.
        text: the file as it is.
        sha256: of the file.
        note: what the file says besides.
        file: its name.
    """

    name: str
    source: str
    limits: tuple[Limit, ...]
    text: str
    sha256: str
    note: str = ""
    file: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a limit says of one candidate's figure.

    Attributes:
        limit: the limit.
        path: of the figure in the candidate's entry of metrics.json.
        label: of the limit, with its structure.
        value: the figure; None where there is none.
        state: PASS, ACTION (beyond tolerance, within the action level), FAIL (beyond the last
            level given) or MISSING (there is no value).
        reason: why there is none, in words that follow "not evaluated: ", or why the verdict is
            not sure.
    """

    limit: Limit
    path: tuple[str, ...]
    label: str
    value: float | None
    state: str
    reason: str = ""

    @property
    def mark(self) -> str:
        """A shape that tells states apart without colour."""
        return MARKS[self.state]

    @property
    def words(self) -> str:
        """The verdict in words."""
        if self.state == MISSING:
            return "not evaluated"
        if self.state == ACTION:
            return "beyond tolerance, within action level"
        within = self.state == PASS
        level = self.limit.levels[0 if within else -1][0]
        return f"{'within' if within else 'beyond'} {level}"

    @property
    def printed(self) -> str:
        """The value with as many digits as it takes to show on which side of the limits it is."""
        if self.value is None:
            return "n/a"
        digits = describe(self.path).digits
        levels = [level for _, level in self.limit.levels]
        size = abs(self.value) if self.limit.better == ZERO else self.value
        while digits < 9 and any(
            (round(size, digits) == level) != (size == level) for level in levels
        ):
            digits += 1
        text = signed(self.value, digits)
        return text if self.limit.better == ZERO else text.removeprefix("+")

    def entry(self) -> dict[str, Any]:
        """Return the verdict as metrics.json has it."""
        return {
            "label": self.label,
            "figure": list(self.path),
            "value": self.value,
            "unit": self.limit.unit,
            **self.limit.entry(),
            "verdict": self.state,
            "words": self.words,
            "reason": self.reason,
        }


def acceptance_entry(
    acceptance: Acceptance, verdicts: Mapping[str, Sequence[Verdict]]
) -> dict[str, Any]:
    """Return what metrics.json says of the limits and of every candidate's verdicts."""
    return {
        "name": acceptance.name,
        "source": acceptance.source,
        "note": acceptance.note,
        "sha256": acceptance.sha256,
        "text": acceptance.text,
        "verdicts": {name: [each.entry() for each in found] for name, found in verdicts.items()},
    }
