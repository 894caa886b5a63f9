"""The voxel grids that a phantom can be imaged on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PhantomGrid:
    """Sizes (i, j, k) and spacings (mm) of the MR and the CT.

    Attributes:
        mr_low, ct_low: z of the first slice (mm; 0 is the height of the femoral heads).
            The MR reaches beyond the CT at both ends, so that every CT slice has MR.
    """

    name: str
    mr_size: tuple[int, int, int]
    mr_spacing: tuple[float, float, float]
    mr_low: float
    ct_size: tuple[int, int, int]
    ct_spacing: tuple[float, float, float]
    ct_low: float


CLINICAL = PhantomGrid(
    name="clinical",
    mr_size=(384, 384, 76),
    mr_spacing=(1.06, 1.06, 3.0),
    mr_low=-93.0,
    ct_size=(512, 512, 68),
    ct_spacing=(0.76, 0.76, 3.0),
    ct_low=-80.0,
)
COARSE = PhantomGrid(
    name="coarse",
    mr_size=(192, 192, 64),
    mr_spacing=(2.12, 2.12, 3.0),
    mr_low=-75.0,
    ct_size=(256, 256, 56),
    ct_spacing=(1.52, 1.52, 3.0),
    ct_low=-62.0,
)
TINY = PhantomGrid(
    name="tiny",
    mr_size=(72, 72, 32),
    mr_spacing=(5.6, 5.6, 6.0),
    mr_low=-76.0,
    ct_size=(80, 80, 28),
    ct_spacing=(4.86, 4.86, 6.0),
    ct_low=-62.0,
)
