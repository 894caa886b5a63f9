"""An evaluation as MRML nodes: volumes, gamma overlay, contours, tables, charts, documents."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Generator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import vtk
from SyntheticCTEvalLib.evaluation.stored import whole_hu
from SyntheticCTEvalLib.report.tables import (
    definition_columns,
    dose_volume_columns,
    hot_spot_columns,
    metrics_columns,
)
from SyntheticCTLib.basics.stepwise import finished
from SyntheticCTLib.volumes.grids import same_grid
from SyntheticCTLib.volumes.mask_folder import crop
from SyntheticCTLib.volumes.resampling import resample
from SyntheticCTMRML import display
from SyntheticCTMRML.hierarchy import add_folder, place_of, put, remove
from SyntheticCTMRML.nodes import RESULT, make_volume
from SyntheticCTMRML.segments import add_outlines, make_segment
from SyntheticCTMRML.translation import tr as _
from SyntheticCTMRML.views import one_drawing

from .evaluation_nodes import DOCUMENT, EvaluationNodes
from .plots import add_dvh_chart, add_gamma_histogram

if TYPE_CHECKING:
    from SyntheticCTEvalLib.evaluation.results import Evaluation

FOLDER = "Synthetic CT evaluation"


def add_evaluation(
    scene: Any,
    evaluation: Evaluation,
    *,
    ct_node: Any = None,
    mr_node: Any = None,
    dose_nodes: Mapping[str, Any] | None = None,
    structures_node: Any = None,
    documents: Mapping[str, str] | None = None,
    show: Callable[[], bool] = lambda: True,
) -> EvaluationNodes:
    """Add nodes for everything in ``evaluation`` to ``scene`` and show the first gamma map.

    Args:
        scene: vtkMRMLScene.
        ct_node, mr_node: the nodes that hold the true CT and the MR, where the scene has them.
        dose_nodes: nodes that hold imported doses in Gy by candidate, "" for the one on the
            true CT. Nodes that are given keep their display and their place in the tree.
        structures_node: segmentation node that the structures are from; where it is shown, they
            are not drawn a second time.
        documents: texts by file name (report.html, ...) that the scene keeps.
        show: whether the slice views are to show it.
    """
    return finished(
        adding_steps(
            scene,
            evaluation,
            ct_node=ct_node,
            mr_node=mr_node,
            dose_nodes=dose_nodes,
            structures_node=structures_node,
            documents=documents,
            show=show,
        )
    )


def adding_steps(
    scene: Any,
    evaluation: Evaluation,
    *,
    ct_node: Any = None,
    mr_node: Any = None,
    dose_nodes: Mapping[str, Any] | None = None,
    structures_node: Any = None,
    documents: Mapping[str, str] | None = None,
    show: Callable[[], bool] = lambda: True,
) -> Generator[None, None, EvaluationNodes]:
    """Do what :func:`add_evaluation` does in short steps, of one node at most.

    Closed before it has ended, the generator removes the nodes that it has added.
    """
    given = {"": None, **(dose_nodes or {})}
    nodes = EvaluationNodes(ct=ct_node, mr=mr_node, dose_ct=given[""])
    nodes.names = list(evaluation.candidates)
    nodes.prescription_gy = float(evaluation.prescription_gy or 0)
    known = [ct_node, mr_node, *given.values()]
    try:
        yield from _add_volumes(scene, evaluation, nodes, given)
        outlines = yield from _outlines(evaluation)
        with display.added_together(scene), one_drawing():
            nodes.contours = add_outlines(
                scene, "Contours", nodes.ct, outlines, _drawn_already(evaluation, structures_node)
            )
            _add_tables(scene, evaluation, nodes)
            _add_charts(scene, evaluation, nodes)
            nodes.documents = [_add_document(scene, *item) for item in (documents or {}).items()]
        for node in nodes.made(known):
            node.SetAttribute(RESULT, FOLDER)
        nodes.keep()
        yield
        _add_to_subject_hierarchy(scene, nodes, known)
        yield
        if show():
            with one_drawing():
                show_evaluation(scene, nodes)
                display.center_slices(scene, center_of_interest(evaluation))
    except BaseException:
        remove(scene, nodes.made(known))
        raise
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
    from SyntheticCTEvalLib.structures.target import find_target

    target = find_target(evaluation.structures, evaluation.target)
    if target:
        return _centroid(evaluation.structures[target])
    if evaluation.dose_ct is not None:
        values = sitk.GetArrayViewFromImage(evaluation.dose_ct)
        return _centroid(evaluation.dose_ct >= 0.9 * float(values.max()))
    return _centroid(evaluation.body)


def _add_volumes(
    scene: Any, evaluation: Evaluation, nodes: EvaluationNodes, given: Mapping[str, Any]
) -> Generator[None, None, None]:
    """Copy the voxels volume by volume, and then add all of the nodes together."""
    waiting: list[tuple[Any, Callable[[Any], Any]]] = []

    def made(image: sitk.Image, name: str, show: Callable[[Any], Any]) -> Any:
        waiting.append((make_volume(image, name), show))
        return waiting[-1][0]

    if nodes.ct is None:
        nodes.ct = made(_compact(evaluation.ct), "CT", display.show_ct)
        yield
    if nodes.mr is None and evaluation.mr is not None:
        name = "MR (as acquired, not registered)"
        nodes.mr = made(_compact(evaluation.mr), name, display.show_mr)
        yield
    if evaluation.mr_registered is not None:
        laid = _compact(evaluation.mr_registered)
        nodes.mr_registered = made(laid, "MR on CT", display.show_mr)
        yield
    highest = _dose_window(evaluation)
    show_dose = functools.partial(display.show_dose, maximum_gy=highest)
    show_part = functools.partial(display.show_dose_difference, maximum_gy=highest)
    if nodes.dose_ct is None and evaluation.dose_ct is not None:
        nodes.dose_ct = made(_as_dose(evaluation.dose_ct), "Dose on CT (Gy)", show_dose)
        yield
    for name, result in evaluation.candidates.items():
        nodes.candidates[name] = made(_compact(result.volume), _labelled(name), display.show_ct)
        yield
        difference = whole_hu(result.difference)
        title = f"{name} minus CT (HU)"
        nodes.differences[name] = made(difference, title, display.show_difference)
        yield
        if result.dose is not None:
            nodes.doses[name] = given.get(name) or made(
                _as_dose(result.dose), f"Dose on {name} (Gy)", show_dose
            )
            yield
        if result.dose_difference is not None:
            title = f"Dose on {name} minus CT (Gy)"
            nodes.dose_differences[name] = made(result.dose_difference, title, show_part)
            yield
        if result.gamma is not None:
            nodes.gammas[name] = made(result.gamma.gamma, f"Gamma {name}", display.show_gamma)
            yield
    with display.added_together(scene):
        if nodes.ct.GetScene() is scene and nodes.ct.GetDisplayNode() is None:
            display.show_ct(nodes.ct)
        for node, show in waiting:
            scene.AddNode(node)
            show(node)
            if show is show_dose:
                node.SetAttribute("DicomRtImport.DoseVolume", "1")  # how SlicerRT knows a dose
    yield


def _labelled(name: str) -> str:
    return f"{name} on CT" if "synthetic" in name.lower() else f"{name} (synthetic, research use)"


def _compact(image: sitk.Image) -> sitk.Image:
    """Integers that fit as int16, everything else as float32: nothing that Slicer draws slowly."""
    if image.GetPixelID() in (sitk.sitkInt16, sitk.sitkFloat32):
        return image
    values = sitk.GetArrayViewFromImage(image)
    limits = np.iinfo(np.int16)
    integer = np.issubdtype(values.dtype, np.integer)
    fits = integer and values.min() >= limits.min and values.max() <= limits.max
    # Casting drops the mark of a synthetic CT, but those are int16.
    return sitk.Cast(image, sitk.sitkInt16 if fits else sitk.sitkFloat32)


def _dose_window(evaluation: Evaluation) -> float:
    if evaluation.prescription_gy:
        return 1.1 * evaluation.prescription_gy
    if evaluation.dose_ct is None:
        return 1.0
    return float(sitk.GetArrayViewFromImage(evaluation.dose_ct).max())


def _as_dose(dose: sitk.Image) -> sitk.Image:
    return sitk.Cast(dose, sitk.sitkFloat32)


def _outlines(evaluation: Evaluation) -> Generator[None, None, list[Any]]:
    """Segments of the bodies and the structures."""
    masks = {"Body (CT)": evaluation.body}
    for name, result in evaluation.candidates.items():
        masks[f"Body ({name})"] = result.body
    segments = []
    for name, mask in (masks | evaluation.structures).items():
        cropped = _on_grid(mask, evaluation.ct)
        yield
        if cropped is not None:
            segments.append(make_segment(name, cropped, len(segments)))
            yield
    return segments


def _drawn_already(evaluation: Evaluation, structures_node: Any) -> Collection[str]:
    """Names of the structures that the segmentation they are from shows."""
    shown = structures_node.GetDisplayNode() if structures_node is not None else None
    return evaluation.structures if shown is not None and shown.GetVisibility() else ()


def _add_tables(scene: Any, evaluation: Evaluation, nodes: EvaluationNodes) -> None:
    # The panel lists evaluations by this table's name.
    name = f"Evaluation of {', '.join(evaluation.candidates)}"
    nodes.metrics = _add_table(scene, name, metrics_columns(evaluation), nodes.attributes())
    nodes.dose_volume = _add_table(scene, "Dose-volume", dose_volume_columns(evaluation))
    spots = {name: result.hot_spots for name, result in evaluation.candidates.items()}
    if any(spots.values()):
        nodes.hot_spots = _add_table(scene, "Hot spots", hot_spot_columns(spots))
    nodes.definitions = _add_table(scene, "Definitions", definition_columns(evaluation))


def _add_charts(scene: Any, evaluation: Evaluation, nodes: EvaluationNodes) -> None:
    if nodes.gammas:
        nodes.histogram = add_gamma_histogram(scene, evaluation)
        series = nodes.histogram.GetNumberOfPlotSeriesNodes()
        nodes.series += [nodes.histogram.GetNthPlotSeriesNode(n) for n in range(series)]
        nodes.chart_tables.append(nodes.histogram.GetNthPlotSeriesNode(0).GetTableNode())
    charted = add_dvh_chart(scene, evaluation)
    if charted is not None:
        nodes.dvh, nodes.dvh_series = charted
        nodes.chart_tables.append(nodes.dvh_series[0].GetTableNode())


def _on_grid(mask: sitk.Image, reference: sitk.Image) -> sitk.Image | None:
    """The part of ``reference``'s grid that holds ``mask``, nearest; None where there is none."""
    part = crop(mask)
    if part is None or same_grid(mask, reference):
        return part
    corners = np.array(
        [
            reference.TransformPhysicalPointToContinuousIndex(
                part.TransformContinuousIndexToPhysicalPoint(corner)
            )
            for corner in itertools.product(*((-0.5, size - 0.5) for size in part.GetSize()))
        ]
    )
    first = np.maximum(np.floor(corners.min(axis=0) + 0.5 - 1e-6), 0).astype(int)
    last = np.ceil(corners.max(axis=0) - 0.5 + 1e-6).astype(int)
    last = np.minimum(last, np.array(reference.GetSize()) - 1)
    if (last < first).any():
        return None
    box = reference[tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))]
    return resample(sitk.Cast(part, sitk.sitkUInt8), box, fill=0, nearest=True)


