"""The command ``synthetic-ct export``: a synthetic CT as DICOM that a planning system takes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import (
    refuse_overwrite,
    require_writable_folder,
    staged_folder,
)
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.dicom.frame_of_reference import FRAME, frame_of
from SyntheticCTLib.volumes.reading import read_mask, read_volume

from .arguments import VOLUME_HELP, add_structures_registration, number, whole_count
from .images import TRANSFORMS, read_transform

if TYPE_CHECKING:
    import SimpleITK as sitk
    from SyntheticCTLib.export.registration import RegisteredCt

AUTO = "auto"
"""Stands for the body contour that is found in the synthetic CT itself."""
LEAST_PIXELS = 16
"""With fewer across a slice no patient can be recognised, nor a dose be computed."""
DOSE_TYPES = {"plan": "PLAN", "fraction": "FRACTION"}
"""What a dose is of, by the words of the option --dose-type."""
_RESULTS = re.compile(r"CT_\d{4,}\.dcm|RTSTRUCT\.dcm|RTDOSE\.dcm|REG\.dcm")


def export(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Write CT slices, and structures and dose where they are given."""
    from SyntheticCTLib.export.dose_plan import read_dose_plan
    from SyntheticCTLib.export.folder import ExportSettings, export_dicom
    from SyntheticCTLib.export.source import read_source

    if options.structures_registration and not options.structures:
        raise SyntheticCTError(
            "A registration brings structures over: give them by --structures, or leave out "
            "--structures-registration."
        )
    if not options.dose and (options.plan or options.dose_type or options.fraction_group):
        raise SyntheticCTError(
            "A plan, --dose-type and --fraction-group are told with a dose only: give the dose by "
            "--dose."
        )
    if bool(options.registration) != bool(options.registered_to):
        raise SyntheticCTError(
            "A registration object needs the transform and the CT: give --registration and "
            "--registered-to together."
        )
    inputs = [options.sct, options.like, options.structures, options.dose, options.plan]
    inputs += [options.structures_registration, options.registration, options.registered_to]
    if options.body != AUTO:
        inputs.append(options.body)
    inputs = [one for one in inputs if one]
    folder = Path(options.output)
    refuse_overwrite(folder / "CT_0001.dcm", inputs)
    source = read_source(options.like)
    mr = read_volume(options.like, "MR", progress)
    sct = read_volume(options.sct, "candidate synthetic CT", progress)
    body = _body(options.body, sct, progress)
    if not frame_of(sct):  # structures of another frame do not lie on it
        sct.SetMetaData(FRAME, source.frame)
    structures, dose = _structures_and_dose(options, sct, progress)
    plan = None
    if options.dose:
        plan = read_dose_plan(
            options.plan,
            options.dose,
            source,
            options.dose_type and DOSE_TYPES[options.dose_type],
            options.fraction_group,
        )
    registered = _registered(options.registration, options.registered_to, progress)
    require_writable_folder(folder)
    with staged_folder(folder, inputs, _earlier(folder)) as stage:
        export_dicom(
            sct,
            mr,
            source,
            stage,
            ExportSettings(
                spacing_mm=options.spacing and tuple(options.spacing),
                largest=options.largest,
                kvp=options.kvp,
                seed_uids=options.seed_uids,
                not_synthetic=options.not_synthetic,
            ),
            body=body,
            structures=structures,
            dose=dose,
            plan=plan,
            registered=registered,
            progress=progress,
        )
    return {"folder": folder}


def _structures_and_dose(
    options: argparse.Namespace, sct: sitk.Image, progress: Progress
) -> tuple[dict[str, sitk.Image] | None, sitk.Image | None]:
    structures = dose = None
    if options.structures:  # in functions, as Slicer may have the one module without the other
        from SyntheticCTEvalLib.structures.reading import read_structures
        from SyntheticCTEvalLib.structures.roi_types import give_types

        structures = read_structures(
            options.structures, sct, progress, registration=options.structures_registration
        )
        give_types(structures)
    if options.dose:
        from SyntheticCTEvalLib.dose.reading import read_dose

        dose = read_dose(options.dose, options.dose_unit, progress)
    return structures, dose


def _registered(
    transform: str | None, folder: str | None, progress: Progress
) -> RegisteredCt | None:
    """The CT in ``folder`` and the transform from it to the MR."""
    if not transform or not folder:
        return None
    from SyntheticCTLib.export.registration import RegisteredCt
    from SyntheticCTLib.export.source import read_source

    return RegisteredCt(
        image=read_volume(folder, "CT", progress),
        source=read_source(folder, "CT"),
        transform=_transform(Path(transform)),
    )


def _transform(path: Path) -> sitk.Transform:
    """A transform of ITK, or displacements in mm as a volume of vectors."""
    import SimpleITK as sitk

    if not path.is_file():
        raise SyntheticCTError(f"The registration {path} does not exist: check the path.")
    if path.suffix.lower() in TRANSFORMS:
        return read_transform(path)
    try:
        field = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise SyntheticCTError(
            f"The registration {path} cannot be read: give what register wrote by --transform "
            "(.tfm, .h5) or --field (.nrrd)."
        ) from error
    if field.GetDimension() != 3 or field.GetNumberOfComponentsPerPixel() != 3:
        raise SyntheticCTError(
            f"The registration {path} holds no displacements (three numbers a voxel): give what "
            "register wrote by --transform (.tfm, .h5) or --field (.nrrd)."
        )
    return sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))


