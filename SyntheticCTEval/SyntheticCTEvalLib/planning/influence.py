"""The dose of small parts of a field at points: what leaves and MU are optimised with.

The kernels are pydosert's, for the radiological depth of every point; the pencil beam itself, which
lets every pencil have its own depth on a grid, corrects what this leaves (see optimiser).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from SyntheticCTEvalLib.delivery.dose import table_axes
from SyntheticCTEvalLib.dose.electron_density import density_inside
from SyntheticCTEvalLib.dose.pencil_beam import KERNEL_RADIUS_MM, TPR_20_10
from SyntheticCTEvalLib.dose.plan import SOURCE_BLUR_MM
from SyntheticCTEvalLib.dose.recalculation import working_grid

from .arcs import Arc, seen
from .linac import LINAC, Linac

ACROSS_MM = 5.0
"""Parts of a field across the leaves."""
_STEP_MM = 0.5
"""Of the table of kernels: their edges fall over few millimetres."""
_STEPS = round(KERNEL_RADIUS_MM / _STEP_MM)
_SOURCE_MM = 1000.0


@dataclass(frozen=True, eq=False)
class Influence:
    """Dose at points of every part of an arc's field.

    Attributes:
        gray: (points, parts) float32, Gy per MU through the part.
        where: (parts,) index into (segments, rows, columns).
        columns_mm, rows_mm: borders of the parts along the leaves and across.
        sharing: (rows, pairs) share of each row that lies in a pair.
    """

    gray: np.ndarray
    where: np.ndarray
    columns_mm: np.ndarray
    rows_mm: np.ndarray
    sharing: np.ndarray


def parts_of(arc: Arc, along_mm: float, linac: Linac = LINAC) -> tuple[np.ndarray, ...]:
    """Borders of columns and rows, shares of rows in pairs, and which parts (segments, rows,
    columns) may open."""
    windows = arc.windows_mm
    opened = np.ptp(windows, axis=-1) > 0
    boundaries = np.array(linac.mlc.boundaries_mm, dtype=float)
    sides = np.stack([boundaries[:-1], boundaries[1:]], axis=1)
    used = opened.any(axis=0)
    low, high = windows[opened][:, 0].min(), windows[opened][:, 1].max()
    columns = np.arange(math.floor(low / along_mm), math.ceil(high / along_mm) + 1) * along_mm
    first, last = sides[used, 0].min(), sides[used, 1].max()
    rows = np.arange(round(first / ACROSS_MM), round(last / ACROSS_MM) + 1) * ACROSS_MM
    middle = (rows[1:] + rows[:-1])[:, None] / 2
    sharing = ((middle > sides[:, 0]) & (middle < sides[:, 1])).astype(np.float32)
    start = np.minimum(windows[:-1, :, 0], windows[1:, :, 0])
    end = np.maximum(windows[:-1, :, 1], windows[1:, :, 1])
    either = opened[:-1] | opened[1:]
    covers = (columns[:-1] < end[..., None]) & (columns[1:] > start[..., None])
    covers &= either[..., None]
    pairs = sharing.argmax(axis=1)
    return columns, rows, sharing, covers[:, pairs]


def influence_of(
    arc: Arc,
    points: np.ndarray,
    parts: tuple[np.ndarray, ...],
    depths: Depths,
    isocentre_mm: tuple[float, float, float],
    patient_position: str,
) -> Influence:
    """Return the dose at points (n, 3; LPS) of every part of an arc's field."""
    columns, rows, sharing, covers = parts
    along = float(columns[1] - columns[0])
    nodes, table = _kernels(along)
    where = np.flatnonzero(covers)
    gray = np.zeros((len(points), len(where)), dtype=np.float32)
    u, v = (columns[1:] + columns[:-1]) / 2, (rows[1:] + rows[:-1]) / 2
    filled = 0
    half = arc.turn_deg / 2 * (1 if arc.direction == "CW" else -1)
    for segment, cover in enumerate(covers):
        gantry = (arc.gantry_deg[segment] + half) % 360
        xb, yb, zb = seen(points, isocentre_mm, gantry, arc.collimator_deg, patient_position).T
        shrink = (_SOURCE_MM - zb) / _SOURCE_MM  # of a field at the point's distance
        row, column = np.nonzero(cover)
        away_u = _nearest(np.abs(xb[:, None] - np.outer(shrink, u)))[:, column]
        away_v = _nearest(np.abs(yb[:, None] - np.outer(shrink, v)))[:, row]
        depth = np.clip(depths.at(points, gantry), nodes[0], nodes[-1])
        node = np.clip(np.searchsorted(nodes, depth, side="right") - 1, 0, len(nodes) - 2)
        part = ((depth - nodes[node]) / (nodes[node + 1] - nodes[node])).astype(np.float32)
        block = gray[:, filled : filled + len(row)]
        place = (node[:, None] * len(table[0]) + away_v) * len(table[0]) + away_u
        block += (1 - part)[:, None] * table.ravel()[place]
        block += part[:, None] * table.ravel()[place + table[0].size]
        filled += len(row)
    return Influence(gray, where, columns, rows, sharing)


