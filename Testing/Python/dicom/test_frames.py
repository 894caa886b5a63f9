"""Enhanced files that hold several volumes: parts by what the frames say, each by its scaling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import dataset, save_dicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.reading import read_volume

STORED = np.random.default_rng(3).integers(1, 900, (4, 6, 7)).astype(np.uint16)
AXIAL, CORONAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]


def inside(**elements: object) -> Sequence:
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return Sequence([item])


def kind(*words: str, **more: object) -> dict:
    return {"MRImageFrameTypeSequence": inside(FrameType=list(words), **more)}


def write(path: Path, *said: dict, scale: list[float] | None = None) -> Path:
    """One file that holds ``STORED`` + 1000 n for each of ``said`` (groups), frames interleaved."""
    ds = dataset(path, EnhancedMRImageStorage, "MR")
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription = "1.2.9", 7, "enhanced"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER", "NONE"]
    ds.NumberOfFrames, (ds.Rows, ds.Columns) = len(said) * len(STORED), STORED.shape[1:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.SharedFunctionalGroupsSequence = inside(
        PixelMeasuresSequence=inside(PixelSpacing=[1.2, 0.8], SliceThickness=3),
    )
    frames, planes = [], []
    for k, plane in enumerate(STORED):
        for number, groups in enumerate(said):
            axes = groups.get("axes", AXIAL)
            normal = np.cross(axes[:3], axes[3:])
            frame = inside(
                PlanePositionSequence=inside(
                    ImagePositionPatient=[*(np.array([-10.0, 20.0, 30.0]) + 3 * k * normal)]
                ),
                PlaneOrientationSequence=inside(ImageOrientationPatient=axes),
            )[0]
            for name, value in groups.items():
                if name != "axes":
                    setattr(frame, name, value)
            if scale:
                own = Dataset()
                block = own.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
                block.add_new(0x0D, "FL", 0.0)
                block.add_new(0x0E, "FL", scale[k])
                outer = frame.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
                outer.add_new(0x0F, "SQ", Sequence([own]))
            frames.append(frame)
            planes.append((plane + 1000 * number) * (scale[k] if scale else 1))
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    ds.PixelData = np.stack(planes).astype("<u2").tobytes()
    save_dicom(ds, path)
    return path


SPLIT = {
    "echoes": ([{"MREchoSequence": inside(EffectiveEchoTime=t)} for t in (20.0, 100.0)],
               ["TE 20", "TE 100"]),
    "b-values": ([{"MRDiffusionSequence": inside(DiffusionBValue=b)} for b in (0.0, 800.0)],
                 ["b 0", "b 800"]),
    "moments": ([{"FrameContentSequence": inside(TemporalPositionIndex=n)} for n in (1, 2)],
                ["time 1", "time 2"]),
    "mDixon": ([kind("ORIGINAL", "PRIMARY", w, "NONE") for w in ("WATER", "FAT", "IN_PHASE")],
               ["WATER", "FAT", "IN_PHASE"]),
    "stacks": ([{"FrameContentSequence": inside(StackID=s)} for s in ("1", "2")],
               ["stack 1", "stack 2"]),
    "planes": ([{}, {"axes": CORONAL}], ["axial", "coronal"]),
}  # fmt: skip


@pytest.mark.parametrize("what", SPLIT)
def test_a_reader_names_the_part_of_a_file(tmp_path, what):
    said, names = SPLIT[what]
    path = write(tmp_path / "e.dcm", *said)
    for number, name in enumerate(names):
        for given in (f"{path}#{name.lower()}", f"{tmp_path}#7#{name}"):
            image = read_volume(given, "MR")
            np.testing.assert_array_equal(sitk.GetArrayFromImage(image), STORED + 1000 * number)
    for given in (path, tmp_path):
        with pytest.raises(SyntheticCTError) as told:
            read_volume(given, "MR")
        assert all(f"'{name}' (4 frames)" in str(told.value) for name in names)
        assert f"'{path}#{names[0]}'" in str(told.value)
    with pytest.raises(SyntheticCTError, match="has no part 'nonsense' among"):
        read_volume(f"{path}#nonsense", "MR")


@pytest.mark.parametrize("said", ["FrameType", "component"])
def test_phase_real_and_imaginary_images_are_not_the_mr(tmp_path, said):
    names = {"M": "MAGNITUDE", "P": "PHASE", "R": "REAL", "I": "IMAGINARY"}
    groups = [
        kind("ORIGINAL", "PRIMARY", short, "NONE")
        if said == "FrameType"
        else kind("ORIGINAL", "PRIMARY", "OTHER", "NONE", ComplexImageComponent=name)
        for short, name in names.items()
    ]
    path = write(tmp_path / "e.dcm", *groups)
    progress = NotedProgress(Progress())
    image = read_volume(path, "MR", progress)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), STORED)
    assert any("the only one that is of magnitude" in warning for warning in progress.warnings)
    phase = "P" if said == "FrameType" else "PHASE"
    for given in (f"{path}#{phase}", write(tmp_path / "p.dcm", groups[1])):
        with pytest.raises(SyntheticCTError, match="holds phase images and not magnitude"):
            read_volume(given, "MR")


def test_frames_have_the_scale_slope_of_philips(tmp_path):
    path = write(tmp_path / "e.dcm", {}, scale=[1.0, 2.0, 4.0, 3.0])
    np.testing.assert_allclose(sitk.GetArrayFromImage(read_volume(path, "MR")), STORED)


def test_a_file_that_is_no_dicom_has_no_parts(tmp_path):
    image = sitk.GetImageFromArray(STORED)
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(SyntheticCTError, match=r"a\.nrrd is no DICOM file and has no part 'x'"):
        read_volume(f"{tmp_path / 'a.nrrd'}#x", "MR")
