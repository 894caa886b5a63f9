"""Pairs of MR and CT in the scene that a model is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pair:
    """An MR and a CT of one patient in the scene.

    Attributes:
        mr, ct: volume nodes.
        registered: the MR already lies on the CT's anatomy.
        validation: held out, to tell how the model does on patients it has not seen.
    """

    mr: Any
    ct: Any
    registered: bool = False
    validation: bool = False
