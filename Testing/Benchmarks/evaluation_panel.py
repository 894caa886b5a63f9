"""How long Slicer's window does not answer while volumes of clinical size are evaluated.

    python Testing/Benchmarks/evaluation_panel.py

Clicks through the panel on 512 x 512 x 120 voxels in the test harness (PySide6 and slicer-core),
and prints the longest time that the event loop was held up, in all and by what held it up. Then,
for each click in the results: draws of slice views that it asks for, events of the scene that
every selector hears of, strings that are translated, seconds of the main thread's CPU.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "Testing" / "Python")]

from evaluation_case import fill  # noqa: E402
from harness import open_slicer  # noqa: E402

SIZE = (512, 512, 120)


def add_case(scene):
    """A cylinder of water with bone in it, candidates, doses at 3 mm, structures."""
    from types import SimpleNamespace

    import SimpleITK as sitk
    from SyntheticCTLib.volumes.grids import grid_of, image_like
    from SyntheticCTMRML.nodes import add_volume
    from SyntheticCTMRML.segments import add_segmentation

    grid = grid_of(SIZE, (1.0, 1.0, 2.5), (-256.0, -256.0, -150.0))
    y, x = np.ogrid[:512, :512]
    body = (x - 256) ** 2 / 190**2 + (y - 256) ** 2 / 130**2 < 1
    bone = (x - 170) ** 2 + (y - 256) ** 2 < 30**2
    plane = np.where(bone, 700, np.where(body, 30, -1000)).astype(np.int16)
    noise = np.random.default_rng(0).normal(0, 12, (120, 512, 512)).astype(np.int16)
    ct = image_like(plane[None] + noise, grid)
    dose_grid = grid_of((130, 100, 90), (3.0, 3.0, 3.0), (-195.0, -150.0, -135.0))
    k, j, i = np.ogrid[:90, :100, :130]
    radius = np.sqrt((k - 45.0) ** 2 + (j - 50.0) ** 2 + (i - 65.0) ** 2)
    dose = image_like((45 / (1 + np.exp((radius - 22) / 2))).astype(np.float32), dose_grid)
    masks = {}
    for name, size in (("PTV", 45), ("bladder", 35), ("rectum", 20), ("femur", 30)):
        array = np.zeros(SIZE[::-1], np.uint8)
        array[40:80, 256 - size : 256 + size, 256 - size : 256 + size] = 1
        masks[name] = image_like(array, grid)
    node = add_volume(scene, ct, "Planning CT")
    return SimpleNamespace(
        ct=node,
        sct=add_volume(scene, ct + 15, "sCT"),
        mrcat=add_volume(scene, sitk.Cast(ct * 1.02, sitk.sitkInt16), "MRCAT"),
        plan=add_volume(scene, dose, "Plan"),
        plan_sct=add_volume(scene, dose * 1.01, "Plan on sCT"),
        plan_mrcat=add_volume(scene, dose * 0.98, "Plan on MRCAT"),
        structures=add_segmentation(scene, "Structures", masks, node),
    )


def main() -> None:
    with open_slicer(Path(tempfile.mkdtemp())) as session:
        panel = session.open_panel("SyntheticCTEval")
        case = add_case(session.scene)
        fill(session, panel, case)
        panel.ui.evaluateButton.click()
        held: dict[str, float] = {}
        start = time.monotonic()
        while panel.jobPanel.busy:
            step = panel.jobPanel.stepLabel.text
            longest = session.process_events()
            held[step] = max(held.get(step, 0), longest)
            time.sleep(0.002)
        for step, seconds in held.items():
            print(f"{1000 * seconds:7.0f} ms  {step}")
        print(
            f"{1000 * max(held.values()):7.0f} ms  longest; {time.monotonic() - start:.0f} s in all"
        )
        print(panel.jobPanel.messageLabel.text)
        tell(session, "Evaluate", (0, 0, 0), 0.0)
        for name in (
            "sideBySideButton",
            "nextSpotButton",
            "chartLayoutButton",
            "tableLayoutButton",
            "sideBySideButton",
        ):
            before, cpu = counts(session), time.process_time()
            session.click(getattr(panel.ui, name))
            session.process_events()
            tell(session, name, before, cpu)


def counts(session) -> tuple[int, int, int]:
    """What the harness has counted so far: draws, events of the scene, translations."""
    return session.draws.count, session.draws.events, session.translations.count


def tell(session, name: str, before: tuple[int, int, int], cpu: float) -> None:
    """Print what has been counted since."""
    draws, events, translated = (b - a for a, b in zip(before, counts(session), strict=True))
    print(
        f"{draws:5d} draws  {events:4d} events  {translated:4d} translations  "
        f"{time.process_time() - cpu:5.2f} s  {name}"
    )


if __name__ == "__main__":
    main()
