"""Which names of Slicer, Qt and ctk a file uses that a real Slicer does not have.

What cannot be told from the text alone (the class of a local variable, say) is left to the
stand-ins, which refuse the same names when the code runs.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path

from .api import class_key, class_names, module_names, slicer_api

ROOTS = ("slicer", "qt", "ctk")
SLICERS_OWN = module_names("slicer.modules") | {"sitkutils"}
# Properties that are not the widget's but understood by whatever reads .ui files.
_OF_UI_FILES = {
    "QLabel": {"buddy"},
    "Line": {"orientation"},
    "layout": {"leftMargin", "topMargin", "rightMargin", "bottomMargin", "spacing"},
}
_DYNAMIC = {"SlicerParameterName", "SlicerPackParameterName"}


class UiFile:
    """The widgets of a .ui file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ElementTree.parse(path).getroot()
        self.classes = {
            widget.get("name"): widget.get("class") for widget in self.tree.iter("widget")
        }

    def parameters(self) -> set[str]:
        """Names of parameters that widgets are connected with."""
        return {
            found.findtext("string")
            for found in self.tree.iter("property")
            if found.get("name") == "SlicerParameterName"
        }

    def unknown(self) -> Iterator[str]:
        """What Slicer does not have: classes, properties, signals and slots."""
        for widget in self.tree.iter("widget"):
            yield from self._unknown_of_widget(widget)
        for layout in self.tree.iter("layout"):
            name = layout.get("class")
            known = class_names(name, "properties") or set()
            for found in layout.findall("property"):
                if found.get("name") not in known | _OF_UI_FILES["layout"]:
                    yield f"{name} has no property {found.get('name')}"
        declared = {found.text for found in self.tree.iterfind("customwidgets/customwidget/class")}
        for name in set(self.classes.values()):
            if name.startswith(("ctk", "q")) and name not in declared:
                yield f"{name} is not among the customwidgets"
        for found in self.tree.iter("connection"):
            yield from self._unknown_of_connection(found)

    def _unknown_of_widget(self, widget: ElementTree.Element) -> Iterator[str]:
        name = widget.get("class")
        described = class_names("QFrame" if name == "Line" else name, "properties")
        if name != "Line" and not is_class(name):
            yield f"Slicer has no widget {name}"
        elif described is None:
            yield f"slicer-api.json does not describe {name}: add it to cut_slicer_api.py"
        known = (described or set()) | _OF_UI_FILES.get(name, set())
        for found in widget.findall("property"):
            dynamic = found.get("stdset") == "0" and found.get("name") in _DYNAMIC
            if described is not None and not dynamic and found.get("name") not in known:
                yield f"{name} has no property {found.get('name')}"

    def _unknown_of_connection(self, found: ElementTree.Element) -> Iterator[str]:
        sender, receiver = (
            self.classes.get(found.findtext(end), "") for end in ("sender", "receiver")
        )
        signal, slot = found.findtext("signal"), found.findtext("slot")
        if signal not in (class_names(sender, "signals") or ()):
            yield f"{sender or found.findtext('sender')} has no signal {signal}"
        if slot.partition("(")[0] not in (class_names(receiver) or ()):
            yield f"{receiver or found.findtext('receiver')} has no slot {slot}"


def is_class(name: str) -> bool:
    """Whether Slicer has a Qt class of this name."""
    module = class_key(name).partition(".")[0]
    return name in module_names(module)


