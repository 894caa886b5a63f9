"""Slicer's ``qt`` module on PySide6: Qt as PythonQt shows it.

Properties are attributes, signals are connected by their signature as text, and a name that the
class does not have in a real Slicer is an AttributeError, also where PySide6 has it.
"""

from __future__ import annotations

import inspect
import os
import weakref
from collections.abc import Callable, Iterator
from pathlib import PurePath
from types import ModuleType
from typing import Any

import numpy as np
import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

from .api import class_names, module_names
from .dialogs import DIALOGS, Services, static_function

_SOURCES = (QtWidgets, QtGui, QtCore)
# Objects have these in PythonQt, whatever their class.
_ALWAYS = {"name", "connect", "disconnect", "className", "delete", "inherits", "help"}

errors: list[BaseException] = []
"""What functions that were called by signals have raised; Qt would only print it."""

_classes: dict[type, type] = {}
_wrappers: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_connections: dict[int, list[tuple[str, Any, Callable]]] = {}


class _WrapperClass(type):
    """The class of Qt classes: enumerations and static functions are attributes."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _refuse_unknown(cls.__name__, name)
        value = static_function(cls.__name__, name) or getattr(cls._qt_class, name)
        if isinstance(value, type) or not callable(value):
            return value
        return lambda *args, **kwargs: wrap(value(*unwrap(args), **unwrap(kwargs)))


class Wrapper(metaclass=_WrapperClass):
    """A QObject as PythonQt shows it."""

    _qt_class: type = QtCore.QObject

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return _wrapper_of(cls, cls._qt_class(*unwrap(args), **unwrap(kwargs)))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __repr__(self) -> str:
        return f"<{self.className()} {self._qt.objectName()!r}>"

    def __bool__(self) -> bool:
        return shiboken6.isValid(self._qt)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        qt_object = _alive(self)
        class_name = self.className()
        name = {"name": "objectName", "exec_": "exec", "raise": "raise_"}.get(name, name)
        dynamic = name in map(_text, qt_object.dynamicPropertyNames())
        if not dynamic:
            _refuse_unknown(class_name, name.removesuffix("_"))
        if dynamic or qt_object.metaObject().indexOfProperty(name) >= 0:
            return wrap(qt_object.property(name))
        if name == "exec" and isinstance(qt_object, QtWidgets.QDialog):
            return lambda: DIALOGS.execute(qt_object, self)
        value = getattr(qt_object, name)
        if isinstance(value, QtCore.SignalInstance):
            raise AttributeError(f"connect {name} of {class_name} by its signature as text")
        if not callable(value):
            return value
        return lambda *args, **kwargs: wrap(value(*unwrap(args), **unwrap(kwargs)))

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or type(self).__module__ != __name__:
            object.__setattr__(self, name, value)
            return
        qt_object = _alive(self)
        name = "objectName" if name == "name" else name
        dynamic = name in map(_text, qt_object.dynamicPropertyNames())
        if not dynamic:
            _refuse_unknown(self.className(), name)
        meta = qt_object.metaObject()
        index = meta.indexOfProperty(name)
        if index < 0 and not dynamic:
            raise AttributeError(f"{self.className()} has no property {name}")
        if index >= 0 and not meta.property(index).isWritable():
            raise AttributeError(f"{name} of {self.className()} cannot be set")
        if not qt_object.setProperty(name, unwrap(value)) and not dynamic:
            raise TypeError(f"{name} of {self.className()} cannot be {value!r}")

    def className(self) -> str:
        return _alive(self).metaObject().className()

    def inherits(self, class_name: str) -> bool:
        return _alive(self).inherits(class_name)

    def delete(self) -> None:
        shiboken6.delete(_alive(self))

    def children(self) -> list[Any]:
        return [wrap(child) for child in _alive(self).children()]

    def findChildren(self, kind: Any = None, name: str = "") -> list[Any]:
        return list(self._find(kind, name))

    def findChild(self, kind: Any = None, name: str = "") -> Any:
        return next(self._find(kind, name), None)

    def _find(self, kind: Any, name: str) -> Iterator[Any]:
        wanted = kind if isinstance(kind, str) or kind is None else kind._qt_class.__name__
        for child in _alive(self).findChildren(QtCore.QObject):
            if wanted is not None and not child.inherits(wanted):
                continue
            if not name or child.objectName() == name:
                yield wrap(child)

    def connect(self, signature: str, *receiver: Any) -> bool:
        """Call a function, or a slot given by its signature, whenever a signal is emitted."""
        qt_object = _alive(self)
        target = receiver[0]
        if len(receiver) == 2:
            target = getattr(receiver[0], receiver[1].partition("(")[0])

        def receive(*args: Any) -> None:
            call(target, *args)

        QtCore.QObject.connect(qt_object, _signal(self, signature), receive)
        key = _address(qt_object)
        if key not in _connections:
            _connections[key] = []
            qt_object.destroyed.connect(lambda: _connections.pop(key, None))
        _connections[key].append((signature, target, receive))
        return True

    def disconnect(self, signature: str | None = None, target: Any = None) -> bool:
        """Take back what :meth:`connect` has done: all, those of a signal, or one function."""
        qt_object = _alive(self)
        kept, found = [], False
        for known in _connections.get(_address(qt_object), []):
            if signature not in (None, known[0]) or (target is not None and target != known[1]):
                kept.append(known)
                continue
            found = True
            QtCore.QObject.disconnect(qt_object, _signal(self, known[0]), known[2])
        _connections[_address(qt_object)] = kept
        return found


def call(function: Callable, *args: Any) -> None:
    """Call what a signal is connected with: with no more arguments than it takes, as PythonQt."""
    try:
        function(*[wrap(argument) for argument in args[: _most_arguments(function)]])
    except BaseException as error:
        errors.append(error)


def _most_arguments(function: Callable) -> int | None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind == parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional for parameter in parameters)


def _signal(wrapper: Wrapper, signature: str) -> str:
    """The signal for QObject.connect; AttributeError where Slicer or Qt 6 has none like it."""
    class_name = wrapper.className()
    normal = signature.replace(" ", "").replace("const", "").replace("&", "")
    known = class_names(class_name, "signals")
    if known is not None and normal not in known:
        raise AttributeError(f"{class_name} has no signal {signature} in Slicer")
    meta = wrapper._qt.metaObject()
    for candidate in (normal, _with_python_objects(normal)):
        if meta.indexOfSignal(candidate) >= 0:
            return QtCore.SIGNAL(candidate)
    raise AttributeError(f"{class_name} has no signal {signature} in the test harness")


def _with_python_objects(signature: str) -> str:
    name, _, arguments = signature.partition("(")
    kinds = [
        "PyObject" if "vtk" in kind or "MRML" in kind else kind
        for kind in arguments.rstrip(")").split(",")
    ]
    return f"{name}({','.join(kinds)})"


def _refuse_unknown(class_name: str, name: str) -> None:
    known = class_names(class_name)
    if known is not None and name not in known and name not in _ALWAYS:
        raise AttributeError(f"{class_name} has no {name} in Slicer")


def _alive(wrapper: Wrapper) -> Any:
    if not shiboken6.isValid(wrapper._qt):
        raise ValueError(f"Trying to use a destroyed {type(wrapper).__name__} object")
    return wrapper._qt


def _text(data: Any) -> str:
    return bytes(data.data()).decode()


def _address(qt_object: Any) -> int:
    return shiboken6.getCppPointer(qt_object)[0]


def wrapper_class(qt_class: type) -> type:
    """Return the class that shows a PySide6 class as PythonQt does."""
    if qt_class is QtCore.QObject:
        return Wrapper
    if qt_class not in _classes:
        bases = [base for base in qt_class.__bases__ if issubclass(base, QtCore.QObject)]
        _classes[qt_class] = _WrapperClass(
            qt_class.__name__,
            tuple(wrapper_class(base) for base in bases) or (Wrapper,),
            {"_qt_class": qt_class, "__module__": __name__},
        )
    return _classes[qt_class]


def _wrapper_of(cls: type, qt_object: Any) -> Any:
    wrapper = object.__new__(cls)
    object.__setattr__(wrapper, "_qt", qt_object)
    _wrappers[_address(qt_object)] = wrapper
    return wrapper


def wrap(value: Any) -> Any:
    """Return a value of PySide6 as PythonQt gives it: QObjects with attributes."""
    if isinstance(value, QtCore.QObject):
        known = _wrappers.get(_address(value))
        if known is not None and known._qt is value:
            return known
        return _wrapper_of(wrapper_class(type(value)), value)
    if isinstance(value, list | tuple):
        return type(value)(wrap(item) for item in value)
    return value


def unwrap(value: Any) -> Any:
    """Return a value for PySide6; TypeError where PythonQt could not pass it on."""
    if isinstance(value, Wrapper):
        return _alive(value)
    if isinstance(value, _WrapperClass):
        return value._qt_class
    if isinstance(value, PurePath) or (
        isinstance(value, np.generic) and not isinstance(value, int | float)
    ):
        raise TypeError(f"PythonQt cannot convert {type(value).__name__}: {value!r}")
    if isinstance(value, list | tuple):
        return type(value)(unwrap(item) for item in value)
    if isinstance(value, dict):
        return {key: unwrap(item) for key, item in value.items()}
    if inspect.isfunction(value) or inspect.ismethod(value):
        return lambda *args: call(value, *args)
    return value


def make_qt() -> ModuleType:
    """Return a module that stands in for Slicer's ``qt``."""
    module = ModuleType("qt")

    def find(name: str) -> Any:
        if name.startswith("__") or name not in module_names("qt"):
            raise AttributeError(f"Slicer's qt has no {name}")
        for source in _SOURCES:
            if hasattr(source, name):
                value = getattr(source, name)
                is_object = isinstance(value, type) and issubclass(value, QtCore.QObject)
                return wrapper_class(value) if is_object else value
        raise AttributeError(f"Qt 6 has no {name}")

    module.__getattr__ = find
    module.QDesktopServices = Services
    return module


def application() -> Any:
    """Return the one QApplication of the process, which needs no display."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    QtCore.qInstallMessageHandler(_on_message)
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])


def _on_message(kind: Any, _context: Any, text: str) -> None:
    """What Qt prints is an error of the test, but for what the offscreen platform cannot do."""
    if kind != QtCore.QtMsgType.QtDebugMsg and "propagateSizeHints" not in text:
        errors.append(RuntimeError(f"Qt: {text}"))
