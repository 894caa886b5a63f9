"""How typed parameters are kept in a vtkMRMLScriptedModuleNode, and their validators."""

from __future__ import annotations

import enum
import json
import typing
from pathlib import Path, PurePath
from typing import Annotated, Any, Union, get_args, get_origin


class Validator:
    """Refuses values that a parameter must not have."""

    def validate(self, value: Any) -> None:
        raise NotImplementedError


class NotNone(Validator):
    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("Value must not be None")


class WithinRange(Validator):
    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} to {self.maximum}")


class Minimum(Validator):
    def __init__(self, minimum: float) -> None:
        self.minimum = minimum

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"{value} is below {self.minimum}")


class Maximum(Validator):
    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"{value} is above {self.maximum}")


class Choice(Validator):
    def __init__(self, choices: Any) -> None:
        self.choices = choices

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"{value} is none of {self.choices}")


class Annotation:
    """A number that goes to the widget, or the value that a parameter has at first."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Decimals(Annotation):
    pass


class SingleStep(Annotation):
    pass


class Default(Annotation):
    pass


def split(annotated: Any) -> tuple[Any, tuple]:
    """Return the bare type and its annotations."""
    if get_origin(annotated) is Annotated:
        kind, *annotations = get_args(annotated)
        return kind, tuple(annotations)
    return annotated, ()


def is_node(kind: Any) -> bool:
    """Whether a type is a class of MRML nodes, or a union of some."""
    import slicer

    if get_origin(kind) in (Union, type(int | str)):
        return all(is_node(item) or item is type(None) for item in get_args(kind))
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


class Parameter:
    """A parameter: its name, type, first value, validators."""

    def __init__(self, name: str, annotated: Any, default: Any, given: bool) -> None:
        self.name, self.annotated = name, annotated
        self.kind, self.annotations = split(annotated)
        self.pack = getattr(self.kind, "_is_parameterPack", False)
        self.node = not self.pack and is_node(self.kind)
        _check_kind(self.kind, name)
        first = next((a.value for a in self.annotations if isinstance(a, Default)), None)
        self.default = default if given else first if first is not None else self._plain()

    def _plain(self) -> Any:
        if self.node:
            return None
        if isinstance(self.kind, type) and issubclass(self.kind, enum.Enum):
            return next(iter(self.kind))
        return (get_origin(self.kind) or self.kind)()

    def validate(self, value: Any) -> None:
        if not self.node and value is None:
            raise ValueError(f"{self.name} must not be None")
        wanted = get_origin(self.kind) or self.kind
        if value is not None and not (self.node and get_args(self.kind)):
            accepted = (int, float) if wanted is float else wanted
            if not isinstance(value, accepted):
                raise TypeError(f"{self.name} must be of type {wanted}, is {value!r}")
        for validator in self.annotations:
            if isinstance(validator, Validator):
                validator.validate(value)

    def is_in(self, node: Any, prefix: str = "") -> bool:
        if self.pack:
            first = next(iter(self.kind.allParameters.values()))
            return first.is_in(node, f"{prefix}{self.name}.")
        return node.HasParameter(prefix + self.name)

    def write(self, node: Any, value: Any, prefix: str = "") -> None:
        self.validate(value)
        name = prefix + self.name
        if self.pack:
            for part in self.kind.allParameters.values():
                part.write(node, getattr(value, part.name), f"{name}.")
        elif self.node:
            node.SetParameter(name, "")
            node.SetNodeReferenceID(name, value.GetID() if value is not None else None)
        elif _is_node_list(self.kind):
            node.SetParameter(name, "")
            node.RemoveNodeReferenceIDs(name)
            for item in value:
                node.AddNodeReferenceID(name, item.GetID())
        else:
            node.SetParameter(name, _to_text(value))

    def read(self, node: Any, prefix: str = "") -> Any:
        name = prefix + self.name
        if self.pack:
            parts = self.kind.allParameters.values()
            value = self.kind(**{part.name: part.read(node, f"{name}.") for part in parts})
            object.__setattr__(value, "_saved", lambda: self.write(node, value, prefix))
            return value
        if self.node:
            return node.GetNodeReference(name)
        if _is_node_list(self.kind):
            count = node.GetNumberOfNodeReferences(name)
            return [node.GetNthNodeReference(name, index) for index in range(count)]
        return _from_text(self.kind, node.GetParameter(name))


def parameters_of(owner: type) -> dict[str, Parameter]:
    """Return the parameters that a class declares by its annotations."""
    hints = typing.get_type_hints(owner, include_extras=True)
    return {
        name: Parameter(name, annotated, getattr(owner, name, None), hasattr(owner, name))
        for name, annotated in hints.items()
    }


def _is_node_list(kind: Any) -> bool:
    return get_origin(kind) is list and is_node(get_args(kind)[0])


def _check_kind(kind: Any, name: str) -> None:
    if getattr(kind, "_is_parameterPack", False) or is_node(kind):
        return
    origin = get_origin(kind)
    if origin in (list, tuple, dict):
        for item in get_args(kind):
            if item is not Ellipsis:
                _check_kind(item, name)
        return
    simple = kind in (int, float, str, bool)
    if not simple and not (isinstance(kind, type) and issubclass(kind, enum.Enum | PurePath)):
        raise TypeError(f"Slicer cannot keep the type of parameter {name}: {kind}")


def _to_text(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, list | tuple):
        return json.dumps([_to_text(item) for item in value])
    if isinstance(value, dict):
        return json.dumps({_to_text(key): _to_text(item) for key, item in value.items()})
    return str(value)


def _from_text(kind: Any, text: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is list:
        return [_from_text(inner[0], item) for item in json.loads(text)]
    if origin is tuple:
        return tuple(
            _from_text(part, item) for part, item in zip(inner, json.loads(text), strict=True)
        )
    if origin is dict:
        key, value = inner
        return {
            _from_text(key, name): _from_text(value, item)
            for name, item in json.loads(text).items()
        }
    if kind is bool:
        return text == "True"
    if issubclass(kind, enum.Enum):
        return kind[text]
    return Path(text) if kind is Path else kind(text)
