"""Nyul normalization and synthetic CT as stages of a job."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from slicer.i18n import tr as _
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.bundle.folder import bundle_folder, read_card

from .charts import add_histogram_charts
from .child_process import CommandLine
from .display import show_ct, show_mr, show_uncertainty
from .handover import writing_steps
from .job_volumes import Source, Target
from .jobs import Job, Stage, Steps
from .segments import masks_from_segmentation

BODY_NAMES = ("body", "external", "patient", "skin")
"""Words by which a body contour is found among the segments, the first one first."""


@dataclass
class Results:
    """The nodes that a job has made; None where it made none.

    Attributes:
        mr, ct: the volume nodes that it was given.
        normalized, sct, uncertainty: volume nodes.
        charts: plot chart nodes of the histograms before and after Nyul.
        registered, transforms: volume and transform nodes by the name of the moved volume.
        device: where the network ran.
        table: of the losses of a training.
        model: folder of a trained model.
    """

    mr: Any = None
    ct: Any = None
    normalized: Any = None
    sct: Any = None
    uncertainty: Any = None
    charts: tuple[Any, ...] = ()
    registered: dict[str, Any] = field(default_factory=dict)
    transforms: dict[str, Any] = field(default_factory=dict)
    device: str = ""
    table: Any = None
    model: str = ""


class Synthesis:
    """What is made of one MR by one model.

    Args:
        mr: the MR's volume node.
        model: folder of the model, or "demo".
        normalized, sct, uncertainty: nodes for the results; None makes new ones.
        normalize, generate: which steps are wanted.
        want_uncertainty: makes the uncertainty, into a new node where none is given.
        body: segmentation node with the body contour; the synthetic CT is air outside it.
        results: is filled as the job goes on.

    Raises:
        SyntheticCTError: an input cannot be used, or an output is an input.
    """

    def __init__(
        self,
        mr: Any,
        model: str,
        results: Results,
        *,
        normalized: Any = None,
        sct: Any = None,
        uncertainty: Any = None,
        normalize: bool = True,
        generate: bool = True,
        want_uncertainty: bool = False,
        body: Any = None,
        device: str = "auto",
    ) -> None:
        self._source = Source(mr, "MR")
        self._model = str(bundle_folder(model))
        read_card(self._model)  # a folder that has gone is told now
        self._results, self._device = results, device
        results.mr = mr
        self._normalize, self._generate = normalize, generate
        self._body = (body, body_segment(body)) if body is not None and generate else None
        name = self._source.name
        outputs: list[tuple[str, str, Any]] = []
        if generate:
            outputs.append(("sct", sct_name(name), sct))
        if normalize:
            outputs.append(("normalized", _("{name} normalized").format(name=name), normalized))
        if generate and (want_uncertainty or uncertainty is not None):
            label = _("Uncertainty of {name}").format(name=sct_name(name))
            outputs.append(("uncertainty", label, uncertainty))
        self._targets = {
            key: Target(node, label, [mr, *_others(outputs, key)]) for key, label, node in outputs
        }

    def stages(self) -> list[Stage]:
        """Return the stages of the job."""
        return [
            Steps(self._source.steps),
            Steps(self._write_body),
            CommandLine(self._arguments),
            Steps(self._read),
        ]

    def sct_file(self, job: Job) -> Any:
        """Return the file that holds the synthetic CT as long as the job runs."""
        return job.folder / "sct.nrrd"

    def _write_body(self, job: Job) -> Generator[None, None, None]:
        if self._body is None:
            return
        node, segment = self._body
        masks = masks_from_segmentation(node, [segment]) if node.GetScene() is not None else {}
        if segment not in masks:
            raise SyntheticCTError(
                _("The body contour {name} holds no voxel: choose another one.").format(
                    name=segment
                )
            )
        yield
        path = job.folder / "body.mha"
        job.names[str(path)] = segment
        yield from writing_steps(masks[segment], path)

    def _arguments(self, job: Job) -> list[str]:
        files = {key: str(job.folder / f"{key}.nrrd") for key in self._targets}
        first = "sct" if self._generate else "normalized"
        command = "generate" if self._generate else "normalize"
        arguments = [command, str(self._source.path(job)), "--model", self._model]
        arguments += ["--output", files.pop(first), "--uncompressed"]
        for key, path in files.items():
            arguments += [f"--{key}", path]
        if self._normalize:
            arguments += ["--histograms", str(job.folder / "histograms.json")]
        if self._body is not None:
            arguments += ["--body", str(job.folder / "body.mha")]
        if self._generate:
            arguments += ["--device", self._device]
        return arguments

    def _read(self, job: Job) -> Generator[None, None, Results]:
        show = {"sct": show_ct, "normalized": show_mr, "uncertainty": show_uncertainty}
        for key, target in self._targets.items():
            node = yield from target.steps(job.folder / f"{key}.nrrd", key)
            setattr(self._results, key, node)
            show[key](node)
            yield
        if self._normalize:
            text = (job.folder / "histograms.json").read_text(encoding="utf-8")
            self._results.charts = add_histogram_charts(
                self._results.normalized, self._source.name, json.loads(text)
            )
        return self._results


def sct_name(mr_name: str) -> str:
    """Return the name of the synthetic CT of an MR."""
    return _("sCT of {name} (synthetic, research use)").format(name=mr_name)


def body_segment(node: Any) -> str:
    """Return the name of the segment that is the body contour.

    The one whose name holds one of :data:`BODY_NAMES`, else the only one.

    Raises:
        SyntheticCTError: none, or several without such a name.
    """
    segmentation = node.GetSegmentation()
    count = segmentation.GetNumberOfSegments()
    names = [segmentation.GetNthSegment(index).GetName() for index in range(count)]
    for word in BODY_NAMES:
        for name in names:
            if word in name.lower():
                return name
    if len(names) == 1:
        return names[0]
    raise SyntheticCTError(
        _(
            "The segmentation {name} has no segment that is called body or external: rename the "
            "one that is the body contour, or choose another segmentation."
        ).format(name=node.GetName())
    )


def _others(outputs: list[tuple[str, str, Any]], key: str) -> list[Any]:
    return [node for other, _label, node in outputs if other != key and node is not None]
