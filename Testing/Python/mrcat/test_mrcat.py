"""The MRCAT look-alike and segmentations with names."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.mrcat.bulk_densities import BULK_HU, bulk_from_ct, bulk_from_mdixon
from SyntheticCTLib.phantom import PhantomGrid, Tissue, make_phantom
from SyntheticCTLib.volumes.grids import same_grid
from SyntheticCTLib.volumes.segmentation import read_segmentation, write_segmentation

GRID = PhantomGrid(
    name="mrcat",
    mr_size=(152, 112, 40),
    mr_spacing=(2.6, 2.6, 5.0),
    mr_low=-77.0,
    ct_size=(24, 24, 10),
    ct_spacing=(16.0, 16.0, 16.0),
    ct_low=-62.0,
)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(4, GRID)


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def test_mrcat_has_exactly_the_five_values(phantom):
    assert np.unique(array(phantom.mrcat)).tolist() == sorted(BULK_HU)
    assert phantom.mrcat.GetPixelID() == sitk.sitkInt16
    assert same_grid(phantom.mrcat, phantom.mr)


def test_mrcat_finds_the_tissues_from_the_images_alone(phantom):
    mrcat = array(bulk_from_mdixon(phantom.in_phase, phantom.water, phantom.fat))
    labels = array(phantom.labels_mr)
    bone = np.isin(labels, (Tissue.COMPACT_BONE, Tissue.SPONGY_BONE))
    fat = np.isin(labels, (Tissue.SUBCUTANEOUS_FAT, Tissue.INNER_FAT))
    assert dice(mrcat > 100, bone) > 0.8
    assert dice(mrcat == -86, fat) > 0.9
    assert dice(mrcat > -968, labels > 0) > 0.98
    assert dice(mrcat == 42, labels == Tissue.MUSCLE) > 0.6


def test_mrcat_does_not_depend_on_the_intensity_scale(phantom):
    tripled = [
        sitk.Cast(i, sitk.sitkInt32) * 3 for i in (phantom.in_phase, phantom.water, phantom.fat)
    ]
    assert np.mean(array(bulk_from_mdixon(*tripled)) != array(phantom.mrcat)) < 1e-4


def test_mrcat_lies_where_oblique_images_lie(phantom):
    turned = []
    for image in (phantom.in_phase, phantom.water, phantom.fat):
        image = sitk.Image(image)
        image.SetDirection((0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
        image.SetOrigin((7, -9, 3))
        turned.append(image)
    result = bulk_from_mdixon(*turned)
    assert same_grid(result, turned[0], tolerance_mm=0)
    assert np.array_equal(array(result), array(phantom.mrcat))


def test_mdixon_images_of_different_grids_are_refused(phantom):
    moved = sitk.Image(phantom.water)
    moved.SetOrigin((0, 0, 0))
    with pytest.raises(SyntheticCTError, match="different grids"):
        bulk_from_mdixon(phantom.in_phase, moved, phantom.fat)


def test_mdixon_without_a_body_is_refused(phantom):
    empty = phantom.in_phase * 0
    with pytest.raises(SyntheticCTError, match="no body"):
        bulk_from_mdixon(empty, empty, empty)


def test_bulk_from_ct_follows_the_published_thresholds():
    ct = sitk.GetImageFromArray(
        np.array([-1024, -201, -200, -29, -28, 99, 100, 574, 575, 3071], np.int16).reshape(2, 1, 5)
    )
    expected = [-968, -968, -86, -86, 42, 42, 198, 198, 949, 949]
    assert array(bulk_from_ct(ct)).ravel().tolist() == expected


def test_mrcat_carries_the_label_of_a_synthetic_ct(phantom):
    assert "Synthetic CT" in phantom.mrcat.GetMetaData("SyntheticCT")
    assert "Synthetic CT" in bulk_from_ct(phantom.ct).GetMetaData("SyntheticCT")


@pytest.fixture
def labels() -> sitk.Image:
    values = np.zeros((4, 5, 6), np.uint8)
    values[1:3, 1:4, 2:5] = 3
    values[0, 0, :2] = 8
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1.5, 2, 2.5))
    image.SetOrigin((-10, 20, 5))
    image.SetDirection((0, -1, 0, 1, 0, 0, 0, 0, -1))
    return image


def test_segmentation_reads_back_with_names_and_geometry(labels, tmp_path):
    path = write_segmentation(
        labels, {8: "rectum", 3: "bladder", 9: "none"}, tmp_path / "s.seg.nrrd"
    )
    masks = read_segmentation(path)
    assert list(masks) == ["bladder", "rectum", "none"]
    assert np.array_equal(array(masks["bladder"]), array(labels) == 3)
    assert array(masks["none"]).sum() == 0
    assert all(same_grid(mask, labels) for mask in masks.values())


def test_slicer_opens_the_segmentation_with_names_and_colours(labels, tmp_path):
    slicer = pytest.importorskip("slicer")
    path = write_segmentation(labels, {3: "bladder", 8: "rectum"}, tmp_path / "s.seg.nrrd")
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]
    assert [segment.GetName() for segment in segments] == ["bladder", "rectum"]
    assert [segment.GetLabelValue() for segment in segments] == [3, 8]
    assert segments[0].GetColor() != segments[1].GetColor()


def test_overlapping_segments_are_read_from_layers(labels, tmp_path):
    first = array(labels)
    second = np.where(first == 3, 5, 0).astype(np.uint8)
    image = sitk.GetImageFromArray(np.stack([first, second], axis=-1), isVector=True)
    image.CopyInformation(labels)
    for n, (name, layer, value) in enumerate((("a", 0, 3), ("b", 0, 8), ("c", 1, 5))):
        for key, text in {"ID": name, "Name": name, "Layer": layer, "LabelValue": value}.items():
            image.SetMetaData(f"Segment{n}_{key}", str(text))
    sitk.WriteImage(image, str(tmp_path / "layers.seg.nrrd"))
    masks = read_segmentation(tmp_path / "layers.seg.nrrd")
    assert [int(array(mask).sum()) for mask in masks.values()] == [18, 2, 18]


def test_plain_label_maps_get_numbered_names(labels, tmp_path):
    sitk.WriteImage(labels, str(tmp_path / "plain.nii.gz"))
    assert list(read_segmentation(tmp_path / "plain.nii.gz")) == ["label 3", "label 8"]


def test_label_without_a_name_is_refused(labels, tmp_path):
    with pytest.raises(SyntheticCTError, match="no name for label 8"):
        write_segmentation(labels, {3: "bladder"}, tmp_path / "s.seg.nrrd")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (sitk.Image(4, 4, 4, sitk.sitkUInt8), "is empty"),
        (sitk.Image(4, 4, sitk.sitkUInt8), "not a 3D"),
        (sitk.Image(4, 4, 4, sitk.sitkFloat32) + 0.5, "whole numbers"),
    ],
)
def test_what_is_no_segmentation_is_refused(image, sentence, tmp_path):
    sitk.WriteImage(image, str(tmp_path / "bad.nrrd"))
    with pytest.raises(SyntheticCTError, match=sentence):
        read_segmentation(tmp_path / "bad.nrrd")


def test_unreadable_segmentation_is_refused(tmp_path):
    (tmp_path / "bad.seg.nrrd").write_text("nonsense")
    with pytest.raises(SyntheticCTError, match="cannot be read"):
        read_segmentation(tmp_path / "bad.seg.nrrd")
