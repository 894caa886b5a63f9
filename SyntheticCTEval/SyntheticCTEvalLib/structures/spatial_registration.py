"""DICOM Spatial Registration: from one frame of reference into another (PS3.3 C.20.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.dicom.frame_of_reference import FRAME
from SyntheticCTLib.dicom.headers import is_of, read_header

from .deformable_registration import DeformableRegistration, read_deformable
from .registration_matrix import AGAIN, matrix_of, same_place


@dataclass(frozen=True)
class SpatialRegistration:
    """One registration object.

    Attributes:
        path: the file.
        registered: UID of the frame of reference that all others are registered with.
        matrices: by the UID of a frame, from its points to those of ``registered`` (4 x 4;
            column vectors in mm, LPS).
    """

    path: Path
    registered: str
    matrices: dict[str, np.ndarray]

    def matrix(self, source: str, target: str) -> np.ndarray | None:
        """Return what takes points of a frame into another (4 x 4); None: it does not say."""
        if source not in self.matrices or target not in self.matrices:
            return None
        return np.linalg.solve(self.matrices[target], self.matrices[source])


Registration = SpatialRegistration | DeformableRegistration


@dataclass(frozen=True)
class Registered:
    """Where registrations are looked for.

    Attributes:
        given: the file that the user named; None: looked for in ``folder``.
        folder: of the structure set.
        patient: ID of the structure set's patient; "" where it is not known.
        target: UID of the CT's frame of reference; "" where it is not known.
    """

    given: Path | None
    folder: Path
    patient: str
    target: str

    def matrices(
        self, names: dict[int, str], frames: dict[int, str], progress: Progress
    ) -> dict[int, np.ndarray | sitk.Transform]:
        """Return what brings ROIs into the CT's frame, by number, and say so.

        A matrix (4 x 4) takes their points there; a transform takes points of the CT's frame into
        theirs (mm, LPS), which is how what bends is told.

        Args:
            names, frames: of the ROIs that lie in other frames than the CT, by number.

        Raises:
            SyntheticCTError: the given registration does not fit, or those found disagree.
        """
        if self.given and not self.target:
            raise SyntheticCTError(
                f"The registration {self.given} cannot be used, as the CT does not say its frame "
                "of reference: give the CT as the DICOM series that it is."
            )
        given = _given(self.given, self.patient, progress) if self.given else None
        found: dict[int, np.ndarray | sitk.Transform] = {}
        for frame in dict.fromkeys(frames.values()):
            numbers = [number for number in frames if frames[number] == frame]
            told = ", ".join(names[number] for number in numbers)
            one = given or find_registration(
                self.folder, frame, self.target, self.patient, progress
            )
            if one is None:
                continue
            matrix = one.matrix(frame, self.target)
            if matrix is None:
                raise SyntheticCTError(
                    f"The registration {one.path} is not between the frames of reference of the "
                    f"structures ({told}) and of the CT: give the one that is."
                )
            progress.warn(
                f"The structures {told} lie in another frame of reference and were brought onto "
                f"the CT by the registration {one.path}: check where they lie."
            )
            found |= dict.fromkeys(numbers, matrix)
        if given and not found:
            progress.warn(
                f"The registration {given.path} was not used: no structure is said to lie in "
                "another frame of reference than the CT."
            )
        return found


def _given(path: Path, patient: str, progress: Progress) -> Registration:
    """The registration that the user named."""
    if not path.is_file():
        raise SyntheticCTError(f"The registration {path} does not exist: check the path.")
    dataset = read_header(path, whole=True)
    if dataset is not None and differing_patient(dataset, patient):
        raise SyntheticCTError(
            f"The registration {path} is of another patient than the structures: give the one of "
            "this patient."
        )
    return _parsed(dataset, path, progress)


def find_registration(
    folder: Path, source: str, target: str, patient: str, progress: Progress
) -> Registration | None:
    """Return the registration in a folder between two frames of a patient; None: there is none.

    Args:
        source, target: UIDs of the frames.
        patient: ID of the patient; "" where it is not known.

    Raises:
        SyntheticCTError: several disagree, or one that names both frames cannot be used.
    """
    found: list[tuple[Registration, np.ndarray | sitk.Transform | None]] = []
    for path, dataset in _registrations(folder):
        if not {source, target} <= _frames(dataset) or differing_patient(dataset, patient):
            continue
        one = _parsed(dataset, path, progress)
        found.append((one, one.matrix(source, target)))
    for one, way in found[1:]:
        ways = (way, found[0][1])
        bends = any(not isinstance(one, np.ndarray) for one in ways)
        if bends or not same_place(*ways):
            raise SyntheticCTError(
                f"The registrations {found[0][0].path} and {one.path} place the structures "
                "differently: give the one that is meant by --structures-registration, or keep it "
                "alone in the folder."
            )
    return found[0][0] if found else None


def registrations_beside(structures: Path) -> list[Path]:
    """Return the registrations beside an RTSTRUCT file that name a frame that it was drawn in.

    Those that reading it may take; none of a folder, all of which counts as read.
    """
    if not structures.is_file():
        return []
    tags = ("StructureSetROISequence", "ReferencedFrameOfReferenceSequence")
    header = read_header(structures, tags=tags)
    if header is None or not is_of(header, "RTSTRUCT"):
        return []
    items = [item for tag in tags for item in header.get(tag) or []]
    drawn_in = {str(i.get(f"Referenced{FRAME}") or i.get(FRAME) or "") for i in items} - {""}
    beside = _registrations(structures.parent)
    return [path for path, dataset in beside if drawn_in & _frames(dataset)]


def _registrations(folder: Path) -> Iterator[tuple[Path, Dataset]]:
    """The registrations in a folder, whole."""
    for path in sorted(item for item in folder.iterdir() if item.is_file()):
        header = read_header(path)
        if header is None or header.get("Modality") != "REG":
            continue
        dataset = read_header(path, whole=True)
        if dataset is not None:
            yield path, dataset


def differing_patient(dataset: Dataset, patient: str) -> bool:
    """Whether a file is of another patient than the one with the ID ``patient``."""
    own = str(dataset.get("PatientID") or "").strip()
    return bool(own and patient and own != patient)


def _frames(dataset: Dataset) -> set[str]:
    items = (
        dataset.get("RegistrationSequence") or dataset.get("DeformableRegistrationSequence") or []
    )
    named = [item.get(FRAME) or item.get("SourceFrameOfReferenceUID") for item in items]
    return {str(frame) for frame in (dataset.get(FRAME), *named) if frame}


def _parsed(dataset: Dataset | None, path: Path, progress: Progress) -> Registration:
    from pydicom.uid import DeformableSpatialRegistrationStorage, SpatialRegistrationStorage

    kind = None if dataset is None else dataset.get("SOPClassUID")
    if kind == DeformableSpatialRegistrationStorage:
        return read_deformable(dataset, path)
    if kind != SpatialRegistrationStorage:
        raise SyntheticCTError(
            f"The registration {path} is no Spatial Registration of DICOM: give the REG file."
        )
    registered = str(dataset.get(FRAME) or "")
    if not registered:
        raise SyntheticCTError(
            f"The registration {path} does not say what it registers with "
            f"(FrameOfReferenceUID): {AGAIN}."
        )
    matrices = {registered: np.eye(4)}
    said: set[str] = set()
    for item in dataset.get("RegistrationSequence") or []:
        frame = str(item.get(FRAME) or "")
        if not frame:  # names images only
            continue
        matrix = _matrix(item, path, progress)
        if frame in said | {registered} and not same_place(matrix, matrices[frame]):
            raise SyntheticCTError(
                f"The registration {path} gives several matrices for one frame of reference, so "
                f"that it is not known which holds: {AGAIN}."
            )
        said.add(frame)
        matrices[frame] = matrix
    return SpatialRegistration(path, registered, matrices)


def _matrix(item: Dataset, path: Path, progress: Progress) -> np.ndarray:
    """What takes points of the item's frame into the registered one (4 x 4)."""
    steps = [
        step
        for one in item.get("MatrixRegistrationSequence") or []
        for step in one.get("MatrixSequence") or []
    ]
    if not steps or len(item.MatrixRegistrationSequence) > 1:
        raise SyntheticCTError(
            f"The registration {path} has not exactly one list of matrices for a frame of "
            f"reference: {AGAIN}."
        )
    factors = [matrix_of(step, path) for step in steps]
    matrix = reduce(np.matmul, reversed(factors))  # the first is applied first (C.20.2-2)
    if not same_place(matrix, reduce(np.matmul, factors)):
        progress.warn(
            f"The registration {path} has several matrices whose order matters; the first was "
            "applied first, as DICOM says, but there are programs that do it the other way: check "
            "where the structures lie."
        )
    return matrix
