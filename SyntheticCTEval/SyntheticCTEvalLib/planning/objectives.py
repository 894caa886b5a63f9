"""What a plan asks of organs: defaults after common practice, or a file of the user's."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError

from SyntheticCTEvalLib.structures.dvh_points import DvhPoint

SHIPPED = Path(__file__).with_name("objectives.toml")
_KEYS = {"names", "point", "most", "weight"}


@dataclass(frozen=True)
class Objective:
    """An upper limit of a point of an organ's dose-volume histogram.

    Attributes:
        names: words of the structure's name, lower case.
        point: V at a dose in Gy, Dmean or Dmax.
        most: in percent, cm3 or Gy, as the point is.
        weight: against other organs.
    """

    names: tuple[str, ...]
    point: DvhPoint
    most: float
    weight: float = 1.0

    def fits(self, structure: str) -> bool:
        """Whether a structure's name has one of the words."""
        words = re.findall(r"[^\W\d_]+", structure.casefold())
        joined = "".join(words)
        return any(name in words or name == joined for name in self.names)

    @property
    def told(self) -> str:
        """The objective in words: "V40Gy at most 60 %"."""
        unit = "Gy" if self.point.kind != "V" else "cm3" if self.point.in_cm3 else "%"
        return f"{self.point.name} at most {self.most:g} {unit}"


def read_objectives(path: str | os.PathLike = SHIPPED) -> tuple[Objective, ...]:
    """Return the objectives in a TOML file (as objectives.toml beside this one).

    Raises:
        SyntheticCTError: unreadable, or an objective that cannot be one.
    """
    path = Path(path)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SyntheticCTError(
            f"The objectives {path} cannot be read ({error.strerror}): give a TOML file."
        ) from error
    except UnicodeDecodeError as error:
        raise SyntheticCTError(
            f"The objectives {path} are no text in UTF-8: save them as such."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SyntheticCTError(f"The objectives {path} are no TOML: {error}.") from error
    items = found.get("objective")
    if set(found) - {"objective"} or not isinstance(items, list):
        raise SyntheticCTError(
            f"The objectives {path} must be tables named [[objective]] and nothing else: copy "
            f"{SHIPPED} and change it."
        )
    return tuple(_objective(item, n, path) for n, item in enumerate(items, start=1))


def _objective(item: object, number: int, path: Path) -> Objective:
    what = f"Objective {number} of {path}"
    if not isinstance(item, dict) or not {"names", "point", "most"} <= set(item) <= _KEYS:
        raise SyntheticCTError(f"{what} must have names, point and most, and may have a weight.")
    names, most, weight = item["names"], item["most"], item.get("weight", 1.0)
    if not isinstance(names, list) or not names or not all(_is_word(name) for name in names):
        raise SyntheticCTError(f'{what} needs names such as ["bladder"].')
    if not _is_number(most) or not _is_number(weight) or most < 0 or weight <= 0:
        raise SyntheticCTError(f"{what} needs a limit of 0 or more and a weight above 0.")
    point = DvhPoint.parse(str(item["point"]))
    if point.kind not in ("V", "Dmean", "Dmax") or point.unit == "%":
        raise SyntheticCTError(
            f"{what} limits {point.name}, which is not planned with: write V40Gy, V40Gy_cm3, "
            "Dmean or Dmax."
        )
    return Objective(tuple(name.casefold() for name in names), point, float(most), float(weight))


def _is_word(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def of_structure(objectives: Iterable[Objective], structure: str) -> list[Objective]:
    """Return the objectives that a structure's name fits."""
    return [objective for objective in objectives if objective.fits(structure)]
