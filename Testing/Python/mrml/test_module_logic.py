"""The modules' logics, from the unmodified module files: MRML nodes in, MRML nodes out."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from models import blob_mr, ct_like, tiny_bundle
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.bundle.folder import save_bundle
from SyntheticCTLib.volumes.grids import grid_of, same_grid
from SyntheticCTLib.volumes.marks import label_synthetic

pytest.importorskip("slicer", reason="slicer-core is not installed")
import vtk
from SyntheticCTMRML.nodes import add_volume, image_from_node
from SyntheticCTMRML.segments import add_segmentation, masks_from_segmentation

OBLIQUE = (0.8, 0.6, 0, 0.6, -0.8, 0, 0, 0, 1)


@pytest.fixture
def scene(harness):
    return harness.scene


@pytest.fixture
def logic(harness):
    return harness.load_module("SyntheticCT").SyntheticCTLogic()


@pytest.fixture
def evaluation_logic(harness):
    return harness.load_module("SyntheticCTEval").SyntheticCTEvalLogic()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return save_bundle(tiny_bundle(), tmp_path_factory.mktemp("model") / "bundle")


class Recorder(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.warnings: list[str] = []

    def report(self, step, fraction, **details):
        self.steps.append(step)

    def warn(self, message):
        self.warnings.append(message)


def empty(scene, name="Result"):
    return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


def moved(scene, node, shift_ras=(12.0, -7.0, 3.5)):
    """Put ``node`` under a transform and return where its first voxel is shown then (LPS)."""
    matrix = vtk.vtkMatrix4x4()
    for row, value in enumerate(shift_ras):
        matrix.SetElement(row, 3, value)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix)
    origin = image_from_node(node).GetOrigin()
    node.SetAndObserveTransformNodeID(transform.GetID())
    return origin[0] - shift_ras[0], origin[1] - shift_ras[1], origin[2] + shift_ras[2]


@pytest.mark.parametrize("name", ["SyntheticCT", "SyntheticCTEval"])
def test_a_module_says_what_it_is(name, harness):
    harness.load_module(name)
    parent = getattr(harness.modules, name.lower())
    assert parent.title.startswith("Synthetic CT")
    assert parent.categories == ["Radiotherapy"]
    assert "not a medical device" in parent.helpText
    assert "https://" in parent.helpText
    assert parent.contributors
    assert parent.acknowledgementText


def test_generate_is_the_core_on_the_mrs_own_grid(scene, logic, bundle):
    from SyntheticCTLib.bundle.folder import load_bundle
    from SyntheticCTLib.inference.synthesis import generate

    mr = blob_mr(direction=OBLIQUE)
    node = add_volume(scene, mr, "T2")
    output, uncertainty, progress = empty(scene), empty(scene), Recorder()
    assert logic.generate(node, str(bundle), output, uncertainty, "cpu", progress) is output
    expected = generate(mr, load_bundle(bundle), device="cpu")
    for result, image in ((output, expected.sct), (uncertainty, expected.uncertainty)):
        found = image_from_node(result)
        assert same_grid(found, mr)
        assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(image))
    assert image_from_node(output).GetPixelID() == sitk.sitkInt16
    assert "synthetic" in output.GetAttribute("SyntheticCT").lower()
    assert output.GetDisplayNode().GetWindowLevelMin() == -160
    assert uncertainty.GetDisplayNode().GetLowerThreshold() == 0
    assert progress.steps


def test_a_result_lies_where_the_transformed_mr_is_shown(scene, logic, bundle):
    node = add_volume(scene, blob_mr(), "T2")
    expected = moved(scene, node)
    output = logic.generate(node, str(bundle), empty(scene))
    assert image_from_node(output).GetOrigin() == pytest.approx(expected)


def test_normalize_maps_to_the_standard_scale(scene, logic, bundle):
    from SyntheticCTLib.bundle.folder import load_bundle

    mr = blob_mr(direction=OBLIQUE)
    output = logic.normalize(add_volume(scene, mr, "T2"), str(bundle), empty(scene))
    expected = load_bundle(bundle).nyul.apply(mr)
    found = image_from_node(output)
    assert same_grid(found, mr)
    assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))


def test_an_output_that_is_an_input_is_refused_and_left_alone(scene, logic, bundle):
    node = add_volume(scene, blob_mr(), "T2")
    before = sitk.GetArrayFromImage(image_from_node(node))
    for call in (
        lambda: logic.generate(node, str(bundle), node),
        lambda: logic.generate(node, str(bundle), empty(scene), node),
        lambda: logic.normalize(node, str(bundle), node),
        lambda: logic.register(node, node, node, metric="mse", fill=-1024),
    ):
        with pytest.raises(SyntheticCTError, match="T2 is also an input"):
            call()
    assert np.array_equal(sitk.GetArrayFromImage(image_from_node(node)), before)


def test_what_is_no_mr_is_refused_or_doubted_in_the_words_of_the_command_line(scene, logic, bundle):
    ct = add_volume(scene, ct_like(), "planning CT")
    synthetic = add_volume(scene, label_synthetic(blob_mr()), "sCT")
    for node, words in ((ct, "MR planning CT holds CT numbers"), (synthetic, "synthetic CT")):
        for work in (logic.normalize, logic.generate):
            with pytest.raises(SyntheticCTError, match=words):
                work(node, str(bundle), empty(scene))
    shifted, told = add_volume(scene, blob_mr() - 40, "shifted"), Recorder()
    logic.generate(shifted, str(bundle), empty(scene), device="cpu", progress=told)
    assert any("MR shifted holds negative values" in warning for warning in told.warnings)


def test_a_failed_step_leaves_the_output_as_it_was(scene, logic, bundle, tmp_path):
    mr = add_volume(scene, blob_mr(), "T2")
    output = empty(scene)
    with pytest.raises(SyntheticCTError, match="no model bundle"):
        logic.generate(mr, str(tmp_path), output)
    with pytest.raises(SyntheticCTError, match="No MR is selected"):
        logic.generate(None, str(bundle), output)
    flat = add_volume(scene, blob_mr() * 0, "Flat")
    with pytest.raises(SyntheticCTError, match="MR Flat is empty"):
        logic.normalize(flat, str(bundle), output)
    assert output.GetImageData() is None


def test_the_name_of_a_result_holds_the_name_of_its_mr_and_says_synthetic(scene, logic):
    name = logic.outputName(add_volume(scene, blob_mr(), "T2 axial"))
    assert name.startswith("sCT of T2 axial")
    assert "synthetic" in name


def box_dose(factor=1.0) -> sitk.Image:
    grid = grid_of((16, 16, 8), (5.0, 5.0, 5.0), (-40, -40, 30))
    _, j, i = np.indices(grid.GetSize()[::-1])
    radius = np.hypot(i - 7.5, j - 7.5)
    dose = sitk.GetImageFromArray((50 * factor * np.exp(-((radius / 6) ** 4))).astype(np.float32))
    dose.CopyInformation(grid)
    return dose


def test_register_puts_the_moving_volume_onto_the_fixed_grid(scene, logic):
    fixed, moving = ct_like(), ct_like()
    moving.SetOrigin(np.add(moving.GetOrigin(), (7.3, -5.1, 2.2)).tolist())
    node = add_volume(scene, moving, "moving")
    output = empty(scene)
    logic.register(add_volume(scene, fixed, "fixed"), node, output, metric="mse", fill=-1024)
    found = image_from_node(output)
    assert same_grid(found, fixed)
    error = abs(sitk.GetArrayFromImage(found).astype(float) - sitk.GetArrayFromImage(fixed))
    unregistered = sitk.Resample(moving, fixed, sitk.Transform(), sitk.sitkLinear, -1000.0)
    before = abs(sitk.GetArrayFromImage(unregistered).astype(float) - sitk.GetArrayFromImage(fixed))
    assert error.mean() < 0.5 * before.mean()


def test_gamma_of_two_dose_nodes(scene, evaluation_logic):
    from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
    from SyntheticCTEvalLib.gamma.engines import compute_gamma

    criteria = GammaCriteria(dose_percent=2, distance_mm=2)
    reference = add_volume(scene, box_dose(), "reference")
    evaluated = add_volume(scene, box_dose(1.04), "evaluated")
    output = empty(scene, "Gamma")
    result = evaluation_logic.computeGamma(reference, evaluated, criteria, output)
    expected = compute_gamma(box_dose(), box_dose(1.04), criteria)
    assert result.pass_rates == expected.pass_rates
    found = image_from_node(output)
    assert same_grid(found, box_dose())
    assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected.gamma))
    assert sitk.GetArrayViewFromImage(found).min() == -1
    assert output.GetDisplayNode().GetLowerThreshold() == 0
    with pytest.raises(SyntheticCTError, match="reference is also an input"):
        evaluation_logic.computeGamma(reference, evaluated, criteria, reference)


def test_gamma_respects_unit_transform_and_mask(scene, evaluation_logic):
    reference = add_volume(scene, box_dose(), "reference")
    in_cgy = add_volume(scene, box_dose() * 100, "evaluated")
    with pytest.raises(SyntheticCTError, match="evaluated does not say its unit"):
        evaluation_logic.computeGamma(reference, in_cgy, None, empty(scene))
    evaluated = add_volume(scene, box_dose(), "shifted")
    moved(scene, evaluated, (5, 0, 0))
    result = evaluation_logic.computeGamma(reference, evaluated, None, empty(scene))
    assert result.pass_rates[10] < 60
    moved(scene, reference, (5, 0, 0))
    mask = sitk.Cast(box_dose() > 45, sitk.sitkUInt8)
    mask_node = add_volume(scene, mask, "mask")
    moved(scene, mask_node, (5, 0, 0))
    result = evaluation_logic.computeGamma(
        reference, evaluated, None, empty(scene), maskNode=mask_node
    )
    assert result.pass_rates[10] == 100
    assert sitk.GetArrayFromImage(result.evaluated).sum() == sitk.GetArrayFromImage(mask).sum()


def test_a_gamma_map_is_laid_over_the_ct_without_a_new_node(scene, evaluation_logic):
    ct = add_volume(scene, ct_like(), "Planning CT")
    reference, evaluated = (add_volume(scene, box_dose(f), "dose") for f in (1, 1.02))
    output = empty(scene)
    evaluation_logic.computeGamma(reference, evaluated, None, output)
    before = scene.GetNumberOfNodes()
    evaluation_logic.showGamma(ct, output, 0.3)
    assert scene.GetNumberOfNodes() == before + 1  # the CT's display
    composite = scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundVolumeID() == output.GetID()
    assert composite.GetForegroundOpacity() == pytest.approx(0.3)


def test_segments_come_back_as_the_masks_they_were(scene):
    grid = ct_like()
    array = np.zeros(grid.GetSize()[::-1], np.uint8)
    array[2:5, 3:9, 4:11] = 1
    masks = {"target": sitk.GetImageFromArray(array), "all": sitk.GetImageFromArray(array | 1)}
    for mask in masks.values():
        mask.CopyInformation(grid)
    reference = add_volume(scene, grid, "CT")
    node = add_segmentation(scene, "Contours", masks, reference)
    found = masks_from_segmentation(node)
    assert list(found) == ["target", "all"]
    for name, mask in masks.items():
        placed = sitk.Resample(found[name], mask, sitk.Transform(), sitk.sitkNearestNeighbor)
        assert np.array_equal(sitk.GetArrayFromImage(placed), sitk.GetArrayFromImage(mask)), name
    expected = np.add(masks["target"].TransformIndexToPhysicalPoint((4, 3, 2)), (-12, 7, 3.5))
    moved_by = vtk.vtkMatrix4x4()
    for row, value in enumerate((12.0, -7.0, 3.5)):
        moved_by.SetElement(row, 3, value)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(moved_by)
    node.SetAndObserveTransformNodeID(transform.GetID())
    index = masks_from_segmentation(node)["target"].TransformPhysicalPointToIndex(expected)
    values = sitk.GetArrayFromImage(masks_from_segmentation(node)["target"])
    assert values[tuple(np.array(index)[::-1])] == 1
    assert np.argwhere(values).min(axis=0).tolist() == list(index[::-1])
