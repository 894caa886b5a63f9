"""Whether a CT ends inside a plan's fields."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.body.labels import patient_on

from .beams import TreatmentPlan
from .source import plan_source

_COMING_IN, _CUT_OFF = 0.001, 0.05
"""Shares of photons: what comes in through a CT's end has passed tissue that is not there; what
leaves through it has not, but then the field is cut off, as where it passes beyond that end."""
_ALONG_MM = range(-300, 301, 20)
"""Where a photon's way is looked at, from its point nearest to the CT's middle."""


def require_ct_around_fields(
    plan: TreatmentPlan, body: sitk.Image, progress: Progress = SILENT
) -> None:
    """Refuse a CT that ends inside a field; warn where a field only grazes its end.

    Args:
        body: mask of the body on the CT's own grid.

    Raises:
        SyntheticCTError: no field is open; photons come in through the first or the last slice of
            the body, or more than a few percent go out through it or pass beyond it, where the body
            goes on.
    """
    body = sitk.DICOMOrient(body, "LPS")  # slices across the patient, however it is stored
    rays = plan_source(plan).rays(0, 0, 50_000)
    positions, directions = rays.positions, rays.directions
    size = body.GetSize()
    axes = np.array(body.GetDirection()).reshape(3, 3)
    origin = np.array(body.GetOrigin())
    inside = patient_on(body, body)
    start = (positions - origin) @ axes / np.array(body.GetSpacing())  # continuous indices
    along = directions @ axes / np.array(body.GetSpacing())
    shares = {True: 0.0, False: 0.0}
    crossed = np.zeros(len(positions), dtype=bool)
    for k, plane, outward in ((-0.5, inside[0], -1), (size[2] - 0.5, inside[-1], 1)):
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (k - start[:, 2]) / along[:, 2]
            i, j = (start + t[:, np.newaxis] * along)[:, :2].T
            there = np.isfinite(t) & (t > 0) & (i > -0.5) & (j > -0.5)
            there &= (i < size[0] - 0.5) & (j < size[1] - 0.5)
        i, j = np.rint(i[there]).astype(int), np.rint(j[there]).astype(int)
        crossed[there] |= plane[j, i] != 0
        comes_in = along[there, 2] * outward < 0
        for way in shares:
            shares[way] += float(plane[j, i][comes_in == way].sum()) / len(positions)
    middle = body.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in size])
    nearest = ((np.array(middle) - positions) * directions).sum(axis=1)
    beyond = np.zeros(len(positions), dtype=bool)
    for step in _ALONG_MM:
        i, j, k = np.rint(start + (nearest + step)[:, np.newaxis] * along).astype(int).T
        there = ((k < 0) | (k >= size[2])) & (i >= 0) & (j >= 0) & (i < size[0]) & (j < size[1])
        ends = np.where(k[there] < 0, 0, -1)
        beyond[there] |= inside[ends, j[there], i[there]]
    shares[False] += float((beyond & ~crossed).mean())
    if shares[True] > _COMING_IN or shares[False] > _CUT_OFF:
        raise SyntheticCTError(
            "The CT ends inside a field of the plan, so that tissue which the beam passes is "
            "missing: give a CT that reaches beyond the fields."
        )
    if shares[False] > _COMING_IN:
        progress.warn(
            f"{max(100 * shares[False], 0.1):.1f} % of the plan's photons leave the CT through its "
            "first or last slice inside the body, or pass beyond it: near there, scatter of the "
            "tissue beyond is missing."
        )
