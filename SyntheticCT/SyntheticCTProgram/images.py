"""The commands that make one image of another: ``normalize``, ``generate`` and ``register``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import refuse_overwrite, require_place, staged_file
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.basics.stages import no_room
from SyntheticCTLib.volumes.reading import read_mask, read_volume
from SyntheticCTLib.volumes.writing import require_format, write_volume

from .arguments import VOLUME_HELP, model_folder

if TYPE_CHECKING:
    import SimpleITK as sitk
    from SyntheticCTLib.bundle.folder import ModelCard
    from SyntheticCTLib.registration.rigid_and_deformable import Registration

_VOLUMES = ("sct", "uncertainty", "normalized", "warped", "field")
TRANSFORMS = (".tfm", ".txt", ".h5", ".hdf5")


def add_normalize(command: Callable) -> None:
    """Add ``normalize`` to the parser; ``command`` makes a parser of a name."""
    sub = command(
        "normalize",
        normalize,
        "Map an MR to a model's standard scale (Nyul)",
        "The result lies on exactly the MR's grid, as 32-bit numbers.",
    )
    _add_mr_and_model(sub)
    sub.add_argument("--output", required=True, metavar="FILE", help="normalized MR (.nrrd, ...)")
    _add_common(sub)


def add_generate(command: Callable) -> None:
    """Add ``generate`` to the parser; ``command`` makes a parser of a name."""
    sub = command(
        "generate",
        generate,
        "Make the synthetic CT of an MR",
        "The result lies on exactly the MR's grid, int16 HU.",
    )
    _add_mr_and_model(sub)
    sub.add_argument("--output", required=True, metavar="FILE", help="synthetic CT (.nrrd, ...)")
    sub.add_argument(
        "--uncertainty",
        metavar="FILE",
        help="standard deviation in HU over the slabs that predict a slice; -1 where only one does",
    )
    sub.add_argument("--normalized", metavar="FILE", help="the MR on the model's standard scale")
    sub.add_argument(
        "--body", metavar="MASK", help="body contour; the synthetic CT is air, -1000 HU, outside it"
    )
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    _add_common(sub)


def add_register(command: Callable) -> None:
    """Add ``register`` to the parser; ``command`` makes a parser of a name."""
    sub = command(
        "register",
        register,
        "Register a volume onto another",
        "Rigidly, then deformably by a B-spline. The result lies on exactly the fixed volume's "
        "grid. Transforms map its points to points of the moving volume (mm, LPS), which is how "
        "ITK resamples.",
    )
    sub.add_argument("--fixed", required=True, metavar="VOLUME", help="stays, usually the CT")
    sub.add_argument("--moving", required=True, metavar="VOLUME", help="is moved onto it")
    sub.add_argument(
        "--metric",
        required=True,
        choices=("mse", "mi"),
        help="mean square between CT-like volumes, mutual information between MR and CT",
    )
    sub.add_argument(
        "--fill",
        type=float,
        required=True,
        metavar="VALUE",
        help="outside the moving volume's field: -1024 for CT-like volumes, 0 for MR",
    )
    sub.add_argument("--rigid", metavar="TRANSFORM", help="rigid part that is known already")
    sub.add_argument("--no-deformable", action="store_true", help="rigid only")
    sub.add_argument("--output", metavar="FILE", help="the moved volume (.nrrd, ...)")
    sub.add_argument("--transform", metavar="FILE", help="the whole transform (.h5, .tfm)")
    sub.add_argument("--rigid-part", metavar="FILE", help="its rigid part (.tfm)")
    sub.add_argument(
        "--field",
        metavar="FILE",
        help="the whole transform as displacements in mm (.nrrd, ...); only where it bends",
    )
    sub.add_argument(
        "--rigid-by",
        choices=("library", "brainsfit"),
        default="library",
        help="what finds the rigid part: SimpleITK, with all voxels and always the same result, "
        "or BRAINSFit, which draws voxels at random",
    )
    sub.add_argument(
        "--deformable-by",
        choices=("plastimatch", "brainsfit"),
        default="plastimatch",
        help="what finds the B-spline; either is left out where it folds or makes the images "
        "less alike",
    )
    sub.add_argument(
        "--brainsfit", metavar="PROGRAM", help="Slicer's BRAINSFit, where it is not on the PATH"
    )
    sub.add_argument("--uncompressed", action="store_true", help="volumes, which is faster")


def normalize(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Write an MR on the standard scale of a model."""
    from SyntheticCTLib.bundle.folder import read_card
    from SyntheticCTLib.normalization.foreground import foreground_mask

    outputs = {"normalized": Path(options.output)}
    _refuse(options, outputs, [options.mr, options.model, options.foreground])
    card = read_card(options.model)
    mr = read_volume(options.mr, "MR", progress)
    foreground = _foreground(options, progress)
    progress.report("Nyul normalization", 0)
    normalized = card.nyul.apply(mr, foreground_mask(mr, foreground))
    progress.report("Nyul normalization", 1)
    write_volume(normalized, options.output, compress=not options.uncompressed)
    return outputs | _histograms(options, mr, card, normalized, foreground)


