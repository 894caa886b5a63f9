"""Registration onto a CT as stages of a job: rigid by BRAINSFit where Slicer has it.

The child process runs BRAINSFit and plastimatch on files of the job: none of them sees a node.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from slicer.i18n import tr as _
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.registration.working_copies import CT_LIKE_BELOW_HU
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE

from .brainsfit import brainsfit_program
from .child_process import CommandLine
from .display import show_ct, show_mr
from .job_volumes import Source, Target, earlier_result
from .jobs import Job, Stage, Steps, Turn
from .nodes import parents_of, refuse_same_node
from .synthesis import Results
from .transforms import matrix_of, set_field, set_linear


class Registration:
    """What lays one volume onto the CT.

    Args:
        fixed: the CT's volume node.
        moving: the volume node that is moved, or a function that returns it once the stages
            before have made it.
        volume, transform: nodes for the results; None makes new ones.
        renew: takes the nodes of an earlier result of the same volumes instead.
        engine: of the rigid part: "brainsfit", "library", or "auto" for the first where there
            is one.
        bends: what finds the deformable part: "plastimatch" or "brainsfit".
        metric: "mse", "mi", or "auto", by what the moving volume's values are.
        fill: outside the moving volume's field; None for -1024 HU of CT-like volumes and 0.

    Raises:
        SyntheticCTError: an input cannot be used, or an output is an input.
    """

    def __init__(
        self,
        fixed: Any,
        moving: Any | Callable[[], Any],
        results: Results,
        *,
        volume: Any = None,
        transform: Any = None,
        renew: bool = False,
        deformable: bool = True,
        engine: str = "auto",
        bends: str = "plastimatch",
        metric: str = "auto",
        fill: float | None = None,
    ) -> None:
        self._fixed = Source(fixed, "CT")
        self._moving_node, self._results = moving, results
        results.ct = fixed
        self._metric, self._fill = metric, fill
        self._outputs, self._renew = (volume, transform), renew
        self._program = brainsfit_program()
        self._bends = bends if deformable else ""
        if self._program is None and "brainsfit" in (engine, self._bends):
            raise SyntheticCTError(
                _(
                    "BRAINSFit is not in this Slicer: choose the library's rigid registration and "
                    "plastimatch."
                )
            )
        self._rigid_by_brainsfit = self._program is not None and engine != "library"
        self._prefix = f"registration{id(self)}-"
        self._known = False
        if not callable(moving):
            self._find_moving()

    def stages(self) -> list[Stage]:
        """Return the stages of the job."""
        return [Turn(self._start)]

    def _find_moving(self) -> None:
        """Look at the moving volume: what it is decides on metric and fill."""
        if self._known:
            return
        node = self._moving_node() if callable(self._moving_node) else self._moving_node
        self._moving = Source(node, _("volume to register"))
        if node is self._fixed.node:
            raise SyntheticCTError(
                _("The CT cannot be registered onto itself: choose another volume.")
            )
        ct_like = self._moving.range[0] < CT_LIKE_BELOW_HU
        if self._metric == "auto":
            self._metric = "mse" if ct_like else "mi"
        if self._fill is None:
            self._fill = float(HU_OUTSIDE) if ct_like else 0.0
        inputs = [self._fixed.node, node]
        fixed, moving = self._fixed.name, self._moving.name
        volume, transform = self._outputs
        parents = [parent for one in inputs for parent in parents_of(one)]
        refuse_same_node(transform, parents)
        name = _("{name} registered to {fixed}").format(name=moving, fixed=fixed)
        if volume is None and self._renew:
            volume = earlier_result(node.GetScene(), "vtkMRMLScalarVolumeNode", name, inputs)
        self._volume = Target(volume, name, inputs)
        name = _("{name} to {fixed} (transform)").format(name=moving, fixed=fixed)
        if transform is None and self._renew:
            transform = earlier_result(node.GetScene(), "vtkMRMLTransformNode", name, parents)
        self._transform = Target(transform, name, inputs, "vtkMRMLTransformNode")
        self._known = True

    def _start(self, job: Job) -> None:
        self._find_moving()
        stages: list[Stage] = [Steps(self._fixed.steps), Steps(self._moving.steps)]
        job.add([*stages, CommandLine(self._arguments), Steps(self._read)])

    def _file(self, name: str) -> str:
        return self._prefix + name

    def _arguments(self, job: Job) -> list[Any]:
        def path(name: str) -> Path:
            return job.folder / self._file(name)

        arguments = ["register", "--fixed", self._fixed.path(job)]
        arguments += ["--moving", self._moving.path(job), "--metric", self._metric]
        arguments += ["--fill", self._fill, "--uncompressed", "--output", path("moved.nrrd")]
        arguments += ["--rigid-part", path("found.tfm"), "--field", path("field.nrrd")]
        if self._program is not None:
            arguments += ["--brainsfit", self._program]
        if self._rigid_by_brainsfit:
            arguments += ["--rigid-by", "brainsfit"]
        if not self._bends:
            return [*arguments, "--no-deformable"]
        return [*arguments, "--deformable-by", self._bends]

    def _read(self, job: Job) -> Generator[None, None, Results]:
        moved = job.folder / self._file("moved.nrrd")
        node = yield from self._volume.steps(moved, "moved volume", self._moving.marks)
        (show_ct if self._fill == HU_OUTSIDE else show_mr)(node)
        yield
        self._results.registered[self._moving.name] = node
        field = job.folder / self._file("field.nrrd")
        if field.exists():
            vectors = sitk.ReadImage(str(field))
            yield
            carrier = set_field(self._transform.place(), vectors)
        else:
            rigid = sitk.ReadTransform(str(job.folder / self._file("found.tfm")))
            carrier = set_linear(self._transform.place(), matrix_of(rigid))
        self._results.transforms[self._moving.name] = carrier
        return self._results
