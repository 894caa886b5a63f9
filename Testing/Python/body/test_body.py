"""The body contour: couch, air and gas, truncated views, orientation, MRs; Dice."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from SyntheticCTEvalLib.image.body_agreement import body_contour, dice
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.phantom import TINY, make_phantom
from SyntheticCTLib.volumes.reading import read_volume

SHAPE = (16, 100, 130)
SPACING = (3.0, 3.0, 4.0)  # i, j, k


def _axes(shape=SHAPE, spacing=SPACING):
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing[::-1], strict=True)]
    return np.meshgrid(*axes, indexing="ij")


def _image(array, spacing=SPACING, direction=None):
    image = sitk.GetImageFromArray(array.astype(np.int16))
    image.SetSpacing(spacing)
    if direction is not None:
        image.SetDirection(direction)
    return image


def _mask(image, modality):
    return sitk.GetArrayFromImage(body_contour(image, modality)).astype(bool)


def _patient(couch_mm=0.0, top_mm=78.0, arms=False, noise=15):
    """A patient that tapers along k, flattened on a couch of fat-like density."""
    z, y, x = _axes()
    body = (x / (150 + z * 0.3)) ** 2 + (y / (100 + z * 0.2)) ** 2 < 1
    top = top_mm + 0 * x
    body &= y < top
    if arms:
        body |= ((x - 178) / 14) ** 2 + ((y - 30) / 18) ** 2 < 1
    hu = np.where(body, 20.0, -1000.0)
    gas = (x / 22) ** 2 + ((y - 20) / 18) ** 2 < 1  # open to the first and the last slice
    hu[gas] = -980
    hu[(y >= top) & (y < top + couch_mm) & (abs(x) < 185)] = -80
    return body, hu + np.random.default_rng(1).normal(0, noise, hu.shape)


@pytest.mark.parametrize("wave", [11.0, 23.0])
def test_a_pad_whose_cover_follows_the_back_is_not_the_patient(wave):
    z, _, x = _axes()
    body, hu = _patient(0)
    rows = body.shape[1]
    skin = np.where(body.any(axis=1), rows - 1 - body[:, ::-1].argmax(axis=1), rows)
    behind = np.indices(hu.shape)[1] - skin[:, None, :] - 1
    pad = (abs(x) < 120) & (behind >= 0) & (behind < 12)
    gap = np.rint(1 + np.sin(x / wave) * np.cos(z / 17))  # touches here, hangs off there
    hu[pad] = -850
    hu[pad & (behind >= gap) & (behind < gap + 2)] = -300
    found = _mask(_image(hu), "CT")
    assert 2 * (found & body).sum() / (found.sum() + body.sum()) > 0.995


@pytest.mark.parametrize("couch_mm", [0, 4, 12, 40])
def test_couch_is_cut_off_where_the_patient_lies_on_it(couch_mm):
    body, hu = _patient(couch_mm)
    np.testing.assert_array_equal(_mask(_image(hu), "CT"), body)


def test_prone_patient_keeps_the_belly_and_loses_the_couch():
    body, hu = _patient(12)
    np.testing.assert_array_equal(_mask(_image(hu[:, ::-1]), "CT"), body[:, ::-1])


def test_concave_couch_is_cut_off():
    z, y, x = _axes()
    top = 82 - x**2 / 1000
    body = ((x / 150) ** 2 + (y / (100 + z * 0.4)) ** 2 < 1) & (y < top)
    hu = np.where(body, 0, -1000)
    hu[(y >= top) & (y < top + 9) & (abs(x) < 190)] = -100
    found = _mask(_image(hu), "CT")
    assert 2 * (found & body).sum() / (found.sum() + body.sum()) > 0.998
    assert not (found & (y > top + 6)).any()


def test_arms_belong_to_the_body_and_noise_and_blankets_do_not():
    body, hu = _patient(12, arms=True)
    _, y, x = _axes()
    blanket = (abs((x / 165) ** 2 + (y / 115) ** 2 - 1) < 0.02) & (y < 0)
    hu[blanket] = -200
    found = _mask(_image(hu), "CT")
    assert not (body & ~found).any()
    assert not (found & ~body & ~blanket).any()
    assert (found & blanket & ~body).sum() < 0.002 * body.sum()


def test_field_of_view_that_cuts_the_patient_cuts_the_mask():
    body, hu = _patient(12)
    cut = (slice(None), slice(None), slice(25, None))  # through the right hip
    np.testing.assert_array_equal(_mask(_image(hu[cut]), "CT"), body[cut])


def test_gas_that_the_side_of_the_field_of_view_cuts_is_kept():
    body, hu = _patient()
    _, y, x = _axes()
    # Its floor and that of the gas in the middle lie as a couch might.
    hu[((x + 120) / 22) ** 2 + ((y - 20) / 18) ** 2 + 0 * hu < 1] = -980
    cut = (slice(None), slice(None), slice(int(np.argmax(x.ravel() > -120)), None))
    np.testing.assert_array_equal(_mask(_image(hu[cut]), "CT"), body[cut])


@settings(max_examples=8, deadline=None)
@given(
    order=st.permutations(range(3)),
    flips=st.tuples(*[st.booleans()] * 3),
    angle=st.floats(-0.3, 0.3).map(lambda angle: round(angle, 9)),
)
def test_mask_lies_where_the_patient_lies_on_any_grid(order, flips, angle):
    """Axes in any order and sense, tilted: the same voxels of the patient are found."""
    body, hu = _patient(12)
    image, truth = _image(hu), _image(body)
    for item in (image, truth):
        rotation = sitk.Euler3DTransform()
        rotation.SetRotation(0, 0, angle)
        item.SetDirection(rotation.GetMatrix())
        item.SetOrigin((-80.0, 12.5, 300.0))
    moved, expected = (
        sitk.Flip(sitk.PermuteAxes(item, list(order)), list(flips)) for item in (image, truth)
    )
    mask = body_contour(moved, "CT")
    assert mask.GetOrigin() == moved.GetOrigin()
    assert mask.GetDirection() == moved.GetDirection()
    assert mask.GetSpacing() == moved.GetSpacing()
    assert mask.GetPixelID() == sitk.sitkUInt8
    assert dice(mask, sitk.Cast(expected != 0, sitk.sitkUInt8)) > 0.999


def test_ct_without_patient_has_an_empty_body():
    hu = np.full(SHAPE, -1000) + np.random.default_rng(0).normal(0, 20, SHAPE)
    assert not _mask(_image(hu), "CT").any()


def _mr(noise=12.0, seed=0):
    """Fat around muscle with bone and gas as dark as air, a bias field, Rician noise."""
    z, y, x = _axes()
    inside = (x / (150 + z * 0.3)) ** 2 + (y / 100) ** 2
    body = inside < 1
    signal = np.where(body, 400.0, 0)
    signal[inside < 0.75] = 90
    signal[((abs(x) - 80) / 18) ** 2 + (y / 25) ** 2 < 1] = 3
    signal[(x / 25) ** 2 + ((y - 30) / 25) ** 2 < 1] = 0
    signal *= np.exp(-((x - 100) ** 2 + y**2) / 250**2) * 0.6 + 0.5
    generator = np.random.default_rng(seed)
    real, imaginary = generator.normal(0, noise, (2, *signal.shape))
    return body, np.hypot(signal + real, imaginary)


@pytest.mark.parametrize("noise", [0.0, 4.0, 15.0])
def test_mr_body_holds_dark_bone_and_gas_and_no_air(noise):
    body, signal = _mr(noise)
    found = _mask(_image(signal), "MR")
    assert 2 * (found & body).sum() / (found.sum() + body.sum()) > 0.99
    eroded = body & np.roll(body, 2, 1) & np.roll(body, -2, 1) & np.roll(body, 2, 2)
    eroded &= np.roll(body, -2, 2)
    assert not (eroded & ~found).any()


def test_ghosts_of_the_patient_in_the_air_are_no_body():
    body, signal = _mr(4.0)
    ghosts = np.zeros_like(signal)
    ghosts[:, 45:], ghosts[:, :-45] = signal[:, :-45], ghosts[:, :-45] + signal[:, 45:]
    found = _mask(_image(np.where(body, signal, np.hypot(signal, 0.05 * ghosts))), "MR")
    assert 2 * (found & body).sum() / (found.sum() + body.sum()) > 0.995


def test_mr_scale_does_not_matter():
    _, signal = _mr()
    first, second = _image(signal * 10), _image(signal * 10)
    second = sitk.Cast(second, sitk.sitkFloat32) * 0.0371
    assert dice(body_contour(first, "MR"), body_contour(second, "MR")) == 1


def test_mr_without_air_is_body_all_over():
    _, signal = _mr()
    assert _mask(_image(signal[:, 25:75, 30:100]), "MR").all()


def test_body_of_the_digital_phantom_on_ct_and_mr():
    phantom = make_phantom(5, TINY)
    for image, labels, modality, least in (
        (phantom.ct, phantom.labels_ct, "CT", 0.997),
        (phantom.mr, phantom.labels_mr, "MR", 0.993),
        (phantom.in_phase, phantom.labels_mr, "MR", 0.993),
        (phantom.mrcat, phantom.labels_mr, "CT", 0.985),
    ):
        truth = sitk.Cast(labels != 0, sitk.sitkUInt8)
        assert dice(body_contour(image, modality), truth) > least


def test_prostate_mr_that_shows_little_skin(real_data):
    mr = read_volume(real_data / "mr_t2_prostate_dicom", "MR")
    mask = sitk.GetArrayFromImage(body_contour(mr, "MR"))
    assert 0.97 < mask.mean() < 1  # the corners in front of the belly are air
    assert sitk.GetArrayFromImage(body_contour(mr[15:360, 60:325, :], "MR")).all()


def test_pelvic_ct_on_a_concave_couch(real_data):
    ct = read_volume(real_data / "ct_pelvis" / "ct.nrrd", "CT")
    body = sitk.GetArrayFromImage(body_contour(ct, "CT")).astype(bool)
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(real_data / "ct_pelvis" / "labels.nrrd")))
    assert body[labels > 0].all()
    hu = sitk.GetArrayViewFromImage(ct)
    # The sides of the couch, denser than fat, lie in the lower corners (rows run upwards).
    corner = (slice(None), slice(0, 12), slice(0, 15))
    assert (hu[corner] > -500).sum() > 2000
    assert not body[corner].any()


def test_dice_of_two_boxes_and_of_nothing():
    a, b = np.zeros((4, 4, 4)), np.zeros((4, 4, 4))
    a[:2], b[1:3] = 1, 5
    assert dice(_image(a), _image(b)) == pytest.approx(0.5)
    assert dice(_image(a), _image(a)) == 1
    assert dice(_image(a), _image(a * 0)) == 0
    assert math.isnan(dice(_image(a * 0), _image(a * 0)))


def test_masks_on_different_grids_and_unknown_modalities_are_refused():
    a = _image(np.ones((4, 4, 4)))
    with pytest.raises(SyntheticCTError, match="different grids"):
        dice(a, _image(np.ones((4, 4, 4)), spacing=(1, 1, 1)))
    with pytest.raises(SyntheticCTError, match="modality PET is unknown"):
        body_contour(a, "PET")
