"""How well images lie on one another, as they lie or after a rigid transform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk

from .agreement import Agreement, agreement
from .bspline import FINEST_MM
from .first_shift import first_shift
from .working_copies import Frame, WorkingCopy, working_copy


@dataclass(frozen=True)
class Lying:
    """How an image lies on another.

    Attributes:
        agreement: of the two.
        apart_mm: length of the shift along the axes at which they are likest (mutual
            information at 10 mm a voxel, in steps of 4 mm); 0 where they lie on one another.
    """

    agreement: Agreement
    apart_mm: float


def as_they_lie(
    fixed: sitk.Image, others: Mapping[str, sitk.Image], *, metric: Literal["mse", "mi"]
) -> dict[str, Lying]:
    """Return by name how other images (any grids) lie on ``fixed`` by their frames."""
    return {
        name: Lying(agreement(still, loose, None), float(np.linalg.norm(first_shift(still, loose))))
        for name, _, still, loose in _copies(fixed, others, metric)
    }


def agreement_after(
    fixed: sitk.Image,
    others: Mapping[str, sitk.Image],
    rigid: sitk.Transform,
    *,
    metric: Literal["mse", "mi"],
) -> dict[str, Agreement]:
    """Return by name how well other images agree with ``fixed`` after one rigid transform.

    Args:
        rigid: points of the fixed image to points of the others (mm, LPS).
    """
    return {
        name: agreement(still, loose, frame.rigid_from_world(rigid))
        for name, frame, still, loose in _copies(fixed, others, metric)
    }


def _copies(
    fixed: sitk.Image, others: Mapping[str, sitk.Image], metric: str
) -> Iterator[tuple[str, Frame, WorkingCopy, WorkingCopy]]:
    frame = Frame(fixed)
    still = working_copy(frame.own(fixed), None, metric, FINEST_MM)
    for name, image in others.items():
        yield name, frame, still, working_copy(frame.own(image), None, metric, FINEST_MM)
