"""A small patient of the evaluation module's tests: a block of water with a known error of dose."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTLib.volumes.marks import label_synthetic
from SyntheticCTMRML.nodes import add_volume
from SyntheticCTMRML.segments import add_segmentation

CT = grid_of((40, 36, 20), (4.0, 4.0, 5.0), (-80.0, -70.0, -50.0))
DOSE = grid_of((24, 22, 16), (5.0, 5.0, 5.0), (-60.0, -52.0, -38.0))
NAME = "sCT"


def water(value: int = 40) -> sitk.Image:
    """A block of ``value`` HU in air, with bone in it."""
    array = np.full(CT.GetSize()[::-1], -1000, np.int16)
    array[:, 6:30, 6:34] = value
    array[4:16, 10:14, 10:30] = 700 + value
    return image_like(array, CT)


def dose(scale: float = 1.0, hot: bool = False) -> sitk.Image:
    """A box of 45 Gy with soft edges; ``hot`` adds two places of too much dose, of two sizes."""
    array = np.full(DOSE.GetSize()[::-1], 2, np.float32)
    array[3:13, 4:18, 4:20] = 45
    array = ndimage.gaussian_filter(array, 1.2) * np.float32(scale)
    if hot:
        k, j, i = np.indices(array.shape)
        for (z, y, x), size, most in (((7, 9, 15), 1.8, 3.0), ((7, 13, 7), 0.9, 2.0)):
            squared = (k - z) ** 2 + (j - y) ** 2 + (i - x) ** 2
            array += most * np.exp(-squared / (2 * size**2)).astype(np.float32)
    return image_like(array, DOSE)


def target() -> sitk.Image:
    array = np.zeros(CT.GetSize()[::-1], np.uint8)
    array[8:12, 14:22, 14:26] = 1
    return image_like(array, CT)


def add_case(scene: Any) -> SimpleNamespace:
    """Add the patient's nodes to a scene."""
    ct = add_volume(scene, water(), "Planning CT")
    return SimpleNamespace(
        ct=ct,
        sct=add_volume(
            scene, label_synthetic(water(52), "abc"), f"{NAME} of T2 (synthetic, research use)"
        ),
        mrcat=add_volume(scene, water(70), "MRCAT"),
        plan=add_volume(scene, dose(), "Plan"),
        plan_sct=add_volume(scene, dose(1.002, hot=True), "Plan on sCT"),
        plan_mrcat=add_volume(scene, dose(0.99), "Plan on MRCAT"),
        structures=add_segmentation(
            scene, "Structures", {"PTV": target(), "block": water() > -500}, ct
        ),
    )


def fill(harness: Any, panel: Any, case: SimpleNamespace, candidates: int = 2) -> None:
    """Choose the case's nodes in the panel, as a person does."""
    panel.ui.ctSelector.setCurrentNode(case.ct)
    rows = ((case.sct, case.plan_sct), (case.mrcat, case.plan_mrcat))[:candidates]
    for row, nodes in enumerate(rows):
        harness.click(panel.ui.addCandidateButton)
        for column, node in enumerate(nodes, start=1):
            panel.inputs.candidates.selector(row, column).setCurrentNode(node)
    panel.ui.registrationComboBox.currentIndex = 2  # none
    panel.ui.structuresSelector.setCurrentNode(case.structures)
    panel.ui.referenceDoseSelector.setCurrentNode(case.plan)
    panel.ui.prescriptionSpinBox.value = 45
    harness.process_events()
