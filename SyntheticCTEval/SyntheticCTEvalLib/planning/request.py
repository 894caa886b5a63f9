"""What a plan is asked for: the targets' doses, fractions, arcs, organs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.named_numbers import NamedNumbers

from .objectives import Objective

MOST_GY = 100.0
_LEVELS = NamedNumbers("target", "dose", "Gy", ("PTV45", 45))


@dataclass(frozen=True)
class PlanRequest:
    """What a plan is asked for.

    Attributes:
        levels: target and its dose in Gy of the whole course; none where no plan is asked for.
        fractions: how often it is delivered.
        arcs: 1 to 3.
        objectives: of organs by name; None for those that are shipped.
        spacing_mm: of the grid that is planned on.
    """

    levels: tuple[tuple[str, float], ...] = ()
    fractions: int = 25
    arcs: int = 2
    objectives: tuple[Objective, ...] | None = None
    spacing_mm: float = 5.0

    @property
    def highest(self) -> str | None:
        """The target of the highest level; None where there is none."""
        return max(self.levels, key=lambda level: level[1])[0] if self.levels else None

    @property
    def told(self) -> str:
        """The request in words: "2 arcs for PTV55 55 Gy, PTV45 45 Gy in 25 fractions"."""
        levels = ", ".join(f"{name} {dose:g} Gy" for name, dose in highest_first(self.levels))
        arcs = "1 arc" if self.arcs == 1 else f"{self.arcs} arcs"
        fractions = "1 fraction" if self.fractions == 1 else f"{self.fractions} fractions"
        return f"{arcs} for {levels} in {fractions}"

    def require_targets(self, structures: Iterable[str]) -> None:
        """Refuse what no plan can be made for.

        Raises:
            SyntheticCTError: a target that is not among ``structures``, a dose that none can be, or
                a number of fractions or arcs that there is not.
        """
        require_levels(dict(self.levels), structures)
        if self.fractions < 1:
            raise SyntheticCTError(
                f"A plan in {self.fractions} fractions gives no dose: give at least 1."
            )
        if not 1 <= self.arcs <= 3:
            raise SyntheticCTError(f"{self.arcs} arcs are not planned: give 1 to 3.")


def highest_first(levels: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return targets and doses in the order in which plan, table and text name them."""
    return sorted(levels, key=lambda level: -level[1])


def require_levels(levels: Mapping[str, float], structures: Iterable[str]) -> None:
    """Refuse targets that are not there, and doses that none can be.

    Raises:
        SyntheticCTError: such a one, by its name.
    """
    structures = list(structures)
    if not levels:
        raise SyntheticCTError("No target is given: name targets and doses, such as PTV=45.")
    for name, level in levels.items():
        if name not in structures:
            raise SyntheticCTError(
                f"There is no structure {name} to plan for: there are "
                f"{', '.join(structures) or 'none'}."
            )
        if not (math.isfinite(level) and 0 < level <= MOST_GY):
            raise SyntheticCTError(
                f"The target {name} is prescribed {level:g} Gy: give a dose above 0 and up to "
                f"{MOST_GY:g} Gy."
            )


def split_targets(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return structures that are named, and those that are named with a dose ("PTV45=45").

    A name that has a "=" of its own ends in one more ("PTV=45=", see :func:`named_target`).
    """
    names, levels = [], []
    for text in texts:
        name, separator, dose = text.rpartition("=")
        if not separator:
            names.append(text)
        elif "=" in name and not dose.strip():
            names.append(name)
        else:
            levels.append(text)
    return names, levels


def named_target(name: str) -> str:
    """Return how a structure is named where a dose could follow, see :func:`split_targets`."""
    return f"{name}=" if "=" in name else name


def parse_levels(texts: str | Iterable[str]) -> tuple[tuple[str, float], ...]:
    """Return targets and doses in Gy of "PTV45=45; PTV55=55", or of one text a target.

    Raises:
        SyntheticCTError: one of them names no target, or no dose that can be, or one twice.
    """
    levels = _LEVELS.read(texts)
    require_levels(dict(levels), dict(levels))
    return levels
