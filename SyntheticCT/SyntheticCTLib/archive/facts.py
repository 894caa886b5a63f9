"""What one file of an archive says, without names: kept in the index from run to run."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.dicom.contrast import contrast_of, image_type
from SyntheticCTLib.dicom.frames import GROUPS, flat
from SyntheticCTLib.dicom.headers import (
    DicomSlice,
    holds_images,
    is_of,
    numbers,
    read_header,
    slice_of,
)
from SyntheticCTLib.dicom.scaling import rescale_of

from .persons import Person, person_of, without_names

if TYPE_CHECKING:
    import pydicom

IMAGE, OTHER, DIRECTORY, FOREIGN, DAMAGED = "image", "other", "DICOMDIR", "no DICOM", "damaged"
RT = ("RTSTRUCT", "RTPLAN", "RTDOSE")
"""Kinds of files: these, or the modality of an RT object."""

_TEXTS = (
    *("SeriesDescription", "ProtocolName", "SequenceName", "DerivationDescription"),
    *("ImageComments", "ManufacturerModelName", "SoftwareVersions"),
)
_LABELS = {"RTSTRUCT": "StructureSetLabel", "RTPLAN": "RTPlanLabel", "RTDOSE": "SeriesDescription"}
_NUMBERS = ("EchoTime", "EffectiveEchoTime", "RepetitionTime", "InversionTime", "KVP")
_WORDS = (
    *("ScanningSequence", "ScanOptions", "ConvolutionKernel"),
    "SpectrallySelectedSuppression",
)
_REFERENCES = (
    *("ReferencedFrameOfReferenceSequence", "ReferencedStructureSetSequence"),
    *("ReferencedRTPlanSequence", "ReferencedImageSequence"),
)
_TAGS = [
    *("SOPInstanceUID", "IssuerOfPatientID", "BitsAllocated", "SamplesPerPixel", "DoseUnits"),
    *("DoseSummationType", "StructureSetLabel", "RTPlanLabel", "DirectoryRecordSequence"),
    *(*_TEXTS, *_NUMBERS, *_WORDS, *GROUPS, *_REFERENCES),
]
_SUFFIXES = (".dcm", ".dicom", ".ima")
_KEPT = 3  # instances that an RTSTRUCT refers to, by which a part of a series is known


@dataclass(frozen=True)
class Facts:
    """What a file says; for frames of an enhanced file, ``frames`` holds what each says.

    Attributes:
        kind: see :data:`IMAGE` and the others.
        person: number among the persons of the run.
        texts: what is written about the series, names taken out, by element.
        values: of elements that decide on roles.
        refers: UIDs by "series", "instances", "frames", "structures", "plans".
        listed: files that a DICOMDIR lists.
        binary: of a file that is no DICOM, whether it holds anything but text.
        problem: why the file cannot be used, without its name.
    """

    kind: str
    person: int = -1
    instance: str = ""
    series: str = ""
    study: str = ""
    number: str = ""
    modality: str = ""
    frame: str = ""
    texts: dict[str, str] | None = None
    values: dict[str, Any] | None = None
    type: tuple[str, ...] = ()
    localizer: bool = False
    orientation: tuple[float, ...] | None = None
    position: tuple[float, ...] | None = None
    layout: tuple[float, ...] | None = None
    rescale: tuple[float, ...] = (1.0, 0.0)
    scaling: str = ""
    contrast: tuple[str, ...] = ()
    tilt: float = 0.0
    frames: tuple[tuple, ...] = ()
    refers: dict[str, list[str]] | None = None
    listed: tuple[str, ...] = ()
    binary: bool = False
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what differs from the defaults."""
        return {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) != item.default
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Facts:
        """Return the facts that :meth:`as_json` gave."""
        frozen = {name: value if isinstance(value, dict) else _frozen(value)
                  for name, value in content.items()}  # fmt: skip
        return cls(**frozen)

    def text(self, name: str) -> str:
        return (self.texts or {}).get(name, "")

    def slices(self, name: str) -> list[DicomSlice]:
        """Return the slice, or the frames, of an image file, under a name that tells nothing."""
        first = DicomSlice(
            path=Path(name),
            series=self.series,
            number=self.number,
            description=self.text("SeriesDescription"),
            modality=self.modality,
            localizer=self.localizer,
            patient=(),
            study=self.study,
            frame=self.frame,
            orientation=_tuple(self.orientation),
            position=_tuple(self.position),
            layout=_tuple(self.layout),
            rescale=tuple(self.rescale),
            scaling=self.scaling,
            frames=1,
            contrast=tuple(self.contrast),
            tilt=self.tilt,
        )
        return [
            replace(
                first,
                path=Path(f"frame {number + 1}"),
                position=_tuple(position),
                orientation=_tuple(orientation),
                layout=_tuple(layout),
                contrast=tuple(contrast),
            )
            for number, (position, orientation, layout, contrast) in enumerate(self.frames)
        ] or [first]


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _tuple(values: Any) -> tuple | None:
    return tuple(values) if values else None


