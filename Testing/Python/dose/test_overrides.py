"""CT numbers of structures replaced in the volumes that dose is calculated in."""

import numpy as np
import pytest
import SimpleITK as sitk
from montecarlo_cases import cylinder, square_field
from SyntheticCTEvalLib.delivery.dose import recalculate_plan
from SyntheticCTEvalLib.dose.electron_density import electron_density
from SyntheticCTEvalLib.dose.overrides import Override, dosed_structures, overridden
from SyntheticCTEvalLib.montecarlo.calculation import volume_on
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, NotedProgress
from SyntheticCTLib.dicom.frame_of_reference import FRAME, POSITION
from SyntheticCTLib.volumes.grids import copied, grid_of, image_like
from SyntheticCTLib.volumes.resampling import resample

CT, BODY = cylinder(hu=40)


def box(low, high, grid=CT):
    """A mask of what lies from ``low`` to ``high`` (mm along x, y, z)."""
    inside = np.ones(grid.GetSize()[::-1], bool)
    for axis, (first, last) in enumerate(zip(low, high, strict=True)):
        at = grid.GetOrigin()[axis] + np.arange(grid.GetSize()[axis]) * grid.GetSpacing()[axis]
        shape = [1, 1, 1]
        shape[2 - axis] = -1
        inside &= ((at > first) & (at < last)).reshape(shape)
    return image_like(inside.astype(np.uint8), grid)


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


def on_ct(image):
    """Values where the CT is, of an image that was widened around a couch."""
    return values(resample(image, CT, fill=0, nearest=True))


def test_true_ct_and_candidates_get_the_numbers_and_nothing_else_changes():
    other = CT + 7
    asked = (Override("Gas", 0.0), Override("Bone=L", 800.5))
    ct, own, laid, line = overridden(asked, STRUCTURES, CT, BODY, {"a": (other, BODY)})
    gas = values(STRUCTURES["Gas"]) != 0
    bone = values(resample(STRUCTURES["Bone=L"], CT, fill=0, nearest=True)) != 0
    assert (gas & bone).any() and (gas & ~bone).any()
    for found, before in ((ct, CT), (laid["a"][0], other)):
        expected = np.where(bone, 800.5, np.where(gas, 0, values(before)))
        np.testing.assert_array_equal(values(found), expected)
    assert laid["a"][1] is BODY and own is BODY
    assert "in the true CT and all candidates alike" in line
    assert "Gas 0 HU, Bone=L 800.5 HU, the later one where two overlap" in line
    np.testing.assert_array_equal(values(CT)[values(BODY) != 0], 40)  # what came is unchanged


def test_what_a_plan_is_held_against_stays_with_the_volumes():
    told = {FRAME: "1.2.3", POSITION: "FFS", "SyntheticCT": "yes"}
    given = copied(CT)
    for key, value in told.items():
        given.SetMetaData(key, value)
    asked = (Override("Gas", 0.0), Override("Couch", -300.0, couch=True))
    found = overridden(asked, STRUCTURES, given, BODY, {"a": (given, BODY)})
    for one in (found.ct, found.candidates["a"][0]):
        assert {key: one.GetMetaData(key) for key in one.GetMetaDataKeys()} == told


def test_without_overrides_the_volumes_are_those_that_came():
    found = overridden((), {}, CT, BODY, {"a": (CT, BODY)})
    assert found.ct is CT and found.body is BODY
    assert found.candidates == {"a": (CT, BODY)} and found.told == ""


@pytest.mark.parametrize(
    ("name", "hu", "told"),
    [
        ("gas", 0.0, r"none of that name: give one of these \(Gas, Bone=L"),
        ("Nothing", 0.0, "has no voxel within the length of the CT"),
        ("Couch", 0.0, "lies outside the body.*or give it as the couch"),
        (
            "Gas",
            4000.0,
            "override Gas is to have 4000 HU, and the density curve goes from -1000 to 3071",
        ),
        ("Gas", float("nan"), "give a number in between"),
    ],
)
def test_what_cannot_be_replaced_is_refused(name, hu, told):
    with pytest.raises(SyntheticCTError, match=told):
        overridden((Override(name, hu),), STRUCTURES, CT, BODY, {})


def test_what_lies_outside_the_body_is_told():
    progress = NotedProgress(SILENT)
    overridden((Override("Skin", 0.0),), STRUCTURES, CT, BODY, {}, progress=progress)
    (warning,) = progress.warnings
    skin, body = values(STRUCTURES["Skin"]) != 0, values(BODY) != 0
    assert warning.startswith(f"{(skin & ~body).sum() * 0.512:.2g} cm3 of Skin")


