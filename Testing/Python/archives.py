"""Small folders as archives export them, of patients that do not exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from dicom_files import dataset, save_dicom, write_series
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    MRImageStorage,
    RTDoseStorage,
    RTPlanStorage,
    RTStructureSetStorage,
    generate_uid,
)

BULK = (-968, -86, 42, 198, 949)
CT = {"Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "KVP": "120"}
MR = {"Modality": "MR", "ImageType": ["ORIGINAL", "PRIMARY", "M"]}
T2 = MR | {
    "SeriesDescription": "t2_tse_tra",
    "ScanningSequence": "SE",
    "EchoTime": "104",
    "RepetitionTime": "5660",
}
MRCAT = {"Modality": "MR", "ImageType": ["DERIVED", "SECONDARY"], "SeriesDescription": "sAX"}


def mdixon(kind: str, **more: object) -> dict:
    return MR | {"ImageType": ["DERIVED", "PRIMARY", kind, kind, "DERIVED"]} | more


class Patient:
    """Writes the files of one patient, wherever they are wanted."""

    def __init__(self, name: str = "Quastenflosser^Wilhelmine", number: str = "Q83715") -> None:
        self.header = {"PatientName": name, "PatientID": number, "PatientBirthDate": "19480229"}
        self.study = generate_uid()
        self._random = np.random.default_rng(len(name))

    def image(
        self,
        folder: Path,
        header: dict,
        *,
        series: str = "",
        frame: str = "",
        values: np.ndarray | None = None,
        prefix: str = "IM",
        **geometry: object,
    ) -> list[Path]:
        """Write a series of five slices, and return its files."""
        series, frame = series or generate_uid(), frame or generate_uid()
        if values is None:
            values = self._random.integers(0, 1500, (5, 6, 7))
        names = [f"{prefix}{k}.dcm" for k in range(len(values))]
        header = {"SeriesDescription": ""} | header
        paths = write_series(
            folder, (values + 1024).astype(np.uint16), names=names, **{"thickness": 3.0} | geometry
        )
        storage = MRImageStorage if header["Modality"] == "MR" else CTImageStorage
        for path in paths:
            said = {
                "SOPClassUID": storage,
                "SeriesInstanceUID": series,
                "StudyInstanceUID": self.study,
            }
            self._change(path, self.header | said | {"FrameOfReferenceUID": frame} | header)
        return paths

    def mrcat(self, folder: Path, header: dict = MRCAT, **more: object) -> list[Path]:
        """Write an image of MRCAT's five values."""
        values = np.array(BULK)[self._random.integers(0, 5, (5, 6, 7))]
        return self.image(folder, header, values=values, **more)

    def rtstruct(self, path: Path, images: list[Path], **header: object) -> Path:
        """Write a structure set that refers to images."""
        ds = self._rt(
            path, RTStructureSetStorage, "RTSTRUCT", **({"StructureSetLabel": "S"} | header)
        )
        first = pydicom.dcmread(images[0], stop_before_pixels=True)
        frame, study, series = Dataset(), Dataset(), Dataset()
        frame.FrameOfReferenceUID = first.FrameOfReferenceUID
        study.ReferencedSOPInstanceUID = first.StudyInstanceUID
        series.SeriesInstanceUID = first.SeriesInstanceUID
        series.ContourImageSequence = Sequence(map(_reference, images))
        study.RTReferencedSeriesSequence = Sequence([series])
        frame.RTReferencedStudySequence = Sequence([study])
        ds.ReferencedFrameOfReferenceSequence = Sequence([frame])
        save_dicom(ds, path)
        return path

    def rtplan(self, path: Path, structures: Path, *doses_gy: float) -> Path:
        """Write a plan that refers to a structure set."""
        ds = self._rt(path, RTPlanStorage, "RTPLAN", RTPlanLabel="P")
        ds.ReferencedStructureSetSequence = Sequence([_reference(structures)])
        ds.DoseReferenceSequence = Sequence()
        for dose in doses_gy:
            target = Dataset()
            target.DoseReferenceType, target.TargetPrescriptionDose = "TARGET", str(dose)
            ds.DoseReferenceSequence.append(target)
        save_dicom(ds, path)
        return path

    def rtdose(self, path: Path, plan: Path, summation: str = "PLAN") -> Path:
        """Write a dose (without pixels) that refers to a plan."""
        ds = self._rt(path, RTDoseStorage, "RTDOSE", DoseUnits="GY", DoseSummationType=summation)
        ds.ReferencedRTPlanSequence = Sequence([_reference(plan)])
        save_dicom(ds, path)
        return path

    def _rt(self, path: Path, storage: str, modality: str, **header: object) -> Dataset:
        path.parent.mkdir(parents=True, exist_ok=True)
        ds = dataset(path, storage, modality)
        values = self.header | {"StudyInstanceUID": self.study, "SeriesInstanceUID": generate_uid()}
        for name, value in (values | header).items():
            setattr(ds, name, value)
        return ds

    @staticmethod
    def _change(path: Path, values: dict) -> None:
        ds = pydicom.dcmread(path)
        for name, value in values.items():
            setattr(ds, name, value)
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.save_as(path)


def _reference(path: Path) -> Dataset:
    own = pydicom.dcmread(path, stop_before_pixels=True)
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = own.SOPClassUID, own.SOPInstanceUID
    return item


def whole_patient(
    folder: Path, patient: Patient | None = None, prefix: str = "A"
) -> dict[str, list]:
    """Write all that a study has of a patient into one folder; return its files by what it is."""
    who = patient or Patient()
    frame = generate_uid()
    files: dict[str, list] = {
        "CT": who.image(folder, CT, prefix=f"{prefix}ct"),
        "MR T2": who.image(folder, T2, frame=frame, prefix=f"{prefix}t2"),
        "MRCAT": who.mrcat(folder, frame=frame, prefix=f"{prefix}cat"),
        "localizer": who.image(
            folder, MR | {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, prefix=f"{prefix}loc"
        ),
    }
    series = generate_uid()
    for kind in ("W", "F", "IP", "OP"):
        files[kind] = who.image(
            folder, mdixon(kind), series=series, frame=frame, prefix=f"{prefix}{kind}"
        )
    structures = who.rtstruct(folder / f"{prefix}rs.dcm", files["CT"])
    plan = who.rtplan(folder / f"{prefix}rp.dcm", structures, 50.4)
    dose = who.rtdose(folder / f"{prefix}rd.dcm", plan)
    return files | {"RTSTRUCT": [structures], "RTPLAN": [plan], "RTDOSE": [dose]}
