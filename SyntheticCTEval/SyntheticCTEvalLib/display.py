"""An evaluation as MRML nodes: volumes, gamma overlay, contours, tables, gamma histogram."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.resampling import resample
from SyntheticCTLib.volumes import image_like
from SyntheticCTMRML import display
from SyntheticCTMRML.nodes import add_volume
from SyntheticCTMRML.segments import add_segmentation

if TYPE_CHECKING:
    from .results import Evaluation

FOLDER = "Synthetic CT evaluation"
HISTOGRAM_BIN = 0.05

LABELS = {
    "mae_image": "MAE, whole image (HU)",
    "mae_body": "MAE, body (HU)",
    "me_image": "Mean error, whole image (HU)",
    "me_body": "Mean error, body (HU)",
    "rmse_image": "RMSE, whole image (HU)",
    "rmse_body": "RMSE, body (HU)",
    "psnr_image": "PSNR, whole image (dB)",
    "psnr": "PSNR, body (dB)",
    "ssim": "SSIM, whole image",
    "ssim_body": "SSIM, body",
    "ssim_3d": "SSIM in 3D, whole image",
    "ssim_3d_body": "SSIM in 3D, body",
    "ms_ssim": "MS-SSIM, whole image",
    "ms_ssim_body": "MS-SSIM, body",
    "dsc_body": "DSC of the body contour",
    "hd95_body": "95 % Hausdorff distance of the body contour (mm)",
    "dsc_bone": "DSC of the bones",
    "msd_bone": "Mean surface distance of the bones (mm)",
    "hd95_bone": "95 % Hausdorff distance of the bones (mm)",
    "hu_histogram": "HU histogram",
    "tissue_mae": "MAE, {} (HU)",
    "coverage_body_percent": "Body covered by all candidates (%)",
    "gpr": "Gamma pass rate above {} % of the prescription (%)",
}
"""How the keys of metrics.json are called in the table; others appear under their own name."""


@dataclass
class EvaluationNodes:
    """The nodes that show an evaluation; None or missing where there is no such result.

    Attributes:
        ct, mr, dose_ct: volume nodes.
        candidates, differences, doses, gammas: volume nodes by candidate.
        contours: segmentation node: bodies, then the structures.
        metrics, definitions: table nodes.
        histogram: plot chart node of the gamma histograms.
    """

    ct: Any
    mr: Any = None
    dose_ct: Any = None
    candidates: dict[str, Any] = field(default_factory=dict)
    differences: dict[str, Any] = field(default_factory=dict)
    doses: dict[str, Any] = field(default_factory=dict)
    gammas: dict[str, Any] = field(default_factory=dict)
    contours: Any = None
    metrics: Any = None
    definitions: Any = None
    histogram: Any = None

    def volumes(self) -> list[Any]:
        """Return all volume nodes, the CT first."""
        groups = (self.candidates, self.gammas, self.differences, self.doses)
        single = [node for node in (self.mr, self.dose_ct) if node is not None]
        return [self.ct, *(node for group in groups for node in group.values()), *single]


def add_evaluation(
    scene: Any,
    evaluation: Evaluation,
    *,
    ct_node: Any = None,
    mr_node: Any = None,
    dose_nodes: Mapping[str, Any] | None = None,
) -> EvaluationNodes:
    """Add nodes for everything in ``evaluation`` to ``scene`` and show the first gamma map.

    Args:
        scene: vtkMRMLScene.
        ct_node, mr_node: the nodes that hold the true CT and the MR, where the scene has them.
        dose_nodes: nodes that hold imported doses in Gy by candidate, "" for the one on the
            true CT. Nodes that are given keep their display and their place in the tree.
    """
    given = {"": None, **(dose_nodes or {})}
    nodes = EvaluationNodes(ct=ct_node, mr=mr_node, dose_ct=given[""])
    highest = _dose_window(evaluation)
    if nodes.ct is None:
        nodes.ct = add_volume(scene, _compact(evaluation.ct), "CT")
    if nodes.ct.GetDisplayNode() is None:
        display.show_ct(nodes.ct)
    if nodes.mr is None and evaluation.mr is not None:
        nodes.mr = add_volume(scene, _compact(evaluation.mr), "MR (as acquired, not registered)")
        display.show_mr(nodes.mr)
    if nodes.dose_ct is None and evaluation.dose_ct is not None:
        nodes.dose_ct = _add_dose(scene, evaluation.dose_ct, "CT", highest)
    for name, result in evaluation.candidates.items():
        nodes.candidates[name] = add_volume(
            scene, _compact(result.volume), f"{name} (synthetic, research use)"
        )
        display.show_ct(nodes.candidates[name])
        nodes.differences[name] = add_volume(
            scene, _whole_hu(result.difference), f"{name} minus CT (HU)"
        )
        display.show_difference(nodes.differences[name])
        if result.dose is not None:
            known = given.get(name)
            nodes.doses[name] = known or _add_dose(scene, result.dose, name, highest)
        if result.gamma is not None:
            nodes.gammas[name] = add_volume(scene, result.gamma.gamma, f"Gamma {name}")
            display.show_gamma(nodes.gammas[name], f"Gamma {name}")
    nodes.contours = _add_contours(scene, evaluation, nodes.ct)
    nodes.metrics = display.add_table(scene, "Metrics", metrics_columns(evaluation))
    nodes.definitions = display.add_table(scene, "Definitions", definition_columns(evaluation))
    if nodes.gammas:
        nodes.histogram = _add_gamma_histogram(scene, evaluation)
    _add_to_subject_hierarchy(scene, nodes, [ct_node, mr_node, *given.values()])
    show_evaluation(scene, nodes)
    display.center_slices(scene, center_of_interest(evaluation))
    return nodes


def show_evaluation(scene: Any, nodes: EvaluationNodes, candidate: str | None = None) -> None:
    """Lay the gamma map of ``candidate`` (the first when None) half-transparent over the CT.

    Without gamma maps the candidate itself is laid over the CT, to be faded in.
    """
    overlays = nodes.gammas or nodes.candidates
    overlay = overlays[candidate] if candidate else next(iter(overlays.values()), None)
    display.set_slice_layers(scene, nodes.ct, overlay, 0.5 if nodes.gammas else 0.0)


def center_of_interest(evaluation: Evaluation) -> tuple[float, float, float]:
    """Return the point (mm, LPS) to look at: middle of the target, of the dose, or of the body."""
    from .evaluation import find_target

    target = find_target(evaluation.structures, None)
    if target:
        return _centroid(evaluation.structures[target] != 0)
    if evaluation.dose_ct is not None:
        values = sitk.GetArrayViewFromImage(evaluation.dose_ct)
        return _centroid(evaluation.dose_ct >= 0.9 * float(values.max()))
    return _centroid(evaluation.body != 0)


def metrics_columns(evaluation: Evaluation) -> dict[str, list]:
    """Return the metrics table by column: what is measured, then one column a candidate."""
    measured = {name: _flat(result.metrics) for name, result in evaluation.candidates.items()}
    rows = list(dict.fromkeys(key for values in measured.values() for key in values))
    columns: dict[str, list] = {"Metric": rows}
    for name, values in measured.items():
        columns[name] = [values.get(row, float("nan")) for row in rows]
    return columns


def definition_columns(evaluation: Evaluation) -> dict[str, list[str]]:
    """Return the definitions table by column; the notes of the evaluation are its last rows."""
    rows = [
        (LABELS.get(key, key).replace("{}", "..."), text)
        for key, text in evaluation.definitions.items()
    ]
    rows += [("Note", note) for note in evaluation.notes]
    rows.append(("Use", "Research use only, not a medical device"))
    return {"Metric": [row[0] for row in rows], "Definition": [row[1] for row in rows]}


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a nested dictionary by readable name, in its order."""
    flat: dict[str, float] = {}
    for key, value in metrics.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{path} ")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            group, _, rest = path.partition(" ")
            flat[LABELS.get(group, path).format(rest)] = float(value)
    return flat


