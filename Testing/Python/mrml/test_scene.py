"""The scene that an evaluation leaves: what a person sees on opening it in Slicer."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import SimpleITK as sitk
import vtk
from SyntheticCTEvalLib.evaluation.results import CandidateResult, Evaluation
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria, GammaResult
from SyntheticCTEvalLib.report.folder import write_evaluation
from SyntheticCTEvalMRML.scene import MrbWriter, open_scene, write_scene
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, NotedProgress
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.marks import label_synthetic

pytest.importorskip("slicer", reason="slicer-core is not installed")
from harness import read_bundle, render_slice
from SyntheticCTEvalMRML.display import adding_steps
from SyntheticCTMRML.display import nodes_of_class, set_slice_layers
from SyntheticCTMRML.nodes import image_from_node

METRICS = "Evaluation of sCT, MRCAT"
SIZE = (40, 32, 10)
COSINE, SINE = np.cos(0.2), np.sin(0.2)


def box(value, low, high, dtype=np.uint8, outside=0):
    """Grid-sized array with ``value`` in i, j, k from ``low`` up to ``high``."""
    array = np.full(SIZE[::-1], outside, dtype)
    array[low[2] : high[2], low[1] : high[1], low[0] : high[0]] = value
    return array


def evaluation_of(with_dose: bool = True) -> Evaluation:
    """A patient of boxes on an oblique, flipped, anisotropic grid."""
    grid = sitk.Image(list(SIZE), sitk.sitkInt16)
    grid.SetSpacing((5.0, 6.0, 7.5))
    grid.SetOrigin((-100.25, 90.5, 33.125))
    grid.SetDirection((COSINE, SINE, 0, SINE, -COSINE, 0, 0, 0, 1))
    ct = image_like(box(40, (5, 5, 0), (35, 27, 10), np.int16, -1000), grid)
    ct[6, 6, 1] = 700  # tells the ends apart
    body = image_like(box(1, (5, 5, 0), (35, 27, 10)), grid)
    dose_grid = ct[8:32:2, 8:24:2, 2:8]
    dose = sitk.Cast(dose_grid > 0, sitk.sitkFloat32) * 45
    candidates = {}
    for name, error in (("sCT", 10), ("MRCAT", -30)):
        volume = sitk.Cast(ct + error * sitk.Cast(body, sitk.sitkInt16), sitk.sitkInt16)
        difference = sitk.GetArrayFromImage(volume).astype(np.float32)
        difference -= sitk.GetArrayFromImage(ct)
        difference[0] = np.nan
        candidates[name] = CandidateResult(
            name,
            label_synthetic(volume, "abc"),
            image_like(difference, grid),
            body,
            metrics={"mae_body": abs(error) + 0.25, "gpr": {"10": 97.5, "60": 91.25}},
        )
        if with_dose:
            gamma = np.full(dose.GetSize()[::-1], -1, np.float32)
            gamma[:, :, :6] = 0.5
            gamma[:, :, 3:6] = 1.5
            gamma = image_like(gamma, dose)
            evaluated = gamma >= 0
            candidates[name].dose = dose
            candidates[name].gamma = GammaResult(
                gamma, evaluated, {10.0: 50.0}, GammaCriteria(), "exact", "1 %/1 mm"
            )
    return Evaluation(
        ct=ct,
        body=body,
        candidates=candidates,
        dose_ct=dose if with_dose else None,
        mr=sitk.Cast(ct + 1000, sitk.sitkUInt16)[:, :, 1:9],
        structures={"target": image_like(box(1, (12, 10, 3), (20, 16, 6)), grid)},
        prescription_gy=45.0,
        definitions={"mae_body": "mean absolute error inside the body contour"},
        notes=["Not a person."],
    )


@pytest.fixture(scope="module")
def evaluation():
    return evaluation_of()


@pytest.fixture(scope="module")
def reopened(evaluation, tmp_path_factory):
    """The written scene, read again into a new one."""
    folder = tmp_path_factory.mktemp("scene")
    path = write_scene(evaluation, folder / "scene.mrb")
    with open_scene() as scene:
        read_bundle(scene, path, folder / "cache")
        yield scene


def by_name(scene, name):
    node = scene.GetFirstNodeByName(name)
    assert node is not None, name
    return node


def on_grid_of(loaded, image):
    """The voxels of ``loaded`` in the order of ``image``.

    Slicer's reader turns left-handed grids over, so that only the order of slices may differ.
    """
    first = loaded.TransformPhysicalPointToContinuousIndex(image.GetOrigin())
    nearest = np.round(first).astype(int)
    assert first == pytest.approx(nearest, abs=1e-9)
    last = [n - 1 for n in image.GetSize()]
    end = loaded.TransformPhysicalPointToContinuousIndex(image.TransformIndexToPhysicalPoint(last))
    assert end == pytest.approx([a - b for a, b in zip(last, nearest, strict=True)], abs=1e-9)
    array = sitk.GetArrayFromImage(loaded)
    return array[tuple(slice(None, None, 1 if n == 0 else -1) for n in nearest[::-1])]


def test_every_volume_comes_back_where_it_was(reopened, evaluation):
    expected = {
        "CT": evaluation.ct,
        "MR (as acquired, not registered)": evaluation.mr,
        "Dose on CT (Gy)": evaluation.dose_ct,
    }
    for name, result in evaluation.candidates.items():
        expected[f"{name} (synthetic, research use)"] = result.volume
        expected[f"Dose on {name} (Gy)"] = result.dose
        expected[f"Gamma {name}"] = result.gamma.gamma
    for name, image in expected.items():
        loaded = image_from_node(by_name(reopened, name))
        assert loaded.GetPixelID() in (sitk.sitkInt16, sitk.sitkFloat32), name
        assert on_grid_of(loaded, image) == pytest.approx(sitk.GetArrayViewFromImage(image)), name
    assert len(nodes_of_class(reopened, "vtkMRMLScalarVolumeNode")) == len(expected) + 2


def test_gamma_lies_half_transparent_over_the_ct_in_every_view(reopened):
    composites = nodes_of_class(reopened, "vtkMRMLSliceCompositeNode")
    assert {node.GetLayoutName() for node in composites} == {"Red", "Green", "Yellow"}
    for composite in composites:
        assert composite.GetBackgroundVolumeID() == by_name(reopened, "CT").GetID()
        assert composite.GetForegroundVolumeID() == by_name(reopened, "Gamma sCT").GetID()
        assert composite.GetForegroundOpacity() == 0.5
        assert composite.GetLinkedControl()


def test_gamma_is_thresholded_and_has_its_own_colour_table_and_legend(reopened):
    import slicer

    for name in ("Gamma sCT", "Gamma MRCAT"):
        node = by_name(reopened, name)
        display = node.GetDisplayNode()
        assert display.GetApplyThreshold()
        assert display.GetLowerThreshold() == 0
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 2)
        assert not display.GetInterpolate()
        table = display.GetColorNode()
        assert table.GetName().startswith("Gamma")
        color = [0.0] * 4
        table.GetColor(127, color)
        assert color[1] > 0.8  # bright up to 1
        table.GetColor(128, color)
        assert color[1] < 0.1 < 0.8 < color[0]  # magenta above
        legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
        assert legend.GetTitleText() == "Gamma"
        assert legend.GetVisibility()


def test_the_picture_shows_ct_pass_and_fail(reopened):
    set_slice_layers(reopened, by_name(reopened, "CT"), by_name(reopened, "Gamma sCT"))
    picture = render_slice(reopened, "Red", 240, 240).reshape(-1, 3).astype(int)
    red, green, blue = picture.T
    grey_value = 255 * (40 + 160) // 400
    anatomy = (abs(red - grey_value) < 3) & (abs(green - grey_value) < 3) & (red == blue)
    failing = red - green > 60
    passing = green - red > 30
    assert anatomy.sum() > 1000
    assert 0.8 < failing.sum() / passing.sum() < 1.25  # half of the evaluated voxels each
    assert ((red == 0) & (green == 0) & (blue == 0)).sum() > 1000  # air: nothing painted


def test_contours_are_one_segmentation_with_named_segments(reopened, evaluation):
    (node,) = nodes_of_class(reopened, "vtkMRMLSegmentationNode")
    segmentation = node.GetSegmentation()
    names = [
        segmentation.GetNthSegment(index).GetName()
        for index in range(segmentation.GetNumberOfSegments())
    ]
    assert names == ["Body (CT)", "Body (sCT)", "Body (MRCAT)", "target"]
    import slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    for name, mask in (("Body (CT)", evaluation.body), ("target", evaluation.structures["target"])):
        identifier = segmentation.GetSegmentIdBySegmentName(name)
        assert not node.GetDisplayNode().GetSegmentVisibility2DFill(identifier)
        labels = slicer.vtkOrientedImageData()
        node.GetBinaryLabelmapRepresentation(identifier, labels)
        values = vtk_to_numpy(labels.GetPointData().GetScalars())
        count = sitk.GetArrayViewFromImage(mask).sum()
        assert np.count_nonzero(values) == count
        bounds = vtk.vtkBoundingBox()
        bounds.AddBounds(labels.GetBounds())
        middle = [0.0] * 3
        statistics = sitk.LabelShapeStatisticsImageFilter()
        statistics.Execute(mask)
        bounds.GetCenter(middle)
        if name == "target":
            x, y, z = statistics.GetCentroid(1)
            assert middle == pytest.approx([-x, -y, z], abs=8)


def cells(node):
    table = node.GetTable()
    return {
        table.GetColumnName(column): [
            table.GetValue(row, column).ToString() for row in range(table.GetNumberOfRows())
        ]
        for column in range(table.GetNumberOfColumns())
    }


def test_metrics_and_definitions_are_tables(reopened):
    metrics = cells(by_name(reopened, METRICS))
    assert metrics["Metric"] == [
        "MAE in the body (HU)",
        "Gamma pass rate, dose above 10 % (%)",
        "Gamma pass rate, dose above 60 % (%)",
    ]
    assert [float(cell) for cell in metrics["sCT"]] == [10.25, 97.5, 91.25]
    assert [float(cell) for cell in metrics["MRCAT"]] == [30.25, 97.5, 91.25]
    definitions = cells(by_name(reopened, "Definitions"))
    assert definitions["Definition"] == [
        "mean absolute error inside the body contour",
        "Not a person.",
        "Research use only, not a medical device",
    ]


def test_the_gamma_histogram_counts_every_evaluated_voxel(reopened):
    histogram = cells(by_name(reopened, "Gamma histogram"))
    shares = dict(zip(map(float, histogram["Gamma"]), map(float, histogram["sCT"]), strict=True))
    assert shares[0.525] == 50
    assert shares[1.525] == 50
    assert sum(shares.values()) == pytest.approx(100)
    (chart,) = nodes_of_class(reopened, "vtkMRMLPlotChartNode")
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    (view,) = nodes_of_class(reopened, "vtkMRMLPlotViewNode")
    assert view.GetPlotChartNodeID() == chart.GetID()


def test_voxels_without_a_difference_are_not_shown(reopened, evaluation):
    node = by_name(reopened, "sCT minus CT (HU)")
    values = on_grid_of(image_from_node(node), evaluation.ct)
    threshold = node.GetDisplayNode().GetLowerThreshold()
    assert (values[0] < threshold).all()
    assert (values[1:] >= threshold).all()
    assert set(np.unique(values[1:])) == {0, 10}


def test_a_synthetic_ct_is_called_so_and_keeps_its_mark(reopened):
    node = by_name(reopened, "sCT (synthetic, research use)")
    assert "synthetic" in node.GetAttribute("SyntheticCT").lower()
    assert node.GetAttribute("SyntheticCTModel") == "abc"


def test_views_look_at_the_target_and_the_layout_has_table_and_chart(reopened):
    # Middle of the target: voxel (15.5, 12.5, 4).
    point = evaluation_of().ct.TransformContinuousIndexToPhysicalPoint((15.5, 12.5, 4))
    for view in nodes_of_class(reopened, "vtkMRMLSliceNode"):
        matrix = view.GetSliceToRAS()
        centre = [matrix.GetElement(row, 3) for row in range(3)]
        assert centre == pytest.approx([-point[0], -point[1], point[2]], abs=1e-3)
    layout = reopened.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == 38
    (view,) = nodes_of_class(reopened, "vtkMRMLTableViewNode")
    assert view.GetTableNodeID() == by_name(reopened, METRICS).GetID()


def test_all_results_are_in_one_folder(reopened):
    tree = reopened.GetSubjectHierarchyNode()
    folder = tree.GetItemByName("Synthetic CT evaluation")
    for name in ("CT", "Gamma MRCAT", "Contours", METRICS):
        item = tree.GetItemByDataNode(by_name(reopened, name))
        assert tree.GetItemParent(item) == folder, name


def test_without_dose_the_candidate_lies_over_the_ct(tmp_path):
    path = write_scene(evaluation_of(with_dose=False), tmp_path / "scene.mrb")
    with open_scene() as scene:
        read_bundle(scene, path, tmp_path / "cache")
        composite = scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
        candidate = by_name(scene, "sCT (synthetic, research use)")
        assert composite.GetForegroundVolumeID() == candidate.GetID()
        assert composite.GetForegroundOpacity() == 0


def test_a_scene_can_be_written_to_a_relative_path(tmp_path, evaluation, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_scene(evaluation, "scene.mrb")
    assert (tmp_path / "scene.mrb").is_file()


def test_bad_places_get_one_sentence_and_leave_nothing(tmp_path, evaluation):
    with pytest.raises(SyntheticCTError, match=r"ends in \.mrb"):
        write_scene(evaluation, tmp_path / "scene.zip")
    (tmp_path / "file").write_text("")
    with pytest.raises(SyntheticCTError, match="cannot be written"):
        write_scene(evaluation, tmp_path / "file" / "scene.mrb")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_without_slicer_core_the_sentence_says_how_to_install_it(tmp_path, evaluation, monkeypatch):
    monkeypatch.setitem(sys.modules, "slicer", None)
    with pytest.raises(SyntheticCTError, match=r"pip install 'synthetic-ct\[scene\]'"):
        write_scene(evaluation, tmp_path / "scene.mrb")
    assert not list(tmp_path.iterdir())


def test_in_slicers_own_python_the_results_are_written_without_a_scene(
    tmp_path, evaluation, monkeypatch
):
    # There `import slicer` succeeds and has node classes, but no module logics.
    import slicer

    nodes_only = types.ModuleType("slicer")
    nodes_only.vtkMRMLScene = slicer.vtkMRMLScene
    monkeypatch.setitem(sys.modules, "slicer", nodes_only)
    reason = MrbWriter().missing()
    assert "in the module" in reason
    assert "pip" not in reason


def test_a_scene_that_fails_is_warned_of_and_loses_no_other_result(tmp_path, evaluation):
    class Failing(MrbWriter):
        def write(self, evaluation, path, documents):
            raise AttributeError("module 'slicer' has no attribute 'vtkSlicerVolumesLogic'")

    told = NotedProgress(SILENT)
    write_evaluation(evaluation, tmp_path, scene=Failing(), progress=told)
    assert (tmp_path / "report.html").is_file()
    assert not (tmp_path / "scene.mrb").exists()
    assert any("scene.mrb was left out" in warning for warning in told.warnings)


def test_an_evaluation_that_is_cancelled_while_it_is_shown_leaves_nothing(evaluation):
    def steps(scene):
        return adding_steps(scene, evaluation, show=lambda: False)

    def held(scene):
        found, tree = vtk.vtkIdList(), scene.GetSubjectHierarchyNode()
        tree.GetItemChildren(tree.GetSceneItemID(), found, True)
        # Colour tables and their files are shared by all evaluations.
        nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
        kinds = [n.GetClassName() for n in nodes if "Color" not in n.GetClassName()]
        return kinds, found.GetNumberOfIds()

    with open_scene() as scene:
        count = sum(1 for _ in steps(scene))
    for ended_at in (3, count - 1, count):
        with open_scene() as scene:
            before, running = held(scene), steps(scene)
            for _step in range(ended_at):
                next(running)
            running.close()
            assert held(scene) == before