COUCH = Override("Couch", 0.0, couch=True)
IN_COUCH = values(STRUCTURES["Couch"]) != 0


def test_a_couch_lies_outside_every_body_and_is_the_same_in_all_volumes():
    wide = image_like(values(BODY) | (IN_COUCH & (np.arange(32) < 8)).astype(np.uint8), CT)
    ct, body, laid, told = overridden((COUCH,), STRUCTURES, CT, BODY, {"wide": (CT, wide)})
    for found, own, before in ((ct, body, BODY), (*laid["wide"], wide)):
        outside = IN_COUCH & (values(before) == 0)
        np.testing.assert_array_equal(on_ct(found), np.where(outside, 0, values(CT)))
        np.testing.assert_array_equal(on_ct(own), np.where(outside, 2, values(before)))
    assert told.startswith(
        "Couch added for the dose in the true CT and all candidates alike, outside"
    )
    assert told.endswith(": Couch 0 HU")
    volume = volume_on(CT, ct, body)
    assert (volume.density[IN_COUCH] == 1).all() and not volume.inside[IN_COUCH].any()


@pytest.mark.parametrize(("gantry", "least", "most"), [(180.0, 0.92, 0.95), (0.0, 0.995, 1.005)])
def test_a_couch_of_water_takes_what_water_takes_from_the_beams_that_pass_it(gantry, least, most):
    """Two voxels, 16 mm: with an effective coefficient of 0.045 per cm, 0.93 is left."""
    plan = square_field(30.0, gantry)
    thick = image_like((IN_COUCH | np.roll(IN_COUCH, -1, axis=1)).astype(np.uint8), CT)
    ct, body, _, _ = overridden((COUCH,), {"Couch": thick}, CT, BODY, {})
    air, water = (
        values(recalculate_plan(*each, CT)) for each in ((CT, plan, BODY), (ct, plan, body))
    )
    assert least < water[15, 16, 16] / air[15, 16, 16] < most
    assert not water[values(BODY) == 0].any()


def test_a_couch_takes_the_place_of_no_tissue_that_a_candidate_lacks():
    """The couch's contour overlaps the back; the candidate lacks the two layers that lie there."""
    thin = image_like(values(BODY) * (np.arange(32) < 26)[:, None].astype(np.uint8), CT)
    wide = {"Couch": box((-120, 80, -100), (120, 120, 100))}
    _, body, laid, _ = overridden((COUCH,), wide, CT, BODY, {"thin": (CT, thin)})
    lacking = (values(BODY) != 0) & (values(thin) == 0)
    assert lacking[15, 26, 16] and not on_ct(laid["thin"][1])[lacking].any()
    couch = on_ct(body) == 2
    np.testing.assert_array_equal(on_ct(laid["thin"][1]) == 2, couch)
    assert couch.any() and not couch[values(BODY) != 0].any()


def test_a_couch_that_reaches_beyond_the_edge_of_the_ct_is_whole():
    """The CT ends at 128 mm; the couch is 96 mm thick, and reaches to 200 mm."""
    fine = grid_of((24, 40, 40), (10.0, 4.0, 10.0), (-115.0, 45.0, -195.0))
    thick = {"Couch": box((-120, 104, -200), (120, 200, 200), fine)}
    given = copied(CT)
    given.SetMetaData(FRAME, "1.2.3")
    ct, body, laid, _ = overridden((COUCH,), thick, given, BODY, {"a": (CT, BODY)})
    assert laid["a"][0].GetSize() == ct.GetSize() == body.GetSize() == (34, 43, 30)
    assert ct.GetOrigin() == (-132, -124, -116) and ct.GetMetaData(FRAME) == "1.2.3"
    middle = (values(body) == 2)[15, :, 17]
    np.testing.assert_array_equal(np.flatnonzero(middle), np.arange(28, 41))  # 103 to 199 mm
    np.testing.assert_array_equal(on_ct(body), np.where(on_ct(body) == 2, 2, values(BODY)))
    far = {
        "Couch": box(
            (-120, 504, -200),
            (120, 600, 200),
            grid_of((6, 20, 10), (40.0,) * 3, (-120.0, 0.0, -120.0)),
        )
    }
    with pytest.raises(SyntheticCTError, match="beyond the edge of the CT"):
        overridden((COUCH,), far, CT, BODY, {})


