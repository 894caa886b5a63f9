"""Names and their numbers as people write them: "PTV45=45; PTV55=55"."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from .errors import SyntheticCTError

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""Python's float takes 1_0 and digits of other scripts as well, which people do not mean."""


class NamedNumbers(NamedTuple):
    """What such numbers are, for the sentences that refuse others.

    Attributes:
        what: has the name, such as "target".
        quantity: has the number, such as "dose", in ``unit``.
        example: such as ("PTV45", 45).
    """

    what: str
    quantity: str
    unit: str
    example: tuple[str, float]

    def read(self, texts: str | Iterable[str]) -> tuple[tuple[str, float], ...]:
        """Return names and numbers in the order in which they were given.

        Args:
            texts: one NAME=NUMBER each, or all in one text with ";" between them.

        Raises:
            SyntheticCTError: one that has no name or no number, or a name that is given twice.
        """
        if isinstance(texts, str):
            texts = (part for part in texts.split(";") if part.strip())
        found: dict[str, float] = {}
        for name, number in map(self._one, texts):
            if name in found:
                raise SyntheticCTError(
                    f"The {self.what} {name} is given twice: give every one its {self.quantity} "
                    "once."
                )
            found[name] = number
        return tuple(found.items())

    def _one(self, text: str) -> tuple[str, float]:
        name, _, number = (part.strip() for part in text.rpartition("="))
        known, usual = self.example
        if not name:
            raise SyntheticCTError(
                f"{text!r} names no {self.what} and its {self.quantity} in {self.unit}: write "
                f"NAME={self.unit.upper()}, such as {known}={usual:g}."
            )
        value = float(number) if _NUMBER.fullmatch(number) else math.inf
        if not math.isfinite(value):
            raise SyntheticCTError(
                f"The {self.quantity} {number!r} of the {self.what} {name} is no number: write "
                f"{name}={usual:g}."
            )
        return name, value
