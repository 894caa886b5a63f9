"""Doses that cannot be are refused or named; doses that can be are let alone."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dose_files import rtdose, volume
from pydicom.dataset import Dataset
from SyntheticCTEvalLib.dose.doses import imported_doses
from SyntheticCTEvalLib.dose.plausibility import require_possible
from SyntheticCTEvalLib.dose.reading import read_dose
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import grid_of, image_like

GRID = grid_of((20, 18, 16), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0))
BODY = image_like(np.ones((16, 18, 20), np.uint8), GRID)
K, J, ALONG = np.indices((16, 18, 20))
HILL = 45 * np.exp(-((K - 8) ** 2 + (J - 9) ** 2 + (ALONG - 10) ** 2) / 20)


def dose(values):
    return image_like(np.asarray(values, np.float32), GRID)


def notes(evaluated, reference=HILL, prescription=45.0, target=None):
    given = {"sCT": evaluated if isinstance(evaluated, sitk.Image) else dose(evaluated)}
    reference = reference if isinstance(reference, sitk.Image) else dose(reference)
    return imported_doses(BODY, BODY, reference, given, ["sCT"], prescription, target).notes


def test_a_pair_that_can_be_is_not_spoken_of():
    target = image_like((HILL > 40).astype(np.uint8), GRID)
    assert notes(1.02 * HILL, target=("PTV", target)) == []


@pytest.mark.parametrize("share", [0.001, 0.01])
def test_noise_below_zero_is_named_with_its_number_and_least_value(share):
    noisy = HILL + np.random.default_rng(1).normal(0, share * 45, HILL.shape)
    (note,) = notes(noisy)
    assert f"sCT is negative in {np.count_nonzero(noisy < 0)} of 5760 voxels" in note
    assert f"{noisy.min():.3g} Gy" in note
    assert notes(np.where(HILL < 1e-3, -1e-6, 1.01 * HILL)) == []  # rounding


@pytest.mark.parametrize("part", [-0.2, -0.06, -0.02])
def test_dose_that_is_negative_in_a_part_is_refused(tmp_path, part):
    values = HILL.copy()
    values[:, :, :5] = part * 45
    with pytest.raises(SyntheticCTError, match="dose on sCT is negative dose"):
        notes(values)
    with pytest.raises(SyntheticCTError, match=r"minus\.nrrd is negative dose"):
        read_dose(volume(tmp_path / "minus.nrrd", values))


def test_doses_that_no_patient_gets_are_named_or_refused():
    assert any("true CT reaches 4500 Gy" in note for note in notes(100 * HILL, 100 * HILL))
    with pytest.raises(SyntheticCTError, match=r"sCT reaches 1\.5e\+06 Gy, which cannot be"):
        notes(HILL / 45 * 1.5e6)
    with pytest.raises(SyntheticCTError, match="film reaches"):
        require_possible(dose(1e6 * HILL), "film")


@pytest.mark.parametrize("factor", [100, 0.01, 25, 0.2, 0.0])
def test_a_multiple_of_the_dose_on_the_ct_is_named(factor):
    values = factor * HILL + (0 if factor else np.where(HILL < 1, 1, 0))
    assert any("sCT is out of proportion" in note for note in notes(values))


def test_the_same_dose_given_twice_is_named_on_any_grid():
    twice = "sCT is the same as the dose on the true CT"
    assert any(twice in note for note in notes(HILL))
    assert any(twice in note for note in notes(dose(HILL)[3:17, 3:15, 3:13]))
    assert not any(twice in note for note in notes(1.001 * HILL))


def test_a_dose_far_from_prescription_and_target_is_named():
    assert any("0.04 times the prescription" in note for note in notes(HILL / 25, HILL / 25))
    corner = image_like((ALONG < 3).astype(np.uint8), GRID)
    found = [note for note in notes(HILL, target=("PTV", corner)) if "target PTV gets" in note]
    assert len(found) == 2 and "on the true CT" in found[0] and "on sCT" in found[1]


def planned(path, fractions=None, beam=None, **elements):
    """An RTDOSE that refers to a plan."""
    dataset = pydicom.dcmread(rtdose(path, **elements))
    plan, group, one = Dataset(), Dataset(), Dataset()
    plan.ReferencedSOPInstanceUID = "1.2.3"
    group.ReferencedFractionGroupNumber = 1
    if fractions:
        group.NumberOfFractionsPlanned = fractions
    if beam:
        one.ReferencedBeamNumber = beam
        group.ReferencedBeamSequence = [one]
    plan.ReferencedFractionGroupSequence = [group]
    dataset.ReferencedRTPlanSequence = [plan]
    dataset.save_as(path)
    return path


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({}, {"DoseSummationType": "BEAM"}, "BEAM, not PLAN"),
        ({}, {"DoseSummationType": "FRACTION"}, "FRACTION, not PLAN"),
        ({}, {"DoseType": "EFFECTIVE"}, "EFFECTIVE, not PHYSICAL"),
        ({"fractions": 25}, {"fractions": 23}, "number of fractions 23, not 25"),
        (
            {"beam": 1, "DoseSummationType": "BEAM"},
            {"beam": 2, "DoseSummationType": "BEAM"},
            "beams 2, not 1",
        ),
        ({"beam": 1}, {"beam": 2}, None),
        ({}, {}, None),
    ],
)
def test_sums_of_different_things_are_named(tmp_path, one, other, words):
    reference = read_dose(planned(tmp_path / "ct.dcm", **one))
    evaluated = read_dose(planned(tmp_path / "sct.dcm", **other)) * 1.01
    for key in (again := read_dose(tmp_path / "sct.dcm")).GetMetaDataKeys():
        evaluated.SetMetaData(key, again.GetMetaData(key))
    body = reference > -1
    found = imported_doses(reference, body, reference, {"sCT": evaluated}, ["sCT"], None).notes
    sums = [note for note in found if "not sums of the same" in note]
    assert [words in note for note in sums] == ([True] if words else [])


def test_what_a_dose_is_the_sum_of_survives_a_volume_file(tmp_path):
    sitk.WriteImage(read_dose(rtdose(tmp_path / "a.dcm")), str(tmp_path / "a.nrrd"))
    assert read_dose(tmp_path / "a.nrrd").GetMetaData("DoseSummationType") == "PLAN"
