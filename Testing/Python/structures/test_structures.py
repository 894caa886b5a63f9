"""Structures: contours of known area become masks of known volume and place."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import save_dicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from structure_files import PATIENT, rtstruct, square
from SyntheticCTEvalLib.structures.reading import read_structures
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTLib.volumes.segmentation import write_segmentation
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main

CT = grid_of((60, 60, 40), (2.0, 2.0, 3.0), (-60.0, -60.0, -60.0))


class Warnings(Progress):
    def __init__(self):
        self.told = []

    def warn(self, message):
        self.told.append(message)


def circle(z, radius, count=180):
    angles = 2 * np.pi * np.arange(count) / count
    return np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(count, z)], 1)


def read(tmp_path, contours, **options):
    progress = Warnings()
    masks = read_structures(
        rtstruct(tmp_path / "s.dcm", {"PTV": contours}), CT, progress, **options
    )
    return masks["PTV"], progress.told


def volume(mask):
    return sitk.GetArrayViewFromImage(mask).sum(dtype=float) * np.prod(mask.GetSpacing())


def inside(mask, point):
    index = mask.TransformPhysicalPointToIndex([float(p) for p in point])
    within = all(0 <= i < n for i, n in zip(index, mask.GetSize(), strict=True))
    return bool(within and mask[index])


def centroid(mask):
    found = np.argwhere(sitk.GetArrayViewFromImage(mask))[:, ::-1].mean(axis=0)
    return np.array(mask.TransformContinuousIndexToPhysicalPoint(found.tolist()))


def test_a_cylinder_has_its_volume_and_place(tmp_path):
    contours = [circle(z, 15.0) + np.array([7, -4, 0]) for z in (0.0, 3.0, 6.0, 9.0)]
    mask, told = read(tmp_path, contours)
    assert volume(mask) == pytest.approx(np.pi * 15**2 * 12, rel=0.01)
    assert centroid(mask) == pytest.approx((7, -4, 4.5), abs=0.05)
    assert max(mask.GetSpacing()[:2]) <= 1
    assert told == []


def test_a_small_structure_is_drawn_on_small_pixels(tmp_path):
    mask, _ = read(tmp_path, [circle(z, 2.0) for z in (0.0, 3.0)])
    assert volume(mask) == pytest.approx(np.pi * 4 * 6, rel=0.01)


def test_holes_and_islands_and_several_parts(tmp_path):
    rings = []
    for z in (0.0, 3.0):
        rings += [square(z, 20), square(z, 12), square(z, 5), square(z, 4, (40, 0))]
    mask, _ = read(tmp_path, rings)
    assert volume(mask) == pytest.approx((40**2 - 24**2 + 10**2 + 8**2) * 6, rel=0.01)
    assert [inside(mask, (x, 0, 1)) for x in (0, 8, 16, 30, 40)] == [True, False, True, False, True]


def test_a_keyhole_is_a_hole(tmp_path):
    outer, inner = square(0.0, 20), square(0.0, 10)[::-1]
    keyhole = [*outer, outer[0], inner[-1], *inner, outer[0]]
    mask, _ = read(tmp_path, [keyhole, [(x, y, 3.0) for x, y, _ in keyhole]])
    assert volume(mask) == pytest.approx((40**2 - 20**2) * 6, rel=0.01)
    assert not inside(mask, (0, 0, 1))


@pytest.mark.parametrize("again", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize("first", [0, 2])
def test_a_contour_stored_twice_counts_once(tmp_path, again, first):
    twice = np.roll(square(0.0), first, axis=0)[again]
    mask, _ = read(tmp_path, [square(0.0), twice, square(3.0)])
    assert volume(mask) == pytest.approx(400 * 6, rel=0.01)


def test_planes_between_ct_slices_and_at_odd_distances_reach_half_way(tmp_path):
    mask, told = read(tmp_path, [square(0.7), square(3.7, 5), square(7.9), square(10.9)])
    assert told == []
    expected = 400 * 3.0 + 100 * (1.5 + 2.1) + 400 * (2.1 + 1.5) + 400 * 3.0
    expected -= 400 * 1.5 - 400 * 1.5
    assert volume(mask) == pytest.approx(expected, rel=0.04)
    assert [inside(mask, (8, 0, z)) for z in (-1.1, -0.5, 2, 2.5, 5.5, 6.1, 12.0, 12.7)] == [
        False, True, True, False, False, True, True, False,
    ]  # fmt: skip


def test_a_gap_is_told_and_not_filled(tmp_path):
    mask, told = read(tmp_path, [square(z) for z in (0.0, 3.0, 6.0, 18.0, 21.0)])
    assert volume(mask) == pytest.approx(400 * 15, rel=0.01)
    assert [inside(mask, (0, 0, z)) for z in (7, 9, 12, 15, 17)] == [True, *[False] * 3, True]
    assert len(told) == 1 and "PTV" in told[0]


def test_one_plane_is_as_thick_as_a_slice_of_the_ct(tmp_path):
    mask, _ = read(tmp_path, [square(0.0)])
    assert volume(mask) == pytest.approx(400 * 3, rel=0.01)


def test_without_end_caps_a_structure_ends_at_its_last_contours(tmp_path):
    mask, _ = read(tmp_path, [square(z) for z in (0.0, 3.0, 6.0)], end_caps=False)
    assert volume(mask) == pytest.approx(400 * 6, rel=0.01)
    assert centroid(mask) == pytest.approx((0, 0, 3), abs=0.05)


@pytest.mark.parametrize("normal", [(1, 0, 0), (0, -1, 0), (0.3, -0.5, 0.8)])
def test_contours_of_any_orientation(tmp_path, normal):
    normal = np.array(normal) / np.linalg.norm(normal)
    first = np.cross(normal, (0.1, 0.2, 0.9))
    first /= np.linalg.norm(first)
    second = np.cross(normal, first)
    centre = np.array([5.0, -3.0, 8.0])
    contours = [
        [centre + 12 * a * first + 6 * b * second + h * normal
         for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        for h in (-3.0, 0.0, 3.0)
    ]  # fmt: skip
    mask, _ = read(tmp_path, contours)
    assert volume(mask) == pytest.approx(24 * 12 * 9, rel=0.04)
    assert centroid(mask) == pytest.approx(centre, abs=0.3)
    for a, b, h in ((0.8, 0.8, 1), (-0.8, 0.8, -1), (0.8, -0.8, 1.3)):
        point = centre + 12 * a * first + 6 * b * second + 3 * h * normal
        assert inside(mask, point)
    for a, b, h in ((1.2, 0, 0), (0, 1.2, 0), (0, 0, 1.7)):
        point = centre + 12 * a * first + 6 * b * second + 3 * h * normal
        assert not inside(mask, point)


def test_what_is_left_out_is_named(tmp_path):
    path = rtstruct(tmp_path / "s.dcm", {"PTV": [square(0.0)], "empty": []})
    dataset = pydicom.dcmread(path)
    point = Dataset()
    point.ContourGeometricType, point.ContourData = "POINT", [0, 0, 0]
    drawn = Dataset()
    drawn.ReferencedROINumber, drawn.ContourSequence = 6, Sequence([point])
    dataset.ROIContourSequence[1] = drawn
    dataset.save_as(path)
    progress = Warnings()
    assert list(read_structures(tmp_path, CT, progress)) == ["PTV"]
    assert len(progress.told) == 1 and "empty" in progress.told[0] and "POINT" in progress.told[0]


def test_a_label_map_keeps_its_grid_and_names(tmp_path):
    labels = np.zeros((40, 60, 60), np.uint8)
    labels[10:20, 10:20, 10:20] = 4
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(CT)
    path = write_segmentation(image, {4: "bladder"}, tmp_path / "s.seg.nrrd")
    masks = read_structures(path, CT)
    assert list(masks) == ["bladder"]
    assert masks["bladder"].GetOrigin() == CT.GetOrigin()
    assert volume(masks["bladder"]) == pytest.approx(1000 * 12)


def test_bad_files_are_told_in_a_sentence_without_the_patient(tmp_path):
    cases = {
        "does not exist|do not exist": tmp_path / "none.dcm",
        "not RTSTRUCT": rtstruct(tmp_path / "a.dcm", {"PTV": [square(0)]}, modality="RTPLAN"),
        "no closed contour": rtstruct(tmp_path / "b.dcm", {"PTV": [square(0)]}, kind="POINT"),
        "inside the CT": rtstruct(tmp_path / "c.dcm", {"PTV": [square(900.0)]}),
        "cannot be read": tmp_path / "d.dcm",
        "holds 3 DICOM": tmp_path,
    }
    (tmp_path / "d.dcm").write_bytes(b"x" * 300)
    rtstruct(tmp_path / "e.dcm", {"PTV": [square(0)]})
    for sentence, path in cases.items():
        with pytest.raises(SyntheticCTError, match=sentence) as error:
            read_structures(path, CT)
        assert "Doe" not in str(error.value)


def test_a_truncated_structure_set_is_refused(tmp_path):
    contours = {"PTV": [circle(z, 10.0) for z in (0.0, 3.0, 6.0)]}
    path = rtstruct(tmp_path / "s.dcm", contours)
    data = path.read_bytes()
    for part in (0.6, 0.95):
        path.write_bytes(data[: int(part * len(data))])
        with pytest.raises(SyntheticCTError, match="truncated"):
            read_structures(path, CT)


def in_frames(path, frames):
    """A structure set of squares whose ROIs lie in frames of reference, by name."""
    dataset = pydicom.dcmread(rtstruct(path, {name: [square(0.0), square(3.0)] for name in frames}))
    for item in dataset.StructureSetROISequence:
        item.ReferencedFrameOfReferenceUID = frames[item.ROIName]
    dataset.save_as(path)
    return path


def test_structures_of_another_frame_of_reference_are_left_out_and_named(tmp_path):
    ct, progress = sitk.Image(CT), Warnings()
    ct.SetMetaData("FrameOfReferenceUID", "1.2.3")
    path = in_frames(tmp_path / "s.dcm", {"PTV": "1.2.3", "bladder": "9.9"})
    assert list(read_structures(path, ct, progress)) == ["PTV"]
    (told,) = progress.told
    assert "bladder lies in another frame of reference" in told
    # A CT that does not say its frame: nobody knows which of them is right.
    progress = Warnings()
    assert list(read_structures(path, CT, progress)) == ["PTV", "bladder"]
    (told,) = progress.told
    assert "several frames of reference (PTV; bladder)" in told
    path = in_frames(tmp_path / "mr.dcm", {"PTV": "9.9", "bladder": "9.9"})
    with pytest.raises(SyntheticCTError, match=r"\(PTV, bladder\) lie in another frame"):
        read_structures(path, ct)
    progress = Warnings()
    read_structures(path, CT, progress)
    assert progress.told == []


def test_a_contour_stored_again_with_other_rounding_counts_once(tmp_path):
    for shift, centre in ((0.1, 0.0), (0.3, 0.0), (0.0, 0.2)):
        once = [circle(z, 20.0) for z in (0.0, 3.0, 6.0)]
        again = [points + np.array([shift, 0, centre]) for points in once]
        mask, told = read(tmp_path, once + again)
        assert volume(mask) == pytest.approx(np.pi * 400 * 9, rel=0.02), (shift, centre)
        assert any("stored twice" in sentence for sentence in told) or shift == 0
    coarse = [circle(z, 20.0, 24) for z in (0.0, 3.0, 6.0)]
    mask, told = read(tmp_path, once + coarse)
    assert volume(mask) == pytest.approx(np.pi * 400 * 9, rel=0.01)
    mask, _ = read(tmp_path, [np.concatenate([points, points]) for points in once])
    assert volume(mask) == pytest.approx(np.pi * 400 * 9, rel=0.01)


def test_a_hole_stored_twice_is_one_hole(tmp_path):
    rings = []
    for z in (0.0, 3.0):
        rings += [circle(z, 20), circle(z, 12), circle(z, 12) + np.array([0.2, 0, 0])]
    mask, _ = read(tmp_path, rings)
    assert volume(mask) == pytest.approx(np.pi * (400 - 144) * 6, rel=0.02)


def test_contours_that_overlap_in_part_are_united_and_named(tmp_path):
    rings = []
    for z in (0.0, 3.0):
        rings += [square(z, 10, (-6, 0)), square(z, 10, (6, 0)), square(z, 2)]
    mask, told = read(tmp_path, rings)
    assert volume(mask) == pytest.approx((32 * 20 - 4 * 4) * 6, rel=0.01)
    assert [sentence for sentence in told if "PTV has contours that overlap in part" in sentence]


@pytest.mark.parametrize("wall", [1.0, 3.0])
def test_a_thin_wall_is_no_copy(tmp_path, wall):
    rings = [circle(z, radius) for z in (0.0, 3.0) for radius in (30.0, 30.0 - wall)]
    mask, told = read(tmp_path, rings)
    assert volume(mask) == pytest.approx(np.pi * (900 - (30 - wall) ** 2) * 6, rel=0.05)
    assert told == []


def test_a_hole_that_touches_the_outline_and_islands_that_touch(tmp_path):
    rings = []
    for z in (0.0, 3.0):
        rings += [square(z, 20), square(z, 5, (15.0, 0)), square(z, 5, (25.0, 0))]
    mask, told = read(tmp_path, rings)
    assert volume(mask) == pytest.approx(40**2 * 6, rel=0.01)
    assert not inside(mask, (15, 0, 1)) and inside(mask, (25, 0, 1))
    assert told == []


def test_contours_that_are_said_to_count_by_turns_do(tmp_path):
    contours = [square(z, 10, (x, 0)) for z in (0.0, 3.0) for x in (-6, 6)]
    path = rtstruct(tmp_path / "s.dcm", {"PTV": contours}, kind="CLOSEDPLANAR_XOR")
    mask = read_structures(path, CT)["PTV"]
    assert volume(mask) == pytest.approx(2 * 12 * 20 * 6, rel=0.01)


def test_real_structures_have_the_volume_of_their_contours(real_data):
    path = real_data / "rt_dicom" / "rtss.dcm"
    reference = grid_of((97, 65, 49), (5.0, 5.0, 6.0), (-228.7, -419.2, -122.4))
    masks = read_structures(path, reference)
    # Polygon areas times 3 mm in cubic centimetres, of structures without overlapping contours.
    expected = {"Heart": 439.7, "Tumor Bed": 13.17, "Tumor Bed Block": 63.84, "Breast": 400.05}
    for name, cubic_centimetres in expected.items():
        assert volume(masks[name]) / 1000 == pytest.approx(cubic_centimetres, rel=0.003)
    assert "Areola" not in masks


def test_a_structure_set_on_the_command_line_gives_dose_volume_figures(tmp_path):
    k, j, i = np.indices((40, 60, 60))
    inside = (i - 30) ** 2 + (j - 30) ** 2 < 25**2
    ct = write_volume(
        image_like(np.where(inside, 20, -1000).astype(np.int16), CT), tmp_path / "ct.nrrd"
    )
    # 1 Gy a millimetre towards the head, 60 Gy at z = 0.
    dose = image_like((k * 3.0).astype(np.float32), CT)
    path = write_volume(dose, tmp_path / "dose.nrrd")
    structures = rtstruct(tmp_path / "s.dcm", {"PTV": [square(z) for z in (-3.0, 0.0, 3.0)]})
    out = tmp_path / "out"
    arguments = [
        "evaluate", "--ct", ct, "--candidate", f"same={ct}", "--no-registration",
        "--dose-ct", path, "--dose", f"same={path}", "--structures", structures,
        "--prescription", 60, "--output", out,
    ]  # fmt: skip
    assert main([str(a) for a in arguments]) == 0
    text = (out / "metrics.json").read_text()
    figures = json.loads(text)["dvh_ct"]["PTV"]
    assert figures["D50"] == pytest.approx(60, abs=0.05)
    assert figures["D98"] == pytest.approx(60 - 4.5 + 0.02 * 9, abs=0.05)
    assert figures["volume_cm3"] == pytest.approx(3.6, rel=0.01)
    assert json.loads(text)["candidates"]["same"]["dvh"]["PTV"]["D98_difference"] == 0
    assert PATIENT not in text + (out / "report.html").read_text()


def test_contours_of_one_structure_in_two_items_are_one_structure(tmp_path):
    path = rtstruct(tmp_path / "s.dcm", {"PTV": [square(z) for z in (0.0, 3.0, 6.0, 9.0)]})
    dataset = pydicom.dcmread(path)
    (first,) = dataset.ROIContourSequence
    second = Dataset()
    second.ReferencedROINumber = first.ReferencedROINumber
    second.ContourSequence = Sequence(first.ContourSequence[2:])
    first.ContourSequence = Sequence(first.ContourSequence[:2])
    dataset.ROIContourSequence.append(second)
    save_dicom(dataset, path)
    masks = read_structures(path, CT, Warnings())
    assert list(masks) == ["PTV"]
    assert volume(masks["PTV"]) == pytest.approx(400 * 12, rel=0.01)


def test_structures_of_one_name_are_told_and_those_of_one_number_refused(tmp_path):
    path = rtstruct(tmp_path / "s.dcm", {"PTV": [square(0.0)], "GTV": [square(0.0, 5.0)]})
    dataset = pydicom.dcmread(path)
    dataset.StructureSetROISequence[1].ROIName = "PTV"
    save_dicom(dataset, path)
    progress = Warnings()
    assert list(read_structures(path, CT, progress)) == ["PTV", "PTV (2)"]
    assert any("Several structures are called PTV" in told for told in progress.told)
    dataset.StructureSetROISequence[1].ROIName = "GTV"
    dataset.StructureSetROISequence[1].ROINumber = 5
    save_dicom(dataset, path)
    with pytest.raises(SyntheticCTError, match="number 5 to two structures, PTV and GTV"):
        read_structures(path, CT, progress)


def test_contours_that_leave_their_plane_are_named_as_the_cause(tmp_path):
    waved = circle(0.0, 15.0) + np.outer(np.sin(np.arange(180)), [0, 0, 1])
    path = rtstruct(tmp_path / "s.dcm", {"PTV": [waved]})
    with pytest.raises(SyntheticCTError, match="contours of PTV do not lie in parallel planes"):
        read_structures(path, CT)