def _nearest(distances: np.ndarray) -> np.ndarray:
    return np.minimum(np.rint(distances / _STEP_MM), _STEPS + 1).astype(np.int32)


@functools.cache
def _kernels(along_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Depths in mm of water, and Gy per MU (depths, across, along; steps of _STEP_MM) beside a part
    of a field of 5 mm across the leaves; 0 beyond the kernel."""
    import torch
    from pydosert.engine.pencil_depth_engine import PencilDepthEngine
    from pydosert.physics.kernels.pencil_beam_model import PencilBeamModel

    model = PencilBeamModel((_STEP_MM,) * 3, TPR_20_10, 2 * _STEPS + 1)
    nodes = torch.tensor(PencilDepthEngine.DEPTH_NODES_MM)
    kernels = model.get_pencil_beam(
        d=nodes.view(1, -1, 1, 1), r=model.rs.view(1, 1, *model.rs.shape).float()
    )[0].numpy()
    blur = SOURCE_BLUR_MM / _STEP_MM
    spread = ndimage.gaussian_filter(kernels, (0, blur, blur), mode="constant")
    for axis, width in ((1, ACROSS_MM), (2, along_mm)):
        spread = width * ndimage.uniform_filter1d(
            spread, round(width / _STEP_MM), axis=axis, mode="constant"
        )
        # A filter of an even width lies half a step beside: the kernel is the same on both sides.
        spread = (spread + np.flip(spread, axis)) / 2
    quarter = spread[:, _STEPS:, _STEPS:]
    table = np.pad(quarter, ((0, 0), (0, 1), (0, 1))).astype(np.float32)
    # 100 MU give 1 Gy at 10 cm depth of water in a field of 10 x 10 cm at the isocentre.
    across = _nearest(np.abs(np.arange(-50 + ACROSS_MM / 2, 50, ACROSS_MM)))
    along = _nearest(np.abs(np.arange(-50 + along_mm / 2, 50, along_mm)))
    at = np.asarray(nodes)
    middle = table[:, across][:, :, along].sum(axis=(1, 2))
    return at, table * np.float32(0.01 / np.interp(100.0, at, middle))


class Depths:
    """Radiological depth of points, by pydosert, for any gantry angle."""

    def __init__(
        self,
        ct: sitk.Image,
        body: sitk.Image,
        grid: sitk.Image,
        isocentre_mm: tuple[float, float, float],
        reach_mm: float,
        patient_position: str,
    ) -> None:
        import torch

        self._axes = table_axes(0.0, patient_position)
        work = working_grid(body, grid, isocentre_mm, (-reach_mm, reach_mm), axes=self._axes)
        self._density = torch.from_numpy(density_inside(ct, body, work))[None]
        self._spacing = work.GetSpacing()[0]
        self._isocentre = np.asarray(isocentre_mm)
        first = (self._isocentre - np.array(work.GetOrigin())) @ self._axes
        self._middle = first[::-1]  # k, j, i in mm from the first voxel

    def at(self, points: np.ndarray, gantry_deg: float) -> np.ndarray:
        """Radiological depth in mm of water of points (n, 3; mm, LPS)."""
        import torch
        from pydosert.layers.PencilDepthLayer import PencilDepthLayer

        layer = PencilDepthLayer(
            self._density.shape[1:],
            tuple(self._middle.tolist()),
            (self._spacing,) * 3,
            torch.deg2rad(torch.tensor([float(gantry_deg)])),
        )
        depth = layer(self._density)[0].numpy()  # along the beam, k, i
        i, j, k = ((points - self._isocentre) @ self._axes).T
        angle = np.deg2rad(gantry_deg)
        along = j * np.cos(angle) - i * np.sin(angle)
        lateral = i * np.cos(angle) + j * np.sin(angle)
        middle = self._middle[:, None]
        index = (np.stack([along, k, lateral]) + middle[[1, 0, 2]]) / self._spacing
        return ndimage.map_coordinates(depth, index, order=1, mode="nearest")
