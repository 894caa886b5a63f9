"""CT numbers of structures replaced in the volumes that dose is calculated in."""

import numpy as np
import pytest
import SimpleITK as sitk
from montecarlo_cases import cylinder
from SyntheticCTEvalLib.dose.overrides import overridden
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, NotedProgress
from SyntheticCTLib.dicom.frame_of_reference import FRAME, POSITION
from SyntheticCTLib.volumes.grids import copied, grid_of, image_like
from SyntheticCTLib.volumes.resampling import resample

CT, BODY = cylinder(hu=40)


def box(low, high, grid=CT):
    """A mask of what lies from ``low`` to ``high`` (mm along x, y, z)."""
    mask = np.zeros(grid.GetSize()[::-1], np.uint8)
    for index in np.ndindex(*mask.shape):
        at = np.array(grid.TransformIndexToPhysicalPoint(index[::-1]))
        mask[index] = ((at > low) & (at < high)).all()
    return image_like(mask, grid)


COARSE = grid_of((12, 12, 12), (24.0,) * 3, (-132.0,) * 3)
STRUCTURES = {
    "Gas": box((-30, -30, -30), (30, 30, 30)),
    "Bone=L": box((0, -30, -30), (60, 30, 30), COARSE),
    "Couch": box((-120, 110, -100), (120, 120, 100)),
    "Skin": box((80, -30, -30), (120, 30, 30)),
    "Nothing": box((0, 0, 0), (0, 0, 0)),
}


def values(image):
    return sitk.GetArrayFromImage(image)


def test_true_ct_and_candidates_get_the_numbers_and_nothing_else_changes():
    other = CT + 7
    asked = (("Gas", 0.0), ("Bone=L", 800.5))
    ct, laid, line = overridden(asked, STRUCTURES, CT, BODY, {"a": (other, BODY)})
    gas = values(STRUCTURES["Gas"]) != 0
    bone = values(resample(STRUCTURES["Bone=L"], CT, fill=0, nearest=True)) != 0
    assert (gas & bone).any() and (gas & ~bone).any()
    for found, before in ((ct, CT), (laid["a"][0], other)):
        expected = np.where(bone, 800.5, np.where(gas, 0, values(before)))
        np.testing.assert_array_equal(values(found), expected)
    assert laid["a"][1] is BODY
    assert "in the true CT and all candidates alike" in line
    assert "Gas 0 HU, Bone=L 800.5 HU, the later one where two overlap" in line
    np.testing.assert_array_equal(values(CT)[values(BODY) != 0], 40)  # what came is unchanged


def test_what_a_plan_is_held_against_stays_with_the_volumes():
    told = {FRAME: "1.2.3", POSITION: "FFS", "SyntheticCT": "yes"}
    given = copied(CT)
    for key, value in told.items():
        given.SetMetaData(key, value)
    ct, laid, _ = overridden((("Gas", 0.0),), STRUCTURES, given, BODY, {"a": (given, BODY)})
    for found in (ct, laid["a"][0]):
        assert {key: found.GetMetaData(key) for key in found.GetMetaDataKeys()} == told


def test_without_overrides_the_volumes_are_those_that_came():
    ct, laid, line = overridden((), {}, CT, BODY, {"a": (CT, BODY)})
    assert ct is CT and laid == {"a": (CT, BODY)} and line == ""


@pytest.mark.parametrize(
    ("name", "hu", "told"),
    [
        ("gas", 0.0, r"none of that name: give one of these \(Gas, Bone=L"),
        ("Nothing", 0.0, "has no voxel on the CT"),
        ("Couch", 0.0, "lies outside the body"),
        ("Gas", 4000.0, "is 4000 HU, and the density curve goes from -1000 to 3071 HU"),
        ("Gas", float("nan"), "give a number in between"),
    ],
)
def test_what_cannot_be_replaced_is_refused(name, hu, told):
    with pytest.raises(SyntheticCTError, match=told):
        overridden(((name, hu),), STRUCTURES, CT, BODY, {})


def test_what_lies_outside_the_body_is_told():
    progress = NotedProgress(SILENT)
    overridden((("Skin", 0.0),), STRUCTURES, CT, BODY, {}, progress=progress)
    (warning,) = progress.warnings
    skin, body = values(STRUCTURES["Skin"]) != 0, values(BODY) != 0
    assert warning.startswith(f"{(skin & ~body).sum() * 0.512:.2g} cm3 of Skin")
