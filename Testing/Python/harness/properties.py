"""Help for writing stand-ins of widgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Property
from PySide6.QtWidgets import QWidget


def stored(kind: Any, name: str, default: Any = None, changed: str | None = None) -> Property:
    """A property that is kept and calls the method ``changed`` when it is set."""

    def get(self: Any) -> Any:
        return self.__dict__.setdefault("_stored", {}).get(name, default)

    def put(self: Any, value: Any) -> None:
        self.__dict__.setdefault("_stored", {})[name] = value
        if changed:
            getattr(self, changed)()

    return Property(kind, get, put)


def of_part(kind: Any, part: str, getter: str, setter: str) -> Property:
    """A property of the widget inside that the attribute ``part`` names."""
    return Property(
        kind,
        lambda self: getattr(getattr(self, part), getter)(),
        lambda self, value: getattr(getattr(self, part), setter)(value),
    )


def parent_of(arguments: Sequence[Any]) -> QWidget | None:
    """The parent among the arguments of a constructor, which may begin with others."""
    return next((argument for argument in arguments if isinstance(argument, QWidget)), None)