def _add_table(
    scene: Any,
    name: str,
    columns: Mapping[str, list],
    attributes: Mapping[str, str] | None = None,
) -> Any:
    if not columns:
        return None
    return display.add_table(scene, scene.GetUniqueNameByString(name), columns, attributes)


def _add_document(scene: Any, file_name: str, text: str) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLTextNode", f"Evaluation {PurePath(file_name).name}")
    node.SetEncoding(vtk.VTK_ENCODING_UTF_8)
    node.SetText(text)
    node.SetAttribute(DOCUMENT, file_name)
    node.AddDefaultStorageNode()
    return node


def _add_to_subject_hierarchy(scene: Any, nodes: EvaluationNodes, given: list[Any]) -> None:
    """Put the new nodes into one folder in the study of the MR, or of the CT."""
    inputs = [one for one in given if one is not None]
    patient = next((one for one in (nodes.mr, nodes.ct) if any(one is g for g in inputs)), None)
    folder = add_folder(scene, place_of(scene, patient), FOLDER)
    charts = [*nodes.charts(), *nodes.series, *nodes.dvh_series, *nodes.chart_tables]
    every = [*nodes.volumes(), nodes.contours, *nodes.tables(), *nodes.documents]
    put(scene, folder, [node for node in every if not any(node is other for other in given)])
    if charts:
        put(scene, add_folder(scene, folder, _("Charts")), charts)


def _centroid(mask: sitk.Image) -> tuple[float, float, float]:
    part = crop(mask)
    if part is None:
        middle = [(n - 1) / 2 for n in mask.GetSize()]
        return mask.TransformContinuousIndexToPhysicalPoint(middle)
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(sitk.Cast(part != 0, sitk.sitkUInt8))
    return statistics.GetCentroid(1)