class PythonFile(ast.NodeVisitor):
    """Collects what a Python file uses that Slicer does not have.

    Args:
        text: of the file.
        widgets: classes of the widgets of the module's .ui files, which are ``self.ui.NAME``.
        optional: names that are there only with another extension, with the reason.
    """

    def __init__(
        self, text: str, widgets: Mapping[str, str] = {}, optional: Mapping[str, str] = {}
    ) -> None:
        self._widgets, self._optional = dict(widgets), dict(optional)
        self._bound: dict[str, str] = {}
        self._made: dict[str, set[str | None]] = {}
        self._tree = ast.parse(text)
        self.found: list[str] = []

    def unknown(self) -> list[str]:
        """Return a sentence for every name, with the line."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._bind(node)
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._made.setdefault(ast.unparse(target), set()).add(self._maker(node.value))
        self.visit(self._tree)
        return self.found

    def _bind(self, node: ast.Import | ast.ImportFrom) -> None:
        names = [item.name for item in node.names]
        if isinstance(node, ast.ImportFrom):
            names = [node.module] if node.level == 0 else []
        for name in {name.partition(".")[0] for name in names}.difference(ROOTS, self._optional):
            # Modules of the standard library may belong to another system than this one.
            there = name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None
            if not there and name.lower() not in SLICERS_OWN:
                self._say(f"Slicer has no module {name}, and it is no dependency", node)
        if isinstance(node, ast.Import):
            for item in node.names:
                if item.name.partition(".")[0] in ROOTS:
                    self._check(item.name, node)
                    name = item.asname or item.name.partition(".")[0]
                    self._bound[name] = item.name if item.asname else name
        elif node.level == 0 and (node.module or "").partition(".")[0] in ROOTS:
            for item in node.names:
                self._check(f"{node.module}.{item.name}", node)
                self._bound[item.asname or item.name] = f"{node.module}.{item.name}"

    def visit_Attribute(self, node: ast.Attribute) -> None:
        dotted = self._dotted(node)
        if dotted is None:
            self._check_widget(node)
            self.generic_visit(node)
        else:
            self._check(dotted, node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        text = texts[0] if texts and isinstance(texts[0], str) else ""
        if isinstance(function, ast.Name) and function.id in ("getattr", "hasattr"):
            dotted = self._dotted(node.args[0])
            if dotted is not None and text:
                self._check(f"{dotted}.{text}", node)
        if "(" in text and getattr(function, "attr", "") in ("connect", "disconnect"):
            self._check_signal(function.value, text, node)
        self.generic_visit(node)

    def _dotted(self, node: ast.AST) -> str | None:
        """The name of an attribute of an attribute ... of an imported module."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._bound:
            return None
        return ".".join([self._bound[node.id], *reversed(names)])

    def _check(self, dotted: str, node: ast.AST) -> None:
        parts = dotted.split(".")
        for end in range(2, len(parts) + 1):
            name = ".".join(parts[:end])
            if name in self._optional:
                return
            known = _has(parts[:end])
            if known is None:
                return
            if not known:
                self._say(f"Slicer has no {name}", node)
                return

    def _maker(self, node: ast.AST) -> str | None:
        """The Qt class of ``qt.QTimer(...)`` and the like."""
        dotted = self._dotted(node.func) if isinstance(node, ast.Call) else None
        name = (dotted or "").rpartition(".")[2]
        return name if class_names(name) is not None else None

    def _classes(self, node: ast.AST) -> set[str]:
        """Classes that an expression can have: ``self.ui.NAME``, or what was made and named."""
        if not isinstance(node, ast.Attribute | ast.Name):
            return set()
        owner = getattr(node, "value", None)
        if getattr(owner, "attr", getattr(owner, "id", "")) in ("ui", "_ui") and self._widgets:
            if node.attr not in self._widgets:
                self._say(f"no .ui file has a widget {node.attr}", node)
                return set()
            return {self._widgets[node.attr]}
        made = self._made.get(ast.unparse(node), set())
        return set() if None in made else made

    def _check_widget(self, node: ast.Attribute) -> None:
        name = node.attr.removesuffix("_")
        classes = self._classes(node.value)
        known = [class_names(class_name) for class_name in classes]
        if known and not any(names is None or name in names | {"name"} for names in known):
            self._say(f"{' or '.join(sorted(classes))} has no {node.attr}", node)

    def _check_signal(self, sender: ast.AST, signature: str, node: ast.AST) -> None:
        normal = signature.replace(" ", "")
        owner = self._dotted(sender)
        if owner in slicer_api():  # slicer.app, say: the names of its signals are known
            self._check(f"{owner}.{normal.partition('(')[0]}", node)
            return
        classes = self._classes(sender)
        known = [class_names(class_name, "signals") or () for class_name in classes]
        if not any(normal in signals for signals in known or [all_signals()]):
            what = " or ".join(sorted(classes)) or "nothing in Slicer"
            self._say(f"{what} has no signal {signature}", node)

    def _say(self, sentence: str, node: ast.AST) -> None:
        line = f"{sentence} (line {node.lineno})"
        if line not in self.found:
            self.found.append(line)


def all_signals() -> set[str]:
    """Every signal of every class in slicer-api.json, and of QShortcut, which it only names."""
    widgets = slicer_api()["widgets"].values()
    return {"activated()", *(signal for entry in widgets for signal in entry.get("signals", ()))}


def _has(parts: list[str]) -> bool | None:
    """Whether Slicer has the last of these names in the ones before; None where none can tell."""
    owner, name = ".".join(parts[:-1]), parts[-1]
    if owner in slicer_api():
        return name in module_names(owner) or f"{owner}.{name}" in slicer_api()
    if owner == "slicer.mrmlScene":
        return _of_core("vtkMRMLScene", name)
    if len(parts) != 3:
        return None
    if parts[0] == "slicer" and parts[1].startswith("vtk"):
        return _of_core(parts[1], name)
    known = class_names(parts[1])
    return None if known is None else name.removesuffix("_") in known


def _of_core(class_name: str, name: str) -> bool | None:
    """Whether a class of slicer-core has a name; None where the class is not in slicer-core."""
    if "slicer" not in sys.modules:
        return None
    owner = getattr(sys.modules["slicer"], class_name, None)
    return None if owner is None else hasattr(owner, name)


def declared_parameters(text: str) -> set[str]:
    """Names of the parameters that a file's parameterNodeWrapper classes declare, those of
    parameterPacks within them with a dot."""
    fields: dict[str, list[tuple[str, str]]] = {"parameterNodeWrapper": [], "parameterPack": []}
    packs: dict[str, list[str]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            members = [item for item in node.body if isinstance(item, ast.AnnAssign)]
            typed = [(item.target.id, _last_name(item.annotation)) for item in members]
            packs[node.name] = [name for name, _ in typed]
            for decorator in node.decorator_list:
                fields.get(_last_name(decorator), []).extend(typed)
    nested = {
        f"{name}.{part}"
        for name, kind in fields["parameterNodeWrapper"]
        for part in packs.get(kind, ())
    }
    return {name for name, _ in fields["parameterNodeWrapper"]} | nested


def _last_name(node: ast.AST) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return getattr(node, "attr", getattr(node, "id", ""))
