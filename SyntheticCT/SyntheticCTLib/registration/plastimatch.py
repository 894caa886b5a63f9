"""The plastimatch program (PyPI package of the same name): its command files, runs and results."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError

from .program_run import run_program

_BAD_OUTPUT = re.compile(
    r"exception caught|itk error|failed with too few samples|couldn.t|error:", re.IGNORECASE
)
_STAGE = "Doing registration stage"
_EVALUATION = re.compile(r"^\[ *\d+, *(\d+)\] SCORE|^M\w+ +\[ *(\d+), *\d+,")
_NUMBER = r"(-?(?:nan|inf)|[\d.eE+-]+)"
_SCORE = re.compile(rf"^\[ *\d+, *\d+\] SCORE +{_NUMBER}|^M\w+ +\[[^\]]*\] +{_NUMBER}")


def find_plastimatch() -> Path:
    """Return the program: that of the PyPI package first (a pinned version), then on the PATH.

    Raises:
        SyntheticCTError: it is in neither place.
    """
    package = importlib.util.find_spec("plastimatch")
    folders = (package and package.submodule_search_locations) or []
    inside = [str(Path(folder) / "bin") for folder in folders]
    places = os.pathsep.join([*inside, os.environ.get("PATH", "")])
    found = shutil.which("plastimatch", path=places)
    if found is None:
        raise SyntheticCTError(
            "The program plastimatch, which registers images, is not installed: "
            "install it with 'pip install plastimatch'."
        )
    return Path(found)


def command_file(everywhere: Mapping[str, object], stages: Sequence[Mapping[str, object]]) -> str:
    """Return the text of a command file: one [GLOBAL] section, one [STAGE] section a stage."""
    blocks = [("GLOBAL", everywhere), *(("STAGE", stage) for stage in stages)]
    lines = []
    for name, keys in blocks:
        lines += [f"[{name}]", *(f"{key}={value}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"


def run_register(
    text: str,
    folder: Path,
    expected: Sequence[str],
    tell: Callable[[int, int], None] | None = None,
) -> tuple[list[str], float | None]:
    """Run ``plastimatch register`` on a command file in ``folder``.

    Args:
        text: the command file, its paths relative to ``folder``.
        expected: files that the program must have written when it ends.
        tell: called as it runs with the number of the stage (0, 1, ...) and of evaluations of
            the metric in that stage.

    Returns:
        The last lines of its output, and the last value of the metric that it printed.

    Raises:
        SyntheticCTError: the program is absent, ended with an error, told of one while ending
            well (it does), or did not write its results; with its last lines. Or its metric was
            twice no number.
    """
    program = find_plastimatch()
    (folder / "register.txt").write_text(text, encoding="utf-8")
    command = [program, "register", "register.txt"]
    for last in (False, True):
        output = _Output(tell)
        try:
            lines = run_program(command, folder, expected, "plastimatch", output)
        except SyntheticCTError:
            if last or not output.lost:
                raise
        else:
            if not output.lost:
                return lines, output.score
    raise SyntheticCTError(
        "The registration failed, plastimatch twice found no number for how alike the images are: "
        "check that the two images show the same part of one patient."
    )


class _Output:
    """What plastimatch prints, line by line.

    Attributes:
        score: last value of the metric.
        lost: a value was no number. This happens to the same images, for which it finds numbers in
            another run.
    """

    def __init__(self, tell: Callable[[int, int], None] | None) -> None:
        self._tell, self._stage, self._complaint = tell, -1, None
        self.score: float | None = None
        self.lost = False

    def __call__(self, line: str) -> str | None:
        if _BAD_OUTPUT.search(line):
            self._complaint = self._complaint or line.strip()
        if line.startswith(_STAGE):
            self._stage += 1
        if found := _SCORE.match(line):
            self.score = float(found[1] or found[2])
            self.lost = self.lost or not math.isfinite(self.score)
        if self._tell and (found := _EVALUATION.match(line)):
            self._tell(max(self._stage, 0), int(found[1] or found[2]))
        return self._complaint


def read_bspline(path: Path) -> sitk.BSplineTransform:
    """Read the B-spline that plastimatch wrote, as exactly the same transform in SimpleITK.

    Both are uniform cubic B-splines with one more knot before the image and two behind it, so
    that the coefficients (x of all knots, then y, then z; i fastest) are taken over.

    Raises:
        SyntheticCTError: the file is not such a B-spline, or holds NaN.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    header = {}
    while len(header) < len(lines) - 1 and "=" in lines[len(header) + 1]:
        key, _, value = lines[len(header) + 1].partition("=")
        header[key.strip()] = np.array([float(v) for v in value.split()])
    try:
        values = np.array(" ".join(lines[len(header) + 1 :]).split(), dtype=float)
        regions = 1 + (header["roi_dim"].astype(int) - 1) // header["vox_per_rgn"].astype(int)
        knot_mm = header["img_spacing"] * header["vox_per_rgn"]
        origin, axes = header["img_origin"], header["direction_cosines"]
    except (KeyError, ValueError) as error:
        raise SyntheticCTError(
            f"The transform that plastimatch wrote cannot be read ({error}): "
            "install the version of plastimatch that this project names."
        ) from error
    if values.size != 3 * np.prod(regions + 3) or not np.isfinite(values).all():
        raise SyntheticCTError(
            "The transform that plastimatch wrote is incomplete or not finite: check that the "
            "two images show the same part of one patient, and that there is room in the "
            "temporary folder."
        )
    spline = sitk.BSplineTransform(3, 3)
    spline.SetTransformDomainOrigin(origin.tolist())
    spline.SetTransformDomainDirection(axes.tolist())
    spline.SetTransformDomainPhysicalDimensions((regions * knot_mm).tolist())
    spline.SetTransformDomainMeshSize([int(n) for n in regions])
    spline.SetParameters(values.tolist())
    return spline


def extended(
    spline: sitk.BSplineTransform, low: np.ndarray, high: np.ndarray
) -> sitk.BSplineTransform:
    """Return ``spline`` over the box from ``low`` to ``high``, its outermost knots repeated."""
    mesh = np.array(spline.GetTransformDomainMeshSize())
    origin = np.array(spline.GetTransformDomainOrigin())
    knot = np.array(spline.GetTransformDomainPhysicalDimensions()) / mesh
    before = np.maximum(np.ceil((origin - low) / knot + 0.1), 0).astype(int)
    behind = np.maximum(np.ceil((high - origin) / knot + 0.1) - mesh, 0).astype(int)
    values = np.reshape(spline.GetParameters(), (3, *(mesh + 3)[::-1]))
    pad = [(0, 0), *zip(before[::-1], behind[::-1], strict=True)]
    mesh = mesh + before + behind
    wide = sitk.BSplineTransform(3, 3)
    wide.SetTransformDomainOrigin((origin - before * knot).tolist())
    wide.SetTransformDomainDirection(spline.GetTransformDomainDirection())
    wide.SetTransformDomainPhysicalDimensions((mesh * knot).tolist())
    wide.SetTransformDomainMeshSize([int(n) for n in mesh])
    wide.SetParameters(np.pad(values, pad, mode="edge").ravel().tolist())
    return wide