@pytest.mark.parametrize("hu", [0.0, 1000.0])
def test_a_thin_part_of_a_couch_counts_by_its_thickness(hu):
    """3 mm on voxels of 8 mm: the density that beams pass is that of 3 mm."""
    fine = grid_of((200, 50, 200), (1.0, 0.5, 1.0), (-100.0, 100.0, -100.0))
    shell = {"Couch": box((-90, 110.1, -90), (90, 113.1, 90), fine)}
    ct, body, _, _ = overridden((Override("Couch", hu, couch=True),), shell, CT, BODY, {})
    volume = volume_on(ct, ct, body)
    passed = (volume.density[15, 29:, 16] - 0.001).sum() * 8
    assert passed == pytest.approx(3 * electron_density(np.float32(hu)), rel=0.02)


def test_dose_is_told_of_the_parts_of_structures_in_the_body():
    """Whatever the dose's grid is: what lies in air is no part of a dose-volume figure."""
    progress = NotedProgress(SILENT)
    found = dosed_structures((), STRUCTURES, BODY, progress)
    assert list(found) == ["Gas", "Bone=L", "Skin"] and found["Gas"] is STRUCTURES["Gas"]
    inside = (values(STRUCTURES["Skin"]) != 0) & (values(BODY) != 0)
    np.testing.assert_array_equal(values(found["Skin"]) != 0, inside)
    part = 100 * (1 - inside.sum() / values(STRUCTURES["Skin"]).sum())
    partly, wholly = progress.warnings
    assert partly.startswith(f"{part:.1f} % of Skin lie outside the body")
    assert "where Couch, Nothing lie" in wholly
    couch = (Override("Skin", 0.0, couch=True),)
    assert list(dosed_structures(couch, STRUCTURES, BODY)) == ["Gas", "Bone=L"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_parts_of_a_couch_that_touch_in_a_voxel_add_up(order):
    """A shell of 2 and 2 mm around a core of 16 mm is 20 mm, in whatever order it is named."""
    fine = grid_of((200, 60, 200), (1.0, 0.5, 1.0), (-99.5, 100.25, -99.5))
    ends = (("Top", 105, 107), ("Core", 107, 123), ("End", 123, 125))
    parts = {name: box((-90, low, -90), (90, high, 90), fine) for name, low, high in ends}
    names = [ends[number][0] for number in order]
    couches = tuple(Override(name, 0.0, couch=True) for name in names)
    volume = volume_on(*[overridden(couches, parts, CT, BODY, {})[n] for n in (0, 0, 1)])
    assert volume.density.shape == (30, 34, 32)  # with air behind it
    passed = (volume.density[15, 29:, 16] - 0.001).sum() * 8
    assert passed == pytest.approx(20, rel=0.01)


def test_the_later_part_of_a_couch_counts_where_two_overlap():
    fine = grid_of((200, 60, 200), (1.0, 0.5, 1.0), (-99.5, 100.25, -99.5))
    parts = {"All": box((-90, 105, -90), (90, 125, 90), fine)}
    parts["Core"] = box((-90, 107, -90), (90, 123, 90), fine)
    couches = (Override("All", 0.0, couch=True), Override("Core", -1000.0, couch=True))
    for asked, expected in ((couches, 4), (couches[::-1], 20)):
        ct, body, _, _ = overridden(asked, parts, CT, BODY, {})
        passed = (volume_on(ct, ct, body).density[15, 29:, 16] - 0.001).sum() * 8
        assert passed == pytest.approx(expected, rel=0.01)


def test_a_ct_that_is_stored_in_another_order_gets_the_same_couch():
    fine = grid_of((24, 40, 40), (10.0, 4.0, 10.0), (-115.0, 45.0, -195.0))
    thick = {"Couch": box((-120, 104, -200), (120, 200, 200), fine)}
    ct, body, _, _ = overridden((COUCH,), thick, CT, BODY, {})
    turned = [sitk.PermuteAxes(image, (0, 2, 1)) for image in (CT, BODY)]
    coronal, own, _, _ = overridden((COUCH,), thick, *turned, {})
    assert coronal.GetSize() == tuple(np.array(ct.GetSize())[[0, 2, 1]])
    np.testing.assert_array_equal(values(sitk.PermuteAxes(own, (0, 2, 1))), values(body))


def test_a_couch_inside_the_body_is_refused_and_one_that_reaches_into_it_is_told():
    with pytest.raises(SyntheticCTError, match="Gas, given as the couch, lies inside the body"):
        overridden((Override("Gas", 0.0, couch=True),), STRUCTURES, CT, BODY, {})
    progress = NotedProgress(SILENT)
    asked = (Override("Skin", 0.0, couch=True), COUCH)
    overridden(asked, STRUCTURES, CT, BODY, {}, progress=progress)
    (warning,) = progress.warnings
    skin = values(STRUCTURES["Skin"]) != 0
    assert warning.startswith(
        f"{(skin & (values(BODY) != 0)).sum() * 0.512:.2g} cm3 of the couch Skin"
    )