def facts_of(path: Path) -> tuple[Facts, Person | None]:
    """Return what a file says, and of whom it is; that of files without a patient is None."""
    header = read_header(path, tags=_TAGS)
    if header is None:
        return _no_header(path), None
    if path.name.upper() == "DICOMDIR" or "DirectoryRecordSequence" in header:
        return Facts(DIRECTORY, listed=_listed(header)), None
    person = person_of(header)
    kind = next((kind for kind in RT if is_of(header, kind)), OTHER)
    if kind == OTHER and holds_images(header):
        kind = IMAGE
    facts = Facts(
        kind,
        instance=_uid(header, "SOPInstanceUID"),
        series=_uid(header, "SeriesInstanceUID"),
        study=_uid(header, "StudyInstanceUID"),
        frame=_uid(header, "FrameOfReferenceUID"),
        number=str(header.get("SeriesNumber") or "").strip(),
        modality=str(header.get("Modality", "")).strip() or (kind if kind in RT else ""),
        texts=_texts(header, kind, person),
    )
    if kind == IMAGE:
        return _image(facts, header, path), person
    if kind in RT:
        values = {n: str(header.get(n)) for n in ("DoseUnits", "DoseSummationType") if n in header}
        facts = replace(facts, refers=_references(header), values=values)
    return facts, person


def _no_header(path: Path) -> Facts:
    try:
        with path.open("rb") as file:
            beginning = file.read(1024)
    except OSError as error:
        return Facts(DAMAGED, problem=f"cannot be opened ({error.strerror})")
    empty = not beginning
    dicom = beginning[128:132] == b"DICM" or path.suffix.lower() in _SUFFIXES
    if dicom:
        return Facts(DAMAGED, problem="is empty" if empty else "is damaged or no DICOM file")
    return Facts(FOREIGN, binary=empty or b"\0" in beginning)


