"""The body contour on what yields, hangs and tilts: mattresses, covers, couches; ghosts of MRs."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from SyntheticCTLib.body.contour import body_contour

SPACING = (3.0, 3.0, 3.0)
SHAPE = (24, 110, 140)


def _axes():
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(SHAPE, SPACING, strict=True)]
    return np.meshgrid(*axes, indexing="ij")


def _patient(flat=np.inf):
    """Skin, fat, muscle and gas; flattened below ``flat`` (mm) as on a hard couch."""
    z, y, x = _axes()
    body = ((x / (150 + z * 0.2)) ** 2 + (y / (100 + z * 0.2)) ** 2 < 1) & (y < flat)
    inner = ((x / (135 + z * 0.2)) ** 2 + (y / (86 + z * 0.2)) ** 2 < 1) & (y < flat - 12)
    hu = np.where(inner, 40.0, np.where(body, -100.0, -1000.0))
    hu[body & ~ndimage.binary_erosion(body, np.ones((1, 3, 3)))] = -20
    hu[(x / 22) ** 2 + ((y - 10) / 18) ** 2 < 1] = -980
    return body, hu


def _found(hu, modality="CT"):
    if modality == "CT":
        hu = ndimage.gaussian_filter(hu, [0, 0.5, 0.5])
        hu += np.random.default_rng(1).normal(0, 12, hu.shape)
    image = sitk.GetImageFromArray(np.rint(hu).astype(np.int16))
    image.SetSpacing(SPACING)
    return sitk.GetArrayFromImage(body_contour(image, modality)).astype(bool)


def _dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("prone", [False, True])
@pytest.mark.parametrize(
    ("depth", "cover", "foam"), [(9, -300, -900), (15, -80, -900), (24, 30, -900), (15, -300, -300)]
)
def test_a_patient_sunk_into_a_mattress_keeps_the_back(depth, cover, foam, prone):
    _, y, x = _axes()
    body, hu = _patient()
    top = 100 - depth
    mattress = (y >= top) & (y < top + 60) & (abs(x) < 210) & ~body
    hu[mattress] = foam
    under = ndimage.binary_dilation(body, np.ones((1, 5, 5)))
    hu[mattress & ((y < top + 6) | under)] = cover
    hu[(y >= top + 60) & (y < top + 66)] = -50
    flip = (slice(None), slice(None, None, -1 if prone else 1))
    found = _found(hu[flip])[flip]
    assert _dice(found, body) > 0.9965
    lost = ndimage.distance_transform_edt(body, sampling=SPACING)[body & ~found]
    assert lost.max(initial=0) < 5  # mm; 15 to 30 where the mattress is taken for a hard couch


@pytest.mark.parametrize("density", [-80, -300])
@pytest.mark.parametrize(
    ("width", "roll", "pitch", "cut"),
    [
        (220, 0, 0, 0),
        (135, 0, 0, 0),
        (220, 2, 0, 0),
        (220, 0, 2, 0),
        (220, 0, 4, 0),
        (220, 0, 0, 25),
    ],
)
def test_a_couch_flush_with_the_patient_leaves_no_layer(density, width, roll, pitch, cut):
    """Little wider than the patient, tilted, or seen beside the patient over a short way only."""
    z, y, x = _axes()
    top = 80 + x * np.tan(np.deg2rad(roll)) + z * np.tan(np.deg2rad(pitch))
    body, hu = _patient(top)
    hu[(y >= top) & (y < top + 6) & (abs(x) < width) & ~body] = density
    view = (slice(None), slice(None), slice(cut, SHAPE[2] - cut))
    assert _dice(_found(hu[view]), body[view]) > 0.999


@pytest.mark.parametrize("density", [-300, 0])
def test_covers_that_hang_off_the_back_are_taken_away(density):
    z, y, x = _axes()
    body, hu = _patient()
    rows = body.shape[1]
    skin = np.where(body.any(axis=1), rows - 1 - body[:, ::-1].argmax(axis=1), rows)
    behind = np.indices(hu.shape)[1] - skin[:, None, :] - 1
    pad = (abs(x) < 120) & (behind >= 0) & (y < 125)
    gap = np.rint(1 + np.sin(x / 23) * np.cos(z / 17)) + (density > -200)
    hu[pad] = -850
    hu[pad & (behind >= gap) & (behind < gap + 2)] = density
    assert _dice(_found(hu), body) > 0.995


def test_a_clean_patient_and_a_cleft_keep_every_voxel():
    _, y, x = _axes()
    body, hu = _patient()
    np.testing.assert_array_equal(_found(hu), body)
    hu[(abs(x) < 3) & (y > 70) & body] = -450  # a cleft that the voxels fill in part
    assert (body & ~_found(hu)).sum() < 1e-4 * body.sum()


def _shifted(values, shift, axis):
    moved = np.roll(values, shift, axis)
    gone = [slice(None)] * 3
    gone[axis] = slice(0, shift) if shift > 0 else slice(shift, None)
    moved[tuple(gone)] = 0
    return moved


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.16, 0.2])
def test_ghosts_brighter_than_dark_tissue_are_no_body(share, axis):
    z, y, x = _axes()
    radius = (x / (110 + z * 0.3)) ** 2 + (y / 90) ** 2
    body = radius < 1
    signal = np.select([radius < 0.03, radius < 0.7, body], [0.0, 90.0, 400.0], 0.0)
    ghosts = _shifted(signal, 35, axis) + _shifted(signal, -35, axis)
    real, imaginary = np.random.default_rng(0).normal(0, 4, (2, *signal.shape))
    shown = np.where(body, signal, share * ghosts)
    assert _dice(_found(np.hypot(shown + real, imaginary), "MR"), body) > 0.998


@pytest.mark.parametrize("width", [10, 120])
def test_zeros_around_an_mr_do_not_change_its_body(width):
    _, y, x = _axes()
    radius = (x / 110) ** 2 + (y / 90) ** 2
    signal = np.select([radius < 0.03, radius < 0.7, radius < 1], [0.0, 90.0, 400.0], 0.0)
    real, imaginary = np.random.default_rng(0).normal(0, 4, (2, *signal.shape))
    signal = np.hypot(signal + real, imaginary)[:8] + 1
    plain = _found(signal, "MR")
    sides = ((0, 0), (width, width), (width, width))
    assert _dice(_found(np.pad(signal, sides), "MR"), np.pad(plain, sides)) > 0.999
