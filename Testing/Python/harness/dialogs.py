"""Dialogs that a person would answer: recorded, and answered by what the test has said before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QDialog, QMessageBox


class Dialogs:
    """What was shown, and the answers that wait.

    Attributes:
        messages: texts of the message boxes that were shown, in order.
        details: what each of them has behind its button for details, "" for nothing.
        opened: addresses that were to be opened in a browser or file manager.
        answers: buttons to press in the next message boxes ("Yes", "No", "Cancel", ...); boxes
            with nothing but OK need none.
        paths: what is chosen in the next file dialogs; "" for Cancel.
        handlers: called with the next other dialog in the place of its ``exec``.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.details: list[str] = []
        self.opened: list[str] = []
        self.answers: list[str] = []
        self.paths: list[Any] = []
        self.handlers: list[Callable[[Any], Any]] = []

    def clear(self) -> None:
        for kept in vars(self).values():
            kept.clear()

    def message(self, text: str, buttons: Any, details: str = "") -> Any:
        """Answer a message box; AssertionError where the test has no answer."""
        self.messages.append(text)
        self.details.append(details)
        if not self.answers and QMessageBox.StandardButton(buttons) in (
            QMessageBox.StandardButton.Ok,
            QMessageBox.StandardButton.NoButton,
        ):
            return QMessageBox.StandardButton.Ok
        assert self.answers, f"a message box asks and the test has no answer: {text}"
        answer = QMessageBox.StandardButton[self.answers.pop(0)]
        assert answer & buttons, f"no button {answer.name} in the message box: {text}"
        return answer

    def path(self, title: str) -> Any:
        """Answer a file dialog."""
        assert self.paths, f"a file dialog asks and the test has no answer: {title}"
        answer = self.paths.pop(0)
        return [str(item) for item in answer] if isinstance(answer, list) else str(answer)

    def execute(self, dialog: QDialog, shown: Any) -> Any:
        """Stand in for ``exec`` of a dialog: ``shown`` is the dialog as PythonQt shows it."""
        if isinstance(dialog, QMessageBox):
            return self.message(dialog.text(), dialog.standardButtons(), dialog.detailedText())
        assert self.handlers, f"a dialog opens and the test has no answer: {dialog.windowTitle()}"
        return self.handlers.pop(0)(shown)


DIALOGS = Dialogs()
_BOXES = ("question", "information", "warning", "critical", "about")


def static_function(class_name: str, name: str) -> Callable | None:
    """What stands in for a static function of a dialog class; None where it needs nothing."""
    if class_name in ("QFileDialog", "ctkFileDialog") and name.startswith("get"):
        return lambda parent=None, title="", *_: DIALOGS.path(title)
    if class_name in ("QMessageBox", "ctkMessageBox") and name in _BOXES:
        usual = QMessageBox.StandardButton.Ok
        if name == "question":
            usual = QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No
        return lambda parent, title, text, buttons=usual, *_: DIALOGS.message(text, buttons)
    return None


class Services:
    """In the place of QDesktopServices, which would open a browser."""

    @staticmethod
    def openUrl(url: Any) -> bool:
        DIALOGS.opened.append(url.toString())
        return True
