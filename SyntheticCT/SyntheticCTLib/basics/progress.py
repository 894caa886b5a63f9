"""The one progress interface: silent, on a terminal, or one JSON line an event."""

from __future__ import annotations

import json
import sys
from typing import IO, Any


class Progress:
    """Receives the progress of long work; this base class is silent.

    Library functions take ``progress: Progress`` and call :meth:`report` with the name of the
    step and the fraction of that step that is done; they never print.
    """

    def report(self, step: str, fraction: float, **details: Any) -> None:
        """Tell that ``step`` is done to ``fraction`` (0 to 1); details are JSON values."""

    def warn(self, message: str) -> None:
        """Tell a warning, one sentence, that must reach the user."""

    def tell(self, event: str, text: str, **details: Any) -> None:
        """Tell a result that is not written to a file, as lines of text or as JSON values."""

    def done(self, **outputs: Any) -> None:
        """Tell that the whole command is complete and its outputs are written."""

    def close(self) -> None:
        """Leave the display in order, after success or failure."""


class JsonProgress(Progress):
    """Writes one JSON line an event, for programs that run the command as a child process."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout

    def _write(self, **event: Any) -> None:
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()

    def report(self, step: str, fraction: float, **details: Any) -> None:
        self._write(event="progress", step=step, fraction=round(float(fraction), 4), **details)

    def warn(self, message: str) -> None:
        self._write(event="warning", message=message)

    def tell(self, event: str, text: str, **details: Any) -> None:
        self._write(event=event, **details)

    def done(self, **outputs: Any) -> None:
        self._write(event="done", **{name: str(value) for name, value in outputs.items()})


class TerminalProgress(Progress):
    """One bar a step on the standard error, plain lines where that is no terminal.

    Where nobody reads it any more it raises BrokenPipeError: who calls knows whether to go on.
    """

    def __init__(self) -> None:
        import rich.console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.table import Column

        class Console(rich.console.Console):
            def on_broken_pipe(self) -> None:  # called while it is handled; rich ends the program
                raise

        def whole(width: int) -> Column:  # what the details, which may be long, leave alone
            return Column(min_width=width, no_wrap=True, overflow="ellipsis")

        self._console = Console(stderr=True)
        self._bars = Bars(
            TextColumn(
                "{task.description}",
                table_column=Column(min_width=14, max_width=28, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(bar_width=12, table_column=whole(12)),
            TextColumn("{task.percentage:>3.0f} %", table_column=whole(5)),
            TimeElapsedColumn(table_column=whole(7)),
            TimeRemainingColumn(table_column=whole(7)),
            TextColumn("left", table_column=whole(4)),
            TextColumn(
                "{task.fields[details]}",
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            expand=True,
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, Any] = {}
        self._bars.start()

    def report(self, step: str, fraction: float, **details: Any) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=1.0, details="")
            if not self._console.is_terminal:
                self._console.print(step, markup=False)
        text = "  ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in details.items()
        )
        self._bars.update(self._tasks[step], completed=fraction, details=text)

    def warn(self, message: str) -> None:
        self._console.print(f"Warning: {message}", style="yellow", markup=False)

    def tell(self, event: str, text: str, **details: Any) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def done(self, **outputs: Any) -> None:
        self.close()
        for name, value in outputs.items():
            self._console.print(f"{name}: {value}", markup=False, soft_wrap=True)

    def close(self) -> None:
        self._bars.stop()


class PlainProgress(Progress):
    """Plain lines on the standard error, a line a step: where the package rich is absent."""

    def __init__(self) -> None:
        self._steps: set[str] = set()

    def report(self, step: str, fraction: float, **details: Any) -> None:
        if step not in self._steps:
            self._steps.add(step)
            print(step, file=sys.stderr, flush=True)

    def warn(self, message: str) -> None:
        print(f"Warning: {message}", file=sys.stderr, flush=True)

    def tell(self, event: str, text: str, **details: Any) -> None:
        print(text, file=sys.stderr, flush=True)

    def done(self, **outputs: Any) -> None:
        for name, value in outputs.items():
            print(f"{name}: {value}", file=sys.stderr, flush=True)


def terminal_progress() -> Progress:
    """Return bars, or plain lines where the package rich is absent (Slicer's Python)."""
    try:
        import rich.progress  # noqa: F401
    except ImportError:
        return PlainProgress()
    return TerminalProgress()


class NotedProgress(Progress):
    """Passes everything on, and keeps the warnings for a report.

    Attributes:
        warnings: every warning once, in order.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.warnings: list[str] = []

    def report(self, step: str, fraction: float, **details: Any) -> None:
        self._progress.report(step, fraction, **details)

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)
        self._progress.warn(message)


SILENT = Progress()