def _compact(image: sitk.Image) -> sitk.Image:
    """Integers that fit as int16, everything else as float32: nothing that Slicer draws slowly."""
    values = sitk.GetArrayViewFromImage(image)
    limits = np.iinfo(np.int16)
    integer = np.issubdtype(values.dtype, np.integer)
    fits = integer and values.min() >= limits.min and values.max() <= limits.max
    wanted = sitk.sitkInt16 if fits else sitk.sitkFloat32
    # Casting would drop the mark of a synthetic CT.
    return image if image.GetPixelID() == wanted else sitk.Cast(image, wanted)


def _whole_hu(difference: sitk.Image) -> sitk.Image:
    """The difference in whole HU as int16, which halves the file; NaN becomes NO_DIFFERENCE."""
    values = np.rint(sitk.GetArrayViewFromImage(difference))
    limit = -display.NO_DIFFERENCE - 1
    whole = np.nan_to_num(np.clip(values, -limit, limit), nan=display.NO_DIFFERENCE)
    return image_like(whole.astype(np.int16), difference)


def _dose_window(evaluation: Evaluation) -> float:
    if evaluation.prescription_gy:
        return 1.1 * evaluation.prescription_gy
    if evaluation.dose_ct is None:
        return 1.0
    return float(sitk.GetArrayViewFromImage(evaluation.dose_ct).max())