def _body(given: str | None, sct: sitk.Image, progress: Progress) -> sitk.Image | None:
    if given is None:
        return None
    if given != AUTO:
        return read_mask(given, "body contour", progress)
    from SyntheticCTLib.body.contour import body_contour

    return body_contour(sct, "CT")


def _earlier(folder: Path) -> list[Path]:
    """The results of an earlier run in ``folder``.

    Raises:
        SyntheticCTError: files of the same names are not of this program.
    """
    from SyntheticCTLib.export.objects import written_here

    if not folder.is_dir():
        return []
    found = [path for path in sorted(folder.iterdir()) if _RESULTS.fullmatch(path.name)]
    others = [path.name for path in found if not written_here(path)]
    if others:
        raise SyntheticCTError(
            f"The folder {folder} holds {others[0]}, which this program did not write and would "
            "replace: choose another folder."
        )
    return found


def _pixels(text: str) -> int:
    return int(_number(str(whole_count(text)), LEAST_PIXELS, 2**15, "a number of pixels"))


def _millimetres(text: str) -> float:
    return _number(text, 0.1, 50, "a spacing in mm")


def _kilovolts(text: str) -> float:
    return _number(text, 20, 1000, "a tube voltage in kV")


def _number(text: str, low: float, high: float, what: str) -> float:
    return number(text, f"{what} from {low:g} to {high:g}", low, high)


def add_export(command: Callable[..., Any]) -> None:
    sub = command(
        "export",
        export,
        "Write a synthetic CT as DICOM for a planning system",
        "CT slices in the patient, study and frame of reference of the MR, axial, with square "
        "pixels; body contour and structures as RTSTRUCT and a dose as RTDOSE that belong to "
        "them, and the registration between MR and CT. Files are named by slice and kind, never "
        "by the patient.",
    )
    sub.add_argument("sct", metavar="SCT", help="synthetic CT that this program wrote (.nrrd, ...)")
    sub.add_argument(
        "--like",
        required=True,
        metavar="MR_FOLDER",
        help="DICOM of the MR that it was made of; FOLDER#SERIES takes one of several series",
    )
    sub.add_argument("--output", required=True, metavar="DIR", help="folder of the DICOM files")
    sub.add_argument(
        "--body",
        metavar="MASK",
        help=f"the patient's outline, as structure of the type EXTERNAL; {AUTO} finds it in SCT",
    )
    sub.add_argument(
        "--structures", metavar="FILE", help="RTSTRUCT, .seg.nrrd or label map that lies on SCT"
    )
    add_structures_registration(sub)
    _add_dose(sub)
    _add_registration(sub)
    sub.add_argument(
        "--spacing",
        nargs=2,
        type=_millimetres,
        metavar=("PIXEL", "SLICE"),
        help="of pixels and slices in mm, where others than those of SCT are wanted",
    )
    sub.add_argument(
        "--largest",
        type=_pixels,
        default=512,
        metavar="N",
        help="rows and columns at most; more become coarser (%(default)s)",
    )
    sub.add_argument(
        "--kvp",
        type=_kilovolts,
        metavar="KV",
        help="tube voltage to be told, for systems that choose their calibration by it; without "
        "it the element is empty, as no X-rays were used",
    )
    sub.add_argument(
        "--seed-uids",
        action="store_true",
        help="UIDs that depend on the content alone, and no date of the export: the same input "
        "gives the same files",
    )
    sub.add_argument(
        "--not-synthetic",
        action="store_true",
        help="SCT is not marked as a synthetic CT; the series says so",
    )


def _add_dose(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--dose", metavar="FILE", help=f"dose on SCT: RTDOSE, or {VOLUME_HELP}")
    sub.add_argument("--dose-unit", choices=("Gy", "cGy"), help="where the dose does not say it")
    sub.add_argument(
        "--plan", metavar="RTPLAN", help="the plan of the dose; of an RTDOSE, the one it names"
    )
    sub.add_argument(
        "--dose-type",
        choices=tuple(DOSE_TYPES),
        help="what the dose is of: all of the plan, or the whole delivery (all fractions) of one "
        "fraction group, as DICOM means FRACTION; without it what an RTDOSE says, else the plan",
    )
    sub.add_argument(
        "--fraction-group",
        type=whole_count,
        metavar="N",
        help="its number, where the plan has several and an RTDOSE names none",
    )


def _add_registration(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--registration",
        metavar="TRANSFORM",
        help="from the CT to the MR, as register wrote it with the CT as --fixed (--transform, "
        "--rigid-part or --field): it becomes a DICOM registration between the two",
    )
    sub.add_argument(
        "--registered-to", metavar="CT_FOLDER", help="DICOM of the CT of --registration"
    )