def _image(facts: Facts, header: pydicom.Dataset, path: Path) -> Facts:
    """The facts of an image: its place, contrast and physics, and what keeps it from use."""
    what, problem = facts.modality or "image", ""
    nameless = Path("of this series")
    try:
        item = slice_of(header, nameless, what)
    except SyntheticCTError as error:
        if "Rows" not in header or "Columns" not in header:
            return replace(facts, kind=DAMAGED, problem="breaks off in its header")
        problem = str(error)
        for name in ("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"):
            if name in header:
                delattr(header, name)
        item = slice_of(header, nameless, what)
    if _too_short(header, path, item.frames):
        return replace(facts, kind=DAMAGED, problem="is shorter than its pixels")
    frames = [flat(header, number) for number in range(item.frames)] if item.frames > 1 else []
    # The values that are looked at are of the middle frame, as they are displayed.
    middle = frames[len(frames) // 2] if frames else header
    try:
        rescale = rescale_of(middle, nameless, what, "")
    except SyntheticCTError as error:
        rescale, problem = (1.0, 0.0), problem or str(error)
    if rescale == (1.0, 0.0):  # what the file says is of all frames that say nothing
        rescale = rescale_of(header, nameless, what, "")
    values = _values(frames[0] if frames else header) | _values(header)
    words, size = image_type(header), (int(header.Rows), int(header.Columns))
    return replace(
        facts,
        problem=problem,
        values=values,
        type=tuple(words + [w for frame in frames[:1] for w in image_type(frame)]),
        localizer=item.localizer,
        orientation=item.orientation,
        position=item.position,
        layout=item.layout,
        rescale=rescale,
        scaling=item.scaling,
        contrast=item.contrast,
        tilt=item.tilt,
        frames=tuple(_frame(frame, item, size) for frame in frames),
    )


def _too_short(header: pydicom.Dataset, path: Path, frames: int) -> bool:
    """Whether a file with plain pixels is shorter than they are."""
    syntax = header.file_meta.get("TransferSyntaxUID")
    deflated = str(syntax) == "1.2.840.10008.1.2.1.99"
    if syntax is not None and (syntax.is_encapsulated or deflated):
        return False
    bits = int(header.get("BitsAllocated") or 0) * int(header.get("SamplesPerPixel") or 1)
    pixels = int(header.Rows) * int(header.Columns) * frames * bits // 8
    begins = 8 if syntax is None or syntax.is_implicit_VR else 12  # tag, VR and length
    return path.stat().st_size < header.pixels_at + begins + pixels


def _frame(flat: pydicom.Dataset, shared: DicomSlice, size: tuple[int, int]) -> tuple:
    spacing = numbers(flat, "PixelSpacing", 2)
    layout = shared.layout
    if spacing and min(spacing) > 0:
        layout = (*size, *spacing)
    return (
        numbers(flat, "ImagePositionPatient", 3),
        numbers(flat, "ImageOrientationPatient", 6),
        layout,
        contrast_of(flat),
    )


def _values(header: pydicom.Dataset) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _NUMBERS:
        try:
            found[name] = float(header.get(name))
        except (TypeError, ValueError):
            continue
    for name in _WORDS:
        value = header.get(name) or []
        words = [value] if isinstance(value, str) else list(value)
        if any(words):
            found[name] = [str(word) for word in words]
    if "EchoTime" not in found and "EffectiveEchoTime" in found:
        found["EchoTime"] = found["EffectiveEchoTime"]
    return found


def _texts(header: pydicom.Dataset, kind: str, person: Person) -> dict[str, str]:
    names = [*_TEXTS, *([_LABELS[kind]] if kind in _LABELS else [])]
    found = {}
    for name in dict.fromkeys(names):
        value = header.get(name) or ""
        text = " ".join(" ".join([value] if isinstance(value, str) else map(str, value)).split())
        if text:
            key = "SeriesDescription" if kind in RT and name == _LABELS[kind] else name
            found[key] = without_names(text[:200], [person])
    return found


def _references(header: pydicom.Dataset) -> dict[str, list[str]]:
    refers: dict[str, list[str]] = {}

    def note(what: str, item: pydicom.Dataset, element: str) -> None:
        uid = _uid(item, element)
        kept = refers.setdefault(what, [])
        if uid and uid not in kept and (what != "instances" or len(kept) < _KEPT):
            kept.append(uid)

    for frame in header.get("ReferencedFrameOfReferenceSequence") or []:
        note("frames", frame, "FrameOfReferenceUID")
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                note("series", series, "SeriesInstanceUID")
                for image in series.get("ContourImageSequence") or []:
                    note("instances", image, "ReferencedSOPInstanceUID")
    for what, sequence in (
        ("instances", "ReferencedImageSequence"),
        ("structures", "ReferencedStructureSetSequence"),
        ("plans", "ReferencedRTPlanSequence"),
    ):
        for item in header.get(sequence) or []:
            note(what, item, "ReferencedSOPInstanceUID")
    return {what: uids for what, uids in refers.items() if uids}


def _listed(header: pydicom.Dataset) -> tuple[str, ...]:
    found = []
    for record in header.get("DirectoryRecordSequence") or []:
        name = record.get("ReferencedFileID")
        if name:
            found.append("/".join([name] if isinstance(name, str) else list(name)))
    return tuple(found)


def _uid(header: pydicom.Dataset, name: str) -> str:
    return str(header.get(name) or "").strip("\0 ")
