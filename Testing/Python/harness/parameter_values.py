"""How typed parameters are kept in a vtkMRMLScriptedModuleNode, and their validators."""

from __future__ import annotations

import enum
import typing
from pathlib import PurePath
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
    """Whether a type is a class of MRML nodes, or a Union of some."""
    import slicer

    if get_origin(kind) is Union:
        return all(is_node(item) for item in get_args(kind) if item is not type(None))
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


class Parameter:
    """A parameter: its name, type, first value, validators."""

    def __init__(self, name: str, annotated: Any, default: Any, given: bool) -> None:
        self.name, self.annotated = name, annotated
        self.kind, self.annotations = split(annotated)
        self.pack = getattr(self.kind, "_is_parameterPack", False)
        _check_kind(self.kind, name)
        first = next((a.value for a in self.annotations if isinstance(a, Default)), None)
        self.default = default if given else first if first is not None else _plain(self.kind)

    def validate(self, value: Any) -> None:
        """Raise TypeError or ValueError where the parameter must not have a value."""
        _check_value(self.kind, value, self.name)
        for validator in self.annotations:
            if isinstance(validator, Validator):
                validator.validate(value)

    def is_in(self, node: Any, prefix: str = "") -> bool:
        if self.pack:
            first = next(iter(self.kind.allParameters.values()))
            return first.is_in(node, f"{prefix}{self.name}.")
        return node.HasParameter(_first_name(self.kind, prefix + self.name))

    def write(self, node: Any, value: Any, prefix: str = "") -> None:
        self.validate(value)
        if self.pack:
            for part in self.kind.allParameters.values():
                part.write(node, getattr(value, part.name), f"{prefix}{self.name}.")
        else:
            _write(node, prefix + self.name, self.kind, value)

    def read(self, node: Any, prefix: str = "") -> Any:
        name = prefix + self.name
        if not self.pack:
            return _read(node, name, self.kind)
        parts = self.kind.allParameters.values()
        value = self.kind(**{part.name: part.read(node, f"{name}.") for part in parts})
        object.__setattr__(value, "_saved", lambda: self.write(node, value, prefix))
        return value


def parameters_of(owner: type) -> dict[str, Parameter]:
    """Return the parameters that a class declares by its annotations."""
    hints = typing.get_type_hints(owner, include_extras=True)
    return {
        name: Parameter(name, annotated, getattr(owner, name, None), hasattr(owner, name))
        for name, annotated in hints.items()
    }


def _plain(kind: Any) -> Any:
    """The value of a parameter that is given none at first."""
    if is_node(kind):
        return None
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    if get_origin(kind) is tuple:
        return tuple(_plain(part) for part in get_args(kind))
    return (get_origin(kind) or kind)()


def _check_kind(kind: Any, name: str) -> None:
    if getattr(kind, "_is_parameterPack", False) or is_node(kind):
        return
    if get_origin(kind) in (list, tuple, dict):
        for item in get_args(kind):
            _check_kind(item, name)
        return
    simple = kind in (int, float, str, bool)
    if not simple and not (isinstance(kind, type) and issubclass(kind, enum.Enum | PurePath)):
        raise TypeError(f"Slicer cannot keep the type of parameter {name}: {kind}")


def _check_value(kind: Any, value: Any, name: str) -> None:
    if is_node(kind):
        if value is not None and not isinstance(value, get_args(kind) or kind):
            raise TypeError(f"{name} must be of type {kind}, is {value!r}")
        return
    if value is None:
        raise ValueError(f"{name} must not be None")
    wanted = get_origin(kind) or kind
    if not isinstance(value, (int, float) if wanted is float else wanted):
        raise TypeError(f"{name} must be of type {wanted}, is {value!r}")
    parts = get_args(kind)
    if wanted is list:
        for item in value:
            _check_value(parts[0], item, name)
    elif wanted is tuple:
        for part, item in zip(parts, value, strict=True):
            _check_value(part, item, name)
    elif wanted is dict:
        _check_value(list[tuple[parts]], list(value.items()), name)


# Names and texts in the node are those that Slicer writes.


def _first_name(kind: Any, name: str) -> str:
    """The entry of the node that tells whether a parameter is there."""
    if get_origin(kind) in (list, dict):
        return f"{name}_len"
    return f"{name}_0" if get_origin(kind) is tuple else name


def _write(node: Any, name: str, kind: Any, value: Any) -> None:
    origin, parts = get_origin(kind), get_args(kind)
    if is_node(kind):
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)
    elif origin is list:
        before = int(node.GetParameter(f"{name}_len") or 0)
        for index, item in enumerate(value):
            _write(node, f"{name}_{index}", parts[0], item)
        for index in range(len(value), before):
            _remove(node, f"{name}_{index}", parts[0])
        node.SetParameter(f"{name}_len", str(len(value)))
    elif origin is tuple:
        for index, (part, item) in enumerate(zip(parts, value, strict=True)):
            _write(node, f"{name}_{index}", part, item)
    elif origin is dict:
        _write(node, name, list[tuple[parts]], list(value.items()))
    else:
        node.SetParameter(name, value.name if isinstance(value, enum.Enum) else str(value))


def _read(node: Any, name: str, kind: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if is_node(kind):
        return node.GetNodeReference(name)
    if origin is list:
        count = int(node.GetParameter(f"{name}_len"))
        return [_read(node, f"{name}_{index}", parts[0]) for index in range(count)]
    if origin is tuple:
        return tuple(_read(node, f"{name}_{index}", part) for index, part in enumerate(parts))
    if origin is dict:
        return dict(_read(node, name, list[tuple[parts]]))
    text = node.GetParameter(name)
    if kind is bool:
        return text == "True"
    return kind[text] if issubclass(kind, enum.Enum) else kind(text)


def _remove(node: Any, name: str, kind: Any) -> None:
    if is_node(kind):
        node.RemoveNodeReferenceIDs(name)
    for index, part in enumerate(get_args(kind) if get_origin(kind) is tuple else ()):
        _remove(node, f"{name}_{index}", part)
    node.UnsetParameter(_first_name(kind, name))