def generate(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Write the synthetic CT of an MR, and what else is asked for."""
    from SyntheticCTLib.bundle.folder import load_bundle
    from SyntheticCTLib.inference.synthesis import generate as run

    outputs = {"sct": Path(options.output)}
    for name in ("uncertainty", "normalized"):
        if getattr(options, name):
            outputs[name] = Path(getattr(options, name))
    _refuse(options, outputs, [options.mr, options.model, options.body, options.foreground])
    bundle = load_bundle(options.model)
    mr = read_volume(options.mr, "MR", progress)
    body = read_mask(options.body, "body contour", progress) if options.body else None
    foreground = _foreground(options, progress)
    result = run(
        mr, bundle, device=options.device, body=body, foreground=foreground, progress=progress
    )
    for name, path in outputs.items():
        write_volume(getattr(result, name), path, compress=not options.uncompressed)
    return outputs | _histograms(options, mr, bundle, result.normalized, foreground)


def register(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Write a volume registered onto another, and the transforms that are asked for."""
    from SyntheticCTLib.registration.brainsfit import BrainsFit, find_brainsfit
    from SyntheticCTLib.registration.rigid_and_deformable import register as run

    names = {"warped": "output", "transform": "transform", "rigid": "rigid_part", "field": "field"}
    outputs = {
        name: Path(getattr(options, option))
        for name, option in names.items()
        if getattr(options, option)
    }
    if not outputs:
        raise SyntheticCTError("Nothing is to be written: give --output or --transform.")
    _refuse(options, outputs, [options.fixed, options.moving, options.rigid])
    fixed = read_volume(options.fixed, "fixed volume", progress)
    moving = read_volume(options.moving, "moving volume", progress)
    by = "brainsfit" in (options.rigid_by, options.deformable_by)
    brainsfit = BrainsFit(find_brainsfit(options.brainsfit)) if by else None
    rigid = brainsfit if options.rigid_by == "brainsfit" else None
    if options.rigid:
        rigid = read_transform(Path(options.rigid))
    result = run(
        fixed,
        moving,
        metric=options.metric,
        deformable=not options.no_deformable,
        fill=options.fill,
        rigid=rigid,
        spline=brainsfit if options.deformable_by == "brainsfit" else None,
        progress=progress,
    )
    if not result.deformed:
        outputs.pop("field", None)
    for name, path in outputs.items():
        if name == "warped":
            write_volume(result.warped, path, compress=not options.uncompressed)
        elif name == "field":
            write_volume(_displacements(result), path, compress=not options.uncompressed)
        else:
            _write_transform(getattr(result, name), path)
    return outputs


def _add_mr_and_model(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("mr", metavar="MR", help=f"the MR: {VOLUME_HELP}")
    sub.add_argument(
        "--model",
        type=model_folder,
        metavar="BUNDLE",
        required=True,
        help="folder of the model; demo for the demo model",
    )
    sub.add_argument(
        "--foreground",
        metavar="MASK",
        help="voxels that the standard scale is read off, where the program does not find them",
    )


def _foreground(options: argparse.Namespace, progress: Progress) -> sitk.Image | None:
    return read_mask(options.foreground, "foreground", progress) if options.foreground else None


def _add_common(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--histograms",
        metavar="FILE",
        help="histograms of the MR before and after Nyul among the model's scans (.json)",
    )
    sub.add_argument("--uncompressed", action="store_true", help="volumes, which is faster")


def _refuse(
    options: argparse.Namespace, outputs: dict[str, Path], inputs: list[str | None]
) -> None:
    paths = [*outputs.values()]
    if getattr(options, "histograms", None):
        paths.append(Path(options.histograms))
    for name, path in outputs.items():
        if name in _VOLUMES:
            require_format(path)
        elif path.suffix.lower() not in TRANSFORMS:
            raise SyntheticCTError(
                f"The transform {path} cannot be written: end the name with .tfm or .h5."
            )
    for index, path in enumerate(paths):
        refuse_overwrite(path, [*filter(None, inputs), *paths[:index]])
        require_place(path)


def _histograms(
    options: argparse.Namespace,
    mr: sitk.Image,
    card: ModelCard,
    normalized: sitk.Image,
    foreground: sitk.Image | None,
) -> dict[str, Path]:
    if not options.histograms:
        return {}
    from SyntheticCTEvalLib.evaluation.mr_histograms import histogram_set

    content = json.dumps(asdict(histogram_set(mr, card, normalized, foreground)))
    with staged_file(options.histograms) as stage:
        stage.write_text(content + "\n", encoding="utf-8")
    return {"histograms": Path(options.histograms)}


def _displacements(result: Registration) -> sitk.Image:
    """The whole transform, sampled where its bending part was, float32."""
    import SimpleITK as sitk

    bent = sitk.CompositeTransform(result.transform).GetNthTransform(1)
    grid = sitk.DisplacementFieldTransform(bent).GetDisplacementField()
    return sitk.TransformToDisplacementField(
        result.transform,
        sitk.sitkVectorFloat32,
        grid.GetSize(),
        grid.GetOrigin(),
        grid.GetSpacing(),
        grid.GetDirection(),
    )


def read_transform(path: Path) -> sitk.Transform:
    """Read a transform that ITK has written.

    ITK takes the numbers of a text file that ends early for zeros.

    Raises:
        SyntheticCTError: it cannot be read, or not the whole of it.
    """
    import SimpleITK as sitk

    try:
        transform = sitk.ReadTransform(str(path))
        if path.suffix.lower() in (".tfm", ".txt"):
            text = path.read_text(encoding="utf-8", errors="replace")
            words = [line.partition(":")[0] for line in text.splitlines()]
            own = [line for line in text.splitlines() if line.startswith("Transform:")]
            wanted = len(own) - sum("CompositeTransform" in line for line in own)
            counts = {words.count("Parameters"), words.count("FixedParameters")}
            if counts != {wanted} or not text.endswith("\n"):
                raise EOFError
    except (RuntimeError, OSError, EOFError) as error:
        raise SyntheticCTError(
            f"The transform {path} cannot be read, or not the whole of it: give one that ITK has "
            "written (.tfm, .h5)."
        ) from error
    return transform


def _write_transform(transform: sitk.Transform, path: Path) -> None:
    """Write a transform and read it back: its writers say nothing of a full disk."""
    import numpy as np
    import SimpleITK as sitk

    with staged_file(path) as stage:
        try:
            sitk.WriteTransform(transform, str(stage))
            written = read_transform(stage)
        except (RuntimeError, SyntheticCTError) as error:
            raise no_room(path) from error
        for mine, found in (
            (transform.GetParameters(), written.GetParameters()),
            (transform.GetFixedParameters(), written.GetFixedParameters()),
        ):
            if len(mine) != len(found) or not np.allclose(mine, found, rtol=1e-5, atol=1e-6):
                raise no_room(path)
