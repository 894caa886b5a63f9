"""Matrices of DICOM registrations (PS3.3 C.20.2.1.1), and whether two are one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from SyntheticCTLib.basics.errors import SyntheticCTError

_TOLERANCE = 1e-3
"""How far axes may be from orthogonal, and of length 1 where they must: values are rounded."""
_SAME_MM = 0.01
"""Points that two registrations place closer together they place in one place..."""
_REACH_MM = 500.0
"""... up to so far from the origin."""
AGAIN = "export the registration again, or give a structure set of this CT"


def matrix_of(step: Dataset, path: Path) -> np.ndarray:
    """Return the matrix of an item (4 x 4, of column vectors in mm).

    Raises:
        SyntheticCTError: it is none of its type, or mirrors.
    """
    try:
        matrix = np.array([float(v) for v in step.FrameOfReferenceTransformationMatrix])
        matrix = matrix.reshape(4, 4)
    except (AttributeError, TypeError, ValueError):
        matrix = np.full((4, 4), np.nan)
    kind = str(step.get("FrameOfReferenceTransformationMatrixType") or "AFFINE").strip().upper()
    linear = matrix[:3, :3]
    usable = (
        np.isfinite(matrix).all()
        and np.abs(matrix[3] - (0, 0, 0, 1)).max() < 1e-6
        and np.linalg.det(linear) > 1e-3  # no mirror, and nothing is flattened
    )
    if usable and kind.startswith("RIGID"):
        products = linear.T @ linear
        lengths = np.sqrt(np.diag(products))
        usable = np.abs(products / np.outer(lengths, lengths) - np.eye(3)).max() < _TOLERANCE
        if kind == "RIGID":
            usable = usable and np.abs(lengths - 1).max() < _TOLERANCE
        else:  # scales stand on either side of the rotation
            rows = linear @ linear.T
            across = np.sqrt(np.diag(rows))
            by_rows = np.abs(rows / np.outer(across, across) - np.eye(3)).max() < _TOLERANCE
            usable = usable or by_rows
    if not usable:
        raise SyntheticCTError(
            f"The registration {path} has a matrix that is not of the type {kind} that it names: "
            f"{AGAIN}."
        )
    return matrix


def same_place(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two matrices bring points to one place."""
    corners = np.array([(x, y, z, 1) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    corners[:, :3] *= _REACH_MM
    return bool(np.abs(corners @ (one - other).T).max() < _SAME_MM)
