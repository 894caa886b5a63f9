"""Makes the pictures of the README: both panels after a run on the sample case, and the maps.

    .venv/bin/python Testing/screenshots.py

Clicks through sample data, synthetic CT and evaluation as a user does, on the test harness
(the panels are Slicer's; only the frame around them is Qt's own), and writes
Resources/Screenshots. Takes about four minutes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
SCREENSHOTS = REPOSITORY / "Resources" / "Screenshots"
MINUTES = 60.0


def main() -> None:
    """Write the pictures."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path.insert(0, str(REPOSITORY / "Testing" / "Python"))
    from harness import open_slicer

    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, open_slicer(Path(folder)) as slicer:
        slicer.load_module("SyntheticCT")
        slicer.sample("SyntheticCTPhantom")
        panel = slicer.open_panel("SyntheticCT")
        finish(slicer, panel, panel.ui.makeButton)
        shoot(slicer, panel, "SyntheticCT.png", 900)
        panel = slicer.open_panel("SyntheticCTEval")
        recalculate = panel.ui.doseSourceComboBox.findText("Recalculate")
        panel.ui.doseSourceComboBox.setCurrentIndex(recalculate)
        jobs = noted(panel.logic, "startEvaluation")
        finish(slicer, panel, panel.ui.evaluateButton)
        shoot(slicer, panel, "SyntheticCTEval.png", 1260)
        boards(jobs[-1].result[0])


def finish(slicer: Any, panel: Any, button: Any) -> None:
    """Click a button and wait until what it started has ended."""
    slicer.click(button)
    slicer.process_events(until=lambda: not panel.jobPanel.busy, timeout_s=30 * MINUTES)
    assert not panel.jobPanel.error, panel.jobPanel.error


def shoot(slicer: Any, panel: Any, name: str, height: int) -> None:
    """Write what a panel shows."""
    panel.parent.resize(560, height)
    slicer.screenshot(panel, SCREENSHOTS / name)


def noted(logic: Any, method: str) -> list[Any]:
    """Return a list that gets what a method of ``logic`` returns from now on."""
    results: list[Any] = []
    start = getattr(logic, method)

    def call(*arguments: Any, **options: Any) -> Any:
        results.append(start(*arguments, **options))
        return results[-1]

    setattr(logic, method, call)
    return results


def boards(evaluation: Any) -> None:
    """Write the gamma maps and the anatomy of an evaluation, as its report has them."""
    from SyntheticCTEvalLib.pictures import dose_maps, maps, planes

    cuts = planes.planes_of(evaluation)
    for name, picture in (
        ("Gamma.png", dose_maps.gamma_picture(evaluation, cuts)),
        ("Anatomy.png", maps.anatomy_picture(evaluation, cuts)),
    ):
        (SCREENSHOTS / name).write_bytes(picture.png)


if __name__ == "__main__":
    main()
