"""What varies inside a tissue, shared by all images of a patient because it is anatomy."""

from __future__ import annotations

import numpy as np

from SyntheticCTLib.anatomy.noise import SmoothNoise
from SyntheticCTLib.anatomy.patient import Patient
from SyntheticCTLib.anatomy.shapes import Points


class Texture:
    """Smooth random fields inside the tissues, in world coordinates (mm).

    Args:
        patient: whose tissue it is.
        scan: "mr" or "ct": small mesenteric vessels and stool differ between them.
    """

    def __init__(self, patient: Patient, scan: str) -> None:
        seed = patient.seed
        self.patient = patient
        self._marrow_broad = SmoothNoise(seed, "marrow broad", 16)
        self._marrow_fine = SmoothNoise(seed, "marrow fine", 4.5)
        self._yellow = SmoothNoise(seed, "yellow marrow", 20)
        self._streaks = SmoothNoise(seed, "streaks", (15, 6, 24))
        self._septa = SmoothNoise(seed, "septa", (26, 14, 30))
        self._grain = SmoothNoise(seed, "grain", 4.0)
        self._region = SmoothNoise(seed, "region", 30)
        self._strands = SmoothNoise(seed, "strands", (8, 8, 12))
        self._strands_now = SmoothNoise(seed, f"strands {scan}", (8, 8, 12))
        self._stool_now = SmoothNoise(seed, f"stool {scan}", 7)

    def trabeculae(self, p: Points, marrow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return CT number (HU) and fat fraction of spongy bone; ``marrow`` as in Canvas.

        Dense trabeculae leave less room for fat and go with redder marrow, so that the fat
        fraction, which MR shows, carries part of the CT number.
        """
        dense = 38 * self._marrow_broad.at(p.x, p.y, p.z)
        dense += 26 * self._marrow_fine.at(p.x, p.y, p.z)
        offset, yellow = marrow
        hu = np.maximum(self.patient.marrow_hu + offset + dense, -40)
        fat = self.patient.marrow_fat + yellow - 0.0022 * dense - 0.0002 * offset
        fat += 0.05 * self._yellow.at(p.x, p.y, p.z)
        return hu, np.clip(fat, 0.15, 0.92)

    def streaks(self, p: Points) -> np.ndarray:
        """Share of fat between the fibres of a muscle (0 to about 0.6)."""
        share = np.abs(self._streaks.at(p.x, p.y, p.z))
        return np.clip(1 - share / 0.2, 0, 1) * np.float32(0.20 - 0.06 * self.patient.muscle)

    def septa(self, p: Points) -> np.ndarray:
        """Share of connective tissue in subcutaneous fat (0 to 0.3)."""
        return 0.28 * np.clip(1 - np.abs(self._septa.at(p.x, p.y, p.z)) / 0.09, 0, 1)

    def strands(self, p: Points) -> np.ndarray:
        """Share of small vessels and strands in the fat between the organs (0 to 0.8)."""
        field = 0.8 * self._strands.at(p.x, p.y, p.z) + 0.6 * self._strands_now.at(p.x, p.y, p.z)
        return np.clip((field - 1.35) * 0.9, 0, 0.8)

    def grain(self, p: Points) -> np.ndarray:
        """Fine variation within an organ, standard deviation 1."""
        return self._grain.at(p.x, p.y, p.z)

    def region(self, p: Points) -> np.ndarray:
        """Slow variation from place to place, standard deviation 1."""
        return self._region.at(p.x, p.y, p.z)

    def stool(self, p: Points) -> np.ndarray:
        """Uneven content of the bowel at the time of the scan, standard deviation 1."""
        return self._stool_now.at(p.x, p.y, p.z)
