"""Whether a candidate fits the true CT better as its mirror image: left and right exchanged."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

STEP_MM = 4.0
SHIFT_MM = 16.0
TISSUES_HU = (-200.0, 500.0)
BETTER = 0.8
"""Share of the mean difference, below which the mirror image's tells that left is right."""


def mirror_warning(
    name: str, ct: sitk.Image, candidate: sitk.Image, body: sitk.Image, covered: sitk.Image
) -> str:
    """Return a sentence where the candidate's mirror image is much nearer to the true CT.

    A pelvis is so symmetric that its mirror image registers well: the figures are those of a
    bad candidate. Held against each other are mean absolute differences of tissues (CT numbers
    cut to :data:`TISSUES_HU`) in the body, of the candidate and of it mirrored left to right
    about the middle of the body, each at the best place within :data:`SHIFT_MM` across.

    Args:
        covered: mask of what the candidate covers; all images on one grid, any direction.
    """
    across = int(np.abs(np.reshape(ct.GetDirection(), (3, 3))[0]).argmax())
    steps = [max(1, round(STEP_MM / spacing)) for spacing in ct.GetSpacing()][::-1]
    coarse = tuple(slice(None, None, step) for step in steps)
    hu, own = (
        np.moveaxis(
            np.clip(sitk.GetArrayViewFromImage(v)[coarse], *TISSUES_HU).astype(float), 2 - across, 2
        )
        for v in (ct, candidate)
    )
    inside, known = (
        np.moveaxis(sitk.GetArrayViewFromImage(v)[coarse] != 0, 2 - across, 2)
        for v in (body, covered)
    )
    if not (inside & known).any():
        return ""
    columns = np.arange(hu.shape[2])
    middle = round(2 * float(np.nonzero(inside)[2].mean()))
    most = round(SHIFT_MM / (steps[2 - across] * ct.GetSpacing()[across]))
    as_it_lies, best = (
        min(_difference(hu, own, inside, known, start + moved) for moved in range(-most, most + 1))
        for start in (columns, middle - columns)
    )
    if best >= BETTER * as_it_lies:
        return ""
    return (
        f"{name} fits the true CT better as its mirror image (mean difference of tissues "
        f"{best:.0f} HU instead of {as_it_lies:.0f}): left and right seem to be exchanged, as "
        "where a conversion lost the directions of its axes; every figure is of the exchanged one."
    )


def _difference(
    hu: np.ndarray, own: np.ndarray, inside: np.ndarray, known: np.ndarray, there: np.ndarray
) -> float:
    """Mean absolute difference in the body, column ``there[i]`` of ``own`` held against the i-th.

    Infinite where less than four fifths of what is known of the body can be compared.
    """
    fits = (there >= 0) & (there < len(there))
    counted = inside[..., fits] & known[..., there[fits]]
    if np.count_nonzero(counted) < 0.8 * np.count_nonzero(inside & known):
        return np.inf
    return float(np.abs(hu[..., fits] - own[..., there[fits]])[counted].mean())
