"""``slicer.parameterNodeWrapper``: typed parameters in the scene, connected with widgets.

As in Slicer, a widget is connected only where its very class and the parameter's type go
together; where they do not, connecting raises.
"""

from __future__ import annotations

import enum
import weakref
from collections.abc import Callable
from copy import copy
from pathlib import PurePath
from types import ModuleType
from typing import Any, get_args

from . import parameter_values as values
from .parameter_values import parameters_of, split
from .qt_stand_in import Wrapper, call

NAME_PROPERTY = "SlicerParameterName"
_ANNOTATIONS = (
    values.Choice,
    values.Decimals,
    values.Default,
    values.Maximum,
    values.Minimum,
    values.NotNone,
    values.SingleStep,
    values.Validator,
    values.WithinRange,
)


class Connector:
    """Between a widget and a parameter.

    Args:
        signal: of the widget, emitted when a person has changed it.
    """

    def __init__(self, widget: Any, signal: str, read: Callable, write: Callable) -> None:
        self.widget, self.signal, self.read, self.write = widget, signal, read, write
        self.changed: Callable[[], None] | None = None

    def connect(self, changed: Callable[[], None]) -> None:
        self.changed = lambda: changed()
        self.widget.connect(self.signal, self.changed)

    def disconnect(self) -> None:
        if self.widget:
            self.widget.disconnect(self.signal, self.changed)


def connector(widget: Any, annotated: Any) -> Connector:
    """Return what connects a widget with a parameter of a type; RuntimeError where Slicer has
    nothing for the two."""
    kind, annotations = split(annotated)
    name = widget.className()
    is_class = isinstance(kind, type)
    if kind is bool and name in ("QCheckBox", "QPushButton"):
        if name == "QPushButton":
            widget.checkable = True
        signal = "stateChanged(int)" if name == "QCheckBox" else "toggled(bool)"
        return _property(widget, signal, "checked")
    if kind is int and name in ("QSlider", "QSpinBox"):
        _limit(widget, annotations, -(2**31), 2**31 - 1)
        return _property(widget, "valueChanged(int)", "value")
    if kind is float and name in ("QDoubleSpinBox", "ctkSliderWidget"):
        _limit(widget, annotations, float("-inf"), float("inf"))
        return _property(widget, "valueChanged(double)", "value")
    if kind is str and name == "QLineEdit":
        return _property(widget, "textChanged(QString)", "text")
    if kind is str and name == "QTextEdit":
        return Connector(widget, "textChanged()", widget.toPlainText, widget.setPlainText)
    if name == "QComboBox" and is_class and issubclass(kind, enum.Enum):
        label = getattr(kind, "label", lambda item: item.name)
        return _choices(widget, [(label(item), item) for item in kind])
    if name == "QComboBox" and kind in (int, float, str, bool):
        choice = _first(annotations, values.Choice)
        if choice is None:
            raise RuntimeError(f"{widget.name} needs the annotation Choice")
        return _choices(widget, [(str(item), item) for item in choice.choices])
    if is_class and issubclass(kind, PurePath) and name == "ctkPathLineEdit":
        return _path(widget, "currentPathChanged(QString)", "currentPath", kind)
    if is_class and issubclass(kind, PurePath) and name == "ctkDirectoryButton":
        return _path(widget, "directoryChanged(QString)", "directory", kind)
    if name == "qMRMLNodeComboBox" and values.is_node(kind):
        classes = [item for item in get_args(kind) or (kind,) if item is not type(None)]
        widget.nodeTypes = [item.__name__ for item in classes]
        return Connector(
            widget, "currentNodeChanged(vtkMRMLNode*)", widget.currentNode, widget.setCurrentNode
        )
    raise RuntimeError(f"Unable to create GUI connector from datatype '{kind}' to {name}")


def _property(widget: Any, signal: str, name: str) -> Connector:
    return Connector(
        widget, signal, lambda: getattr(widget, name), lambda value: setattr(widget, name, value)
    )


def _path(widget: Any, signal: str, name: str, kind: type) -> Connector:
    return Connector(
        widget,
        signal,
        lambda: kind(getattr(widget, name)),
        lambda value: setattr(widget, name, str(value)),
    )


def _choices(widget: Any, labelled: list[tuple[str, Any]]) -> Connector:
    widget.clear()
    widget.addItems([label for label, _ in labelled])
    items = [item for _, item in labelled]

    def write(value: Any) -> None:
        widget.currentIndex = items.index(value)

    return Connector(widget, "currentIndexChanged(int)", lambda: items[widget.currentIndex], write)


def _limit(widget: Any, annotations: tuple, lowest: float, highest: float) -> None:
    """Give a widget its decimals, step and limits; without annotations it loses its own."""
    for kind, name in ((values.Decimals, "decimals"), (values.SingleStep, "singleStep")):
        found = _first(annotations, kind)
        if found is not None:
            setattr(widget, name, found.value)
    within = _first(annotations, values.WithinRange)
    low, high = _first(annotations, values.Minimum), _first(annotations, values.Maximum)
    bounded = within is not None or (low is not None and high is not None)
    if not bounded and widget.className() in ("QSlider", "ctkSliderWidget"):
        raise RuntimeError(f"the parameter of the slider {widget.name} has no range")
    widget.minimum = within.minimum if within else low.minimum if low else lowest
    widget.maximum = within.maximum if within else high.maximum if high else highest


def _first(annotations: tuple, kind: type) -> Any:
    return next((item for item in annotations if isinstance(item, kind)), None)


