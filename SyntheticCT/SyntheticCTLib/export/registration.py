"""How a CT and the MR of a synthetic CT lie, as a registration object (PS3.3 A.39)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.dicom.frame_of_reference import FRAME

from .ct import CtSeries
from .objects import begun, content_of, ds, new_uid, reference, series_number, write
from .registered import require_lying
from .source import SourceSeries

if TYPE_CHECKING:
    import pydicom

FILE = "REG.dcm"
_SQUARE = 1e-4
"""How far the axes of a rigid transform may be from orthogonal and of length 1."""
_NO_DATE = "19000101"


@dataclass(frozen=True)
class RegisteredCt:
    """A CT that the MR, and so the synthetic CT, is registered with.

    Attributes:
        image: HU.
        source: what its headers say.
        transform: points of the CT to points of the MR (mm, LPS), as ``register`` gives it with
            the CT as fixed volume.
    """

    image: sitk.Image
    source: SourceSeries
    transform: sitk.Transform


def require_registered(
    registered: RegisteredCt, sct: sitk.Image, mr: SourceSeries, progress: Progress = SILENT
) -> None:
    """Refuse a registration that cannot be between the two frames of reference, or warn.

    Raises:
        SyntheticCTError: one frame only, two patients, a transform that cannot be written, or
            images that do not lie on one another by it.
    """
    if registered.source.frame == mr.frame:
        raise SyntheticCTError(
            "The CT and the MR are of one frame of reference (FrameOfReferenceUID), which a "
            "registration between two cannot say: give the DICOM folder of the CT as the scanner "
            "sent it, or leave the registration out."
        )
    own, other = (str(one.header.get("PatientID") or "").strip() for one in (mr, registered.source))
    if own and other and own != other:
        raise SyntheticCTError(
            "The CT that is registered to is of another patient ID than the MR: give the CT of "
            "this patient."
        )
    parts(registered.transform)
    require_lying(registered.image, sct, registered.transform, progress)


def write_registration(
    registered: RegisteredCt, ct: CtSeries, source: SourceSeries, folder: Path, progress: Progress
) -> Path:
    """Write what :func:`require_registered` has let pass, and return the file.

    The CT's frame is the registered one. A linear transform becomes a Spatial Registration, whose
    matrix takes points of the MR's frame into the CT's (C.20.2.1.1); one that bends becomes a
    Deformable Spatial Registration, whose grid takes those of the CT into the MR's (C.20.3.1.1).
    """
    from pydicom.uid import DeformableSpatialRegistrationStorage, SpatialRegistrationStorage

    matrix, field = parts(registered.transform)
    bends = field is not None
    kind = DeformableSpatialRegistrationStorage if bends else SpatialRegistrationStorage
    result = begun(source, kind, "REG", ct.when)
    other = registered.source
    result.FrameOfReferenceUID = other.frame
    result.PositionReferenceIndicator = other.header.get("PositionReferenceIndicator") or ""
    result.SeriesNumber, result.InstanceNumber = series_number(source, 4), 1
    result.SeriesDescription = "REGISTRATION OF MR AND CT"
    result.Laterality = ""  # of both sides
    result.DeviceSerialNumber = "none"  # wanted with a value, and programs have none
    result.ContentLabel, result.ContentDescription = "MR_TO_CT", "MR and synthetic CT to CT"
    result.ContentCreatorName = ""
    if ct.when is not None:
        date, time = ct.when.strftime("%Y%m%d"), ct.when.strftime("%H%M%S")
    else:
        date = str(result.StudyDate or _NO_DATE)
        time = str(result.StudyTime or "000000")
        if date == _NO_DATE:
            progress.warn(
                "The MR does not name its study's date, and UIDs are to depend on the content "
                "alone, so that the registration is dated 1900-01-01: it must have a date."
            )
    result.ContentDate, result.ContentTime = date, time
    if bends:  # of whole frames, and so without images (C.20.3)
        result.DeformableRegistrationSequence = [_bent(matrix, field, source.frame)]
    else:
        _refer(result, ct, source, other)
        result.RegistrationSequence = [
            _moved(np.eye(4), other.frame, [reference(*i) for i in other.instances]),
            _moved(
                np.linalg.inv(matrix),
                source.frame,
                [reference(*i) for i in source.instances]
                + [ct.reference(n) for n in range(len(ct.instances))],
            ),
        ]
    content = None if ct.when else content_of(result, ct.uid.encode())
    result.SeriesInstanceUID = new_uid(content and content + b"series")
    result.SOPInstanceUID = new_uid(content)
    write(result, folder / FILE)
    return folder / FILE


def parts(transform: sitk.Transform) -> tuple[np.ndarray, sitk.Image | None]:
    """Return a transform as a matrix and the displacements that are applied before it.

    Returns:
        4 x 4, of column vectors; displacements (mm) on their grid, None where nothing bends.

    Raises:
        SyntheticCTError: other transforms, or numbers that are none.
    """
    if transform.GetDimension() != 3:
        raise SyntheticCTError(
            "The transform is not of three dimensions: give one that register has written."
        )
    steps = _steps(transform)
    bending = [step for step in steps if not step.IsLinear()]
    field = None
    if bending:
        if len(bending) > 1 or bending[0] is not steps[0] or not _is_field(bending[0]):
            raise SyntheticCTError(
                "The transform does not consist of one displacement field with matrices after it, "
                "as register writes it (--transform, --field): give such a transform."
            )
        field = sitk.DisplacementFieldTransform(bending[0]).GetDisplacementField()
        if not np.isfinite(sitk.GetArrayViewFromImage(field)).all():
            raise SyntheticCTError(
                "The displacement field holds values that are no numbers: register again."
            )
    matrix = np.eye(4)
    for step in steps[len(bending) :]:
        matrix = _matrix(step) @ matrix
    if not np.isfinite(matrix).all() or np.linalg.det(matrix[:3, :3]) < 1e-3:
        raise SyntheticCTError(
            "The transform mirrors, flattens or holds values that are no numbers: register again."
        )
    return matrix, field


def _steps(transform: sitk.Transform) -> list[sitk.Transform]:
    """The transforms that one consists of, in the order in which they are applied."""
    if transform.GetTransformEnum() != sitk.sitkComposite:
        return [transform.Downcast()]
    whole = sitk.CompositeTransform(transform)
    numbers = reversed(range(whole.GetNumberOfTransforms()))
    return [step for number in numbers for step in _steps(whole.GetNthTransform(number))]


def _is_field(transform: sitk.Transform) -> bool:
    return transform.GetTransformEnum() == sitk.sitkDisplacementField


def _matrix(linear: sitk.Transform) -> np.ndarray:
    """A linear transform as a matrix (4 x 4) of column vectors."""
    origin = np.array(linear.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([linear.TransformPoint(e) for e in np.eye(3).tolist()]).T
    matrix[:3, :3] -= origin[:, None]
    matrix[:3, 3] = origin
    return matrix


def _kind(matrix: np.ndarray) -> str:
    """Type of a matrix, one of those of C.20.2.1.2."""
    linear = matrix[:3, :3]
    rigid = np.abs(linear.T @ linear - np.eye(3)).max() < _SQUARE
    return "RIGID" if rigid else "AFFINE"


def _step(matrix: np.ndarray) -> pydicom.Dataset:
    from pydicom import Dataset

    step = Dataset()
    step.FrameOfReferenceTransformationMatrixType = _kind(matrix)
    step.FrameOfReferenceTransformationMatrix = ds(*matrix.ravel())
    return step


def _moved(matrix: np.ndarray, frame: str, images: list[pydicom.Dataset]) -> pydicom.Dataset:
    """An item of a frame whose points ``matrix`` takes into the registered one."""
    from pydicom import Dataset

    item, one = Dataset(), Dataset()
    one.RegistrationTypeCodeSequence = []
    one.MatrixSequence = [_step(matrix)]
    setattr(item, FRAME, frame)
    item.ReferencedImageSequence = images
    item.MatrixRegistrationSequence = [one]
    return item


def _bent(after: np.ndarray, field: sitk.Image, frame: str) -> pydicom.Dataset:
    """An item of a frame into which displacements and then a matrix take registered points."""
    from pydicom import Dataset

    values = sitk.GetArrayFromImage(field).astype("<f4")
    axes = np.reshape(field.GetDirection(), (3, 3)).T
    origin = field.GetOrigin()
    if np.linalg.det(axes) < 0:  # planes follow one another along the cross product of the others
        origin = field.TransformIndexToPhysicalPoint((0, 0, field.GetSize()[2] - 1))
        values = values[::-1]
    grid, item = Dataset(), Dataset()
    grid.ImagePositionPatient = ds(*origin)
    grid.ImageOrientationPatient = ds(*axes[0], *axes[1])
    grid.GridDimensions = list(field.GetSize())
    grid.GridResolution = list(field.GetSpacing())
    grid.VectorGridData = values.tobytes()
    item.SourceFrameOfReferenceUID = frame
    item.RegistrationTypeCodeSequence = []
    if not np.array_equal(after, np.eye(4)):
        item.PostDeformationMatrixRegistrationSequence = [_step(after)]
    item.DeformableRegistrationGridSequence = [grid]
    return item


def _refer(
    result: pydicom.Dataset, ct: CtSeries, source: SourceSeries, other: SourceSeries
) -> None:
    """Name the series that the registration is of (Common Instance Reference, C.12.2)."""
    from pydicom import Dataset

    def series(uid: str, images: list[pydicom.Dataset]) -> pydicom.Dataset:
        item = Dataset()
        item.SeriesInstanceUID, item.ReferencedInstanceSequence = uid, images
        return item

    def whole(one: SourceSeries) -> pydicom.Dataset:
        return series(str(one.header.SeriesInstanceUID), [reference(*i) for i in one.instances])

    own = series(ct.uid, [ct.reference(n) for n in range(len(ct.instances))])
    result.ReferencedSeriesSequence = [whole(source), own]
    if other.header.StudyInstanceUID == source.header.StudyInstanceUID:
        result.ReferencedSeriesSequence.append(whole(other))
        return
    study = Dataset()
    study.StudyInstanceUID = other.header.StudyInstanceUID
    study.ReferencedSeriesSequence = [whole(other)]
    result.StudiesContainingOtherReferencedInstancesSequence = [study]