def _add_dose(scene: Any, dose: sitk.Image, name: str, highest_gy: float) -> Any:
    node = add_volume(scene, sitk.Cast(dose, sitk.sitkFloat32), f"Dose on {name} (Gy)")
    node.SetAttribute("DicomRtImport.DoseVolume", "1")  # how SlicerRT knows a dose
    display.show_dose(node, highest_gy)
    return node


def _add_contours(scene: Any, evaluation: Evaluation, ct_node: Any) -> Any:
    masks = {"Body (CT)": evaluation.body}
    for name, result in evaluation.candidates.items():
        masks[f"Body ({name})"] = result.body
    for name, mask in evaluation.structures.items():
        masks[name] = resample(mask, evaluation.ct, fill=0, nearest=True)
    return add_segmentation(scene, "Contours", masks, ct_node)


def _add_gamma_histogram(scene: Any, evaluation: Evaluation) -> Any:
    """A chart of the share of evaluated voxels by gamma, one line a candidate."""
    highest = display.GAMMA_WINDOW[1]
    edges = np.arange(0, highest + HISTOGRAM_BIN / 2, HISTOGRAM_BIN)
    columns = {"Gamma": ((edges[:-1] + edges[1:]) / 2).tolist()}
    for name, result in evaluation.candidates.items():
        if result.gamma is not None:
            gamma = sitk.GetArrayViewFromImage(result.gamma.gamma)
            inside = np.minimum(gamma[gamma >= 0], highest - HISTOGRAM_BIN / 2)
            counts = np.histogram(inside, edges)[0]
            columns[name] = (100 * counts / max(inside.size, 1)).tolist()
    table = display.add_table(scene, "Gamma histogram", columns)
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Gamma histogram")
    for index, name in enumerate(list(columns)[1:]):
        series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", f"Gamma {name}")
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName("Gamma")
        series.SetYColumnName(name)
        series.SetPlotType(series.PlotTypeScatter)
        series.SetMarkerStyle(series.MarkerStyleNone)
        series.SetLineWidth(3)
        series.SetColor(*display.LINE_COLORS[index % len(display.LINE_COLORS)])
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle("Gamma histogram")
    chart.SetXAxisTitle(f"Gamma (last bin: {highest - HISTOGRAM_BIN:g} and above)")
    chart.SetYAxisTitle("Evaluated voxels (%)")
    return chart


def _add_to_subject_hierarchy(scene: Any, nodes: EvaluationNodes, given: list[Any]) -> None:
    """Put the new nodes into one folder; outside Slicer nobody else makes the items."""
    tree = scene.GetSubjectHierarchyNode()
    folder = tree.CreateFolderItem(tree.GetSceneItemID(), FOLDER)
    owners = (
        ("Volumes", nodes.volumes()),
        ("Segmentations", [nodes.contours]),
        ("Tables", [nodes.metrics, nodes.definitions]),
        ("Plots", [nodes.histogram] if nodes.histogram else []),
    )
    for owner, members in owners:
        for node in members:
            if any(node is other for other in given):
                continue
            item = tree.GetItemByDataNode(node)
            if item == tree.GetInvalidItemID():
                item = tree.CreateItem(folder, node)
                tree.SetItemOwnerPluginName(item, owner)
            else:
                tree.SetItemParent(item, folder)


def _centroid(mask: sitk.Image) -> tuple[float, float, float]:
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(sitk.Cast(mask, sitk.sitkUInt8))
    if not statistics.HasLabel(1):
        middle = [(n - 1) / 2 for n in mask.GetSize()]
        return mask.TransformContinuousIndexToPhysicalPoint(middle)
    return statistics.GetCentroid(1)
