"""Settings whose node is being removed are emptied: selectors would move on to a neighbour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def empty_settings(parameters: Any, names: Iterable[str], node: Any) -> None:
    """Empty those of the settings ``names`` that hold ``node``, which is about to be removed.

    :param parameters: parameter node, None where the panel has none at the moment.
    """
    for name in names if parameters is not None else ():
        if getattr(parameters, name) is node:
            setattr(parameters, name, None)