class _Methods:
    """What a wrapped parameter node has besides its parameters.

    As Slicer's, it keeps values until the node is modified: a node that was deleted may still
    be what a parameter gives.
    """

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._prefix = prefix or ""
        self._connected: dict[int, dict[str, Connector]] = {}
        self._updating = self._writing = False
        self._kept: dict[str, Any] = {}
        self._keep()
        weak = weakref.ref(self)
        tag = parameterNode.AddObserver("ModifiedEvent", lambda *_: call(weak()._on_modified))
        weakref.finalize(self, parameterNode.RemoveObserver, tag)

    def _on_modified(self) -> None:
        if not self._writing:
            self._keep()

    def _keep(self) -> None:
        for name, parameter in self.allParameters.items():
            if not parameter.is_in(self.parameterNode, self._prefix):
                parameter.write(self.parameterNode, parameter.default, self._prefix)
            self._kept[name] = parameter.read(self.parameterNode, self._prefix)

    def default(self, name: str) -> Any:
        return values.Default(self.allParameters[name].default)

    def dataType(self, name: str) -> Any:
        top, _, rest = name.partition(".")
        parameter = self.allParameters[top]
        return parameter.kind.allParameters[rest].annotated if rest else parameter.annotated

    def getValue(self, name: str) -> Any:
        top, _, rest = name.partition(".")
        if top not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {top}")
        value = self._kept[top]
        if isinstance(value, list | dict):
            value = copy(value)
        return getattr(value, rest) if rest else value

    def setValue(self, name: str, value: Any) -> None:
        top, _, rest = name.partition(".")
        if top not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {top}")
        if rest:
            setattr(self.getValue(top), rest, value)
            return
        parameter, before = self.allParameters[top], self.StartModify()
        self._writing = True
        try:
            parameter.write(self.parameterNode, value, self._prefix)
            self._kept[top] = parameter.read(self.parameterNode, self._prefix)
            self.EndModify(before)
        finally:
            self._writing = False

    def connectGui(self, gui: Any) -> None:
        """Connect every widget with the property SlicerParameterName.

        Returns no tag, as in Slicer (its issue 7547), so that it cannot be taken back.
        """
        widgets = gui.findChildren() if isinstance(gui, Wrapper) else vars(gui).values()
        named = {}
        for widget in widgets:
            if isinstance(widget, Wrapper) and widget.property(NAME_PROPERTY):
                named[widget.property(NAME_PROPERTY)] = widget
        self.connectParametersToGui(named)

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Connect widgets with parameters, by the parameter's name; returns the tag."""
        for name in mapping:
            self.getValue(name)
        connected = {
            name: connector(widget, self.dataType(name)) for name, widget in mapping.items()
        }
        tag = max(self._connected, default=-1) + 1
        self._connected[tag] = connected
        for name, link in connected.items():
            link.write(self.getValue(name))
            link.connect(lambda name=name, link=link: self._on_widget(name, link))
        self.AddObserver("ModifiedEvent", lambda *_: call(self._on_node))
        return tag

    def disconnectGui(self, tag: int | None) -> None:
        for link in self._connected.pop(tag, {}).values():
            link.disconnect()

    def _on_widget(self, name: str, link: Connector) -> None:
        if not self._updating:
            self.setValue(name, link.read())

    def _on_node(self) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            for connected in list(self._connected.values()):
                for name, link in connected.items():
                    link.write(self.getValue(name))
        finally:
            self._updating = False

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, before: int) -> int:
        return self.parameterNode.EndModify(before)

    def AddObserver(self, event: Any, callback: Callable, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def parameterNodeWrapper(owner: type | None = None) -> Any:
    """Make a class with annotations the typed view of a parameter node."""
    if owner is None:
        return parameterNodeWrapper
    found = parameters_of(owner)
    for name in found:
        if hasattr(_Methods, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
    for name, method in vars(_Methods).items():
        if name not in ("__dict__", "__weakref__", "__doc__", "__module__"):
            setattr(owner, name, method)
    for name in found:
        setattr(owner, name, _parameter(name))
    owner.allParameters = found
    return owner


def _parameter(name: str) -> property:
    return property(
        lambda self: self.getValue(name), lambda self, value: self.setValue(name, value)
    )


def parameterPack(owner: type | None = None) -> Any:
    """Make a class with annotations a group of parameters."""
    if owner is None:
        return parameterPack
    found = parameters_of(owner)

    def start(self: Any, *arguments: Any, **named: Any) -> None:
        given = dict(zip(found, arguments, strict=False)) | named
        for name, parameter in found.items():
            setattr(self, name, given.pop(name, parameter.default))
        if given:
            raise TypeError(f"unknown parameters: {', '.join(given)}")

    def put(self: Any, name: str, value: Any) -> None:
        if name in found:
            found[name].validate(value)
        object.__setattr__(self, name, value)
        vars(self).get("_saved", lambda: None)()

    owner.allParameters, owner._is_parameterPack = found, True
    owner.__init__, owner.__setattr__ = start, put
    owner.__eq__ = lambda self, other: all(
        getattr(self, name) == getattr(other, name, None) for name in found
    )
    return owner


def make_parameter_node_wrapper() -> ModuleType:
    """Return a module that stands in for ``slicer.parameterNodeWrapper``."""
    module = ModuleType("slicer.parameterNodeWrapper")
    module.parameterNodeWrapper = parameterNodeWrapper
    module.parameterPack = parameterPack
    module.SlicerParameterNamePropertyName = NAME_PROPERTY
    for kind in _ANNOTATIONS:
        setattr(module, kind.__name__, kind)
    return module
