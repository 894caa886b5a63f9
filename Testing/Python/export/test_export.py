"""What ``synthetic-ct export`` writes, held against dciodvfy, DCMTK, SimpleITK and pydicom."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import edit, write_series
from mr_series import FRAME, GRID, OBLIQUE, STUDY, dumped, judged, mr_and_sct, write_mr
from structure_files import rtplan, rtstruct, square
from SyntheticCTEvalLib.dose.reading import read_dose
from SyntheticCTEvalLib.structures.reading import read_structures
from SyntheticCTLib import __version__
from SyntheticCTLib.basics.progress import SILENT, NotedProgress
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.dicom.headers import read_header
from SyntheticCTLib.volumes.grids import grid_of, same_grid
from SyntheticCTLib.volumes.marks import OUTSIDE_KEY, is_synthetic, keep_marks, label_synthetic
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main

_, SCT = mr_and_sct()


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Every test in a folder of its own, with an MR in mr and its synthetic CT in sct.nrrd."""
    monkeypatch.chdir(tmp_path)
    return make(tmp_path)


def make(folder, grid=GRID, **elements):
    mr, sct = mr_and_sct(grid)
    write_mr(folder / "mr", mr, **elements)
    write_volume(sct, folder / "sct.nrrd")
    return folder


def export(*more, sct="sct.nrrd", like="mr", output="out") -> int:
    return main(["export", sct, "--like", like, "--output", output, *map(str, more)])


def refused(capsys, *more, **named) -> str:
    capsys.readouterr()
    assert export(*more, **named) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return " ".join(error.split())


def by_simpleitk(folder) -> sitk.Image:
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    return sitk.ReadImage([name for name in names if "CT_" in name])


def slices(folder) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.glob("CT_*.dcm"))]


def moved(sct, by_mm, name) -> None:
    image = sitk.GetImageFromArray(sitk.GetArrayFromImage(sct))
    image.CopyInformation(sct)
    x, y, z = sct.GetOrigin()
    image.SetOrigin((x + by_mm, y, z))
    write_volume(keep_marks(image, SCT), name)


def test_slices_say_whose_they_are_and_what_they_are(place):
    assert export() == 0
    assert [p.name for p in sorted((place / "out").iterdir())] == [
        f"CT_{n:04}.dcm" for n in range(1, 13)
    ]
    mr = [pydicom.dcmread(path) for path in sorted((place / "mr").iterdir())]
    found = slices(place / "out")
    first = found[0]
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"):
        assert first[name].value == mr[0][name].value
    assert (first.StudyInstanceUID, first.FrameOfReferenceUID) == (STUDY, FRAME)
    assert (first.PatientPosition, first.Modality) == ("HFS", "CT")
    assert first.SeriesInstanceUID != mr[0].SeriesInstanceUID
    assert len({ds.SOPInstanceUID for ds in found} | {ds.SOPInstanceUID for ds in mr}) == 24
    assert list(first.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert (first.RescaleSlope, first.RescaleIntercept, first.RescaleType) == (1, -1024, "HU")
    assert (first.BitsAllocated, first.PixelRepresentation) == (16, 1)
    assert {item.ReferencedSOPInstanceUID for item in first.SourceImageSequence} == {
        ds.SOPInstanceUID for ds in mr
    }
    assert "SYNTHETIC CT" in first.SeriesDescription
    for word in ("abcdef0123", "T2w TSE, female pelvis", __version__, "not a medical device"):
        assert word in first.DerivationDescription
    assert first.ManufacturerModelName == f"SyntheticCT {__version__}"
    assert first.ContributingEquipmentSequence[0].Manufacturer == "Scanners"
    assert (first.BurnedInAnnotation, first.KVP) == ("NO", None)
    assert "LossyImageCompression" not in first
    assert [int(ds.InstanceNumber) for ds in found] == list(range(1, 13))
    # Taken for unsigned, or as 12 bits, stored values are the same.
    assert min(ds.pixel_array.min() for ds in found) >= 0
    assert max(ds.pixel_array.max() for ds in found) < 4096


def test_independent_readers_give_back_every_voxel_and_its_place(place):
    assert export() == 0
    sct = sitk.ReadImage("sct.nrrd")
    for image in (by_simpleitk("out"), read_volume("out", "CT")):
        assert same_grid(image, sct)
        assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(sct))
    for number, ds in enumerate(slices(place / "out")):
        values = ds.pixel_array * ds.RescaleSlope + ds.RescaleIntercept
        assert np.array_equal(values, sitk.GetArrayViewFromImage(sct)[number])
        where = sct.TransformIndexToPhysicalPoint((0, 0, number))
        assert list(ds.ImagePositionPatient) == pytest.approx(where, abs=1e-9)
        assert list(ds.PixelSpacing) == pytest.approx([5.0, 5.0])
        assert ds.SliceThickness == 4


def test_validators_find_no_error(place):
    sct = sitk.ReadImage("sct.nrrd")
    write_volume(sitk.Cast(sct > 300, sitk.sitkUInt8), "core.nrrd")
    write_volume(sitk.Cast(sct > -500, sitk.sitkFloat32) * 45.6, "dose.nrrd")
    assert export("--body", "auto", "--structures", "core.nrrd", "--dose", "dose.nrrd") == 0
    for name in ("CT_0001", "CT_0012", "RTSTRUCT", "RTDOSE"):
        path = place / "out" / f"{name}.dcm"
        assert judged(path) == [], name
        assert FRAME in dumped(path)


@pytest.mark.parametrize("elements", [{"BodyPartExamined": "PELVIS"}, {"BodyPartExamined": "HIP"}])
def test_validators_find_no_error_with_little_or_other_in_the_mr(tmp_path, elements):
    make(
        tmp_path,
        **elements,
        PatientBirthDate=None,
        StudyID=None,
        ReferringPhysicianName=None,
        AccessionNumber=None,
        PositionReferenceIndicator=None,
        PatientPosition="FFP",
        LossyImageCompression="01",
        LossyImageCompressionRatio="8.5",
        LossyImageCompressionMethod="ISO_15444_1",
    )
    assert export("--kvp", "120") == 0
    assert judged(tmp_path / "out" / "CT_0002.dcm") == []
    first = slices(tmp_path / "out")[0]
    assert (first.LossyImageCompression, first.LossyImageCompressionRatio) == ("01", 8.5)
    assert first.AccessionNumber == ""
    assert first.KVP == 120
    # Of the prone, rows run to the right; every voxel stays where it was.
    assert list(first.ImageOrientationPatient) == [-1, 0, 0, 0, -1, 0]
    back = sitk.DICOMOrient(by_simpleitk("out"), "LPS")
    assert same_grid(back, sitk.ReadImage("sct.nrrd"))
    assert np.array_equal(
        sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(sitk.ReadImage("sct.nrrd"))
    )


def test_seeded_uids_depend_on_the_content_alone(place):
    sct = sitk.ReadImage("sct.nrrd")
    write_volume(sitk.Cast(sct > -500, sitk.sitkFloat32) * 45.6, "dose.nrrd")
    more = ("--seed-uids", "--body", "auto", "--dose", "dose.nrrd")
    assert export(*more, output="one") == 0
    assert export(*more, output="two") == 0
    files = sorted(p.name for p in (place / "one").iterdir())
    assert "RTSTRUCT.dcm" in files
    for name in files:
        assert (place / "one" / name).read_bytes() == (place / "two" / name).read_bytes()
    uids = [pydicom.dcmread(place / "one" / name).SOPInstanceUID for name in files]
    assert len(set(uids)) == len(files)
    sct[3, 3, 3] += 1
    write_volume(sct, "sct.nrrd")
    assert export(*more, output="three") == 0
    assert export(output="four") == 0
    others = [pydicom.dcmread(path).SOPInstanceUID for path in (place / "three").iterdir()]
    others += [ds.SOPInstanceUID for ds in slices(place / "four")]
    assert not set(uids) & set(others)


def test_an_oblique_volume_becomes_axial_slices_and_says_so(tmp_path, capsys):
    make(tmp_path, grid_of((32, 28, 12), (5.0, 5.0, 4.0), (-80.0, -70.0, 12.0), OBLIQUE))
    assert export("--body", "auto") == 0
    assert "resampled to axial slices" in " ".join(capsys.readouterr().err.split())
    image, sct = by_simpleitk("out"), sitk.ReadImage("sct.nrrd")
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert image.GetSpacing() == pytest.approx((5, 5, 4))
    assert judged(tmp_path / "out" / "CT_0005.dcm") == []
    first = slices(tmp_path / "out")[0]
    assert "Resampled to axial slices" in first.DerivationDescription
    assert first.DerivationCodeSequence[0].CodeValue == "113085"
    structures = read_structures("out/RTSTRUCT.dcm", read_volume("out", "CT"))
    volume = sitk.GetArrayViewFromImage(structures["BODY"]).sum() * np.prod(
        structures["BODY"].GetSpacing()
    )
    own = body_contour(sct, "CT")
    assert volume == pytest.approx(sitk.GetArrayViewFromImage(own).sum() * 100, rel=0.02)
    # Well inside the core and well outside it is what it was there before.
    for index in ((16, 14, 6), (17, 13, 5), (2, 2, 6)):
        there = image.TransformPhysicalPointToIndex(sct.TransformIndexToPhysicalPoint(index))
        assert image[there] == pytest.approx(sct[index], abs=15)
    # The whole of it is there: every corner, and so the volume of its body.
    body = [
        np.count_nonzero(sitk.GetArrayViewFromImage(one) > -480) * np.prod(one.GetSpacing())
        for one in (image, sct)
    ]
    assert body[0] == pytest.approx(body[1], rel=0.02)


@pytest.mark.parametrize(
    "direction",
    [(0, 0, 1, 1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, 1, 0, -1, 0), (-1, 0, 0, 0, -1, 0, 0, 0, 1)],
)
def test_slices_along_another_axis_are_reordered_and_not_resampled(tmp_path, direction):
    make(tmp_path, grid_of((26, 30, 22), (5.0, 5.0, 5.0), (-80.0, -70.0, 12.0), direction))
    assert export() == 0
    image, sct = by_simpleitk("out"), sitk.ReadImage("sct.nrrd")
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    turned = sitk.DICOMOrient(sct, "LPS")
    assert same_grid(image, turned)
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(turned))
    assert "Resampled" not in slices(tmp_path / "out")[0].DerivationDescription


def test_pixels_become_square_and_not_too_many(tmp_path, capsys):
    make(tmp_path, grid_of((32, 28, 12), (5.0, 6.0, 4.0), (-80.0, -70.0, 12.0)))
    assert export() == 0
    assert by_simpleitk("out").GetSpacing() == pytest.approx((5, 5, 4))
    assert export("--spacing", "4", "8") == 0
    assert by_simpleitk("out").GetSpacing() == pytest.approx((4, 4, 8))
    assert len(list((tmp_path / "out").iterdir())) == 6  # and none of the earlier ones
    assert export("--largest", "20") == 0
    with pytest.raises(SystemExit, match="2"):
        export("--largest", "1")
    assert "'1' is not a number of pixels from 16" in capsys.readouterr().err
    assert max(by_simpleitk("out").GetSize()[:2]) <= 20
    assert "--largest" in refused(capsys, "--spacing", "0.2", "4")


def test_body_and_structures_return_within_half_a_pixel(place):
    sct = sitk.ReadImage("sct.nrrd")
    body = sitk.Cast(sct > -500, sitk.sitkUInt8)
    body[14:17, 14:17, 4:8] = 0  # a hole, and an island in it
    body[15, 15, 4:8] = 1
    write_volume(body, "body.nrrd")
    fine = grid_of((70, 60, 50), (1.0, 1.0, 1.0), (-40.0, -35.0, 15.0))
    k, j, i = np.indices((50, 60, 70))
    ball = (i - 35) ** 2 + (j - 30) ** 2 + (k - 25) ** 2 < 22**2
    mask = sitk.GetImageFromArray(ball.astype(np.uint8))
    mask.CopyInformation(fine)
    write_volume(mask, "ball.nrrd")
    assert export("--body", "body.nrrd", "--structures", "ball.nrrd") == 0
    written = pydicom.dcmread("out/RTSTRUCT.dcm")
    kinds = [item.RTROIInterpretedType for item in written.RTROIObservationsSequence]
    assert kinds == ["EXTERNAL", ""]
    names = [item.ROIName for item in written.StructureSetROISequence]
    assert names == ["BODY", "label 1"]
    assert {
        item.ReferencedSOPInstanceUID
        for roi in written.ROIContourSequence
        for contour in roi.ContourSequence
        for item in contour.ContourImageSequence
    } <= {ds.SOPInstanceUID for ds in slices(place / "out")}
    back = read_structures("out/RTSTRUCT.dcm", read_volume("out", "CT"))
    on_ct = sitk.Resample(back["BODY"], sct, sitk.Transform(), sitk.sitkNearestNeighbor)
    assert np.array_equal(sitk.GetArrayFromImage(on_ct), sitk.GetArrayFromImage(body))
    volumes = [
        np.count_nonzero(sitk.GetArrayViewFromImage(one)) * np.prod(one.GetSpacing())
        for one in (back["label 1"], mask)
    ]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.03)
    # Each point lies half a pixel from the ball's surface or less.
    points = np.concatenate(
        [np.reshape(c.ContourData, (-1, 3)) for c in written.ROIContourSequence[1].ContourSequence]
    ).astype(float)
    radius = np.linalg.norm(points - np.array([-5.0, -5.0, 40.0]), axis=1)
    assert np.abs(radius - 21.7).max() < 1.3


def test_structures_of_another_frame_are_left_out(place, capsys):
    contours = [square(z) for z in (28.125, 32.125, 36.125)]
    path = rtstruct(place / "rs.dcm", {"PTV": contours})
    assert "another frame" in refused(capsys, "--structures", path)
    ds = pydicom.dcmread(path)
    for roi in ds.StructureSetROISequence:
        roi.ReferencedFrameOfReferenceUID = FRAME
        roi.ROIName = "Blase größe 膀胱"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.save_as(path)
    assert export("--structures", path) == 0
    written = pydicom.dcmread("out/RTSTRUCT.dcm")
    assert written.StructureSetROISequence[0].ROIName == "Blase größe 膀胱"
    assert str(written.PatientName) == "Döe^Jane"
    back = read_structures("out/RTSTRUCT.dcm", read_volume("out", "CT"))
    (mask,) = back.values()
    volume = np.count_nonzero(sitk.GetArrayViewFromImage(mask)) * np.prod(mask.GetSpacing())
    assert volume == pytest.approx(20 * 20 * 12, rel=0.05)


def test_a_dose_returns_within_a_step_of_its_scaling(place, capsys):
    sct = sitk.ReadImage("sct.nrrd")
    k, j, i = np.indices(sct.GetSize()[::-1])
    dose = sitk.GetImageFromArray(60 * np.exp(-((i - 15) ** 2 + (j - 13) ** 2) / 90 - k / 9))
    dose.CopyInformation(sct)
    write_volume(sitk.Cast(dose, sitk.sitkFloat32), "dose.nrrd")
    plan = rtplan(place / "plan.dcm", 45.0)
    assert export("--dose", "dose.nrrd", "--plan", plan) == 0
    path = place / "out" / "RTDOSE.dcm"
    written = pydicom.dcmread(path)
    assert (written.DoseUnits, written.DoseSummationType) == ("GY", "PLAN")
    assert written.FrameOfReferenceUID == FRAME
    named = written.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID
    assert named == pydicom.dcmread(plan).SOPInstanceUID
    assert judged(path) == []
    back, step = read_dose(path), float(written.DoseGridScaling)
    assert same_grid(back, sct)
    assert step < 0.001
    error = sitk.GetArrayFromImage(back) - sitk.GetArrayFromImage(dose)
    assert np.abs(error).max() <= step
    # Exported again, the dose keeps its plan; as that of a beam, it is refused.
    assert export("--dose", path, output="again") == 0
    again = pydicom.dcmread("again/RTDOSE.dcm")
    assert again.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID == named
    written.DoseSummationType = "BEAM"
    written.save_as("beam.dcm")
    assert "DoseSummationType BEAM" in refused(capsys, "--dose", "beam.dcm")
    written.DoseSummationType, written.FrameOfReferenceUID = "PLAN", "1.2.9"
    written.save_as("elsewhere.dcm")
    assert "frame of reference" in refused(capsys, "--dose", "elsewhere.dcm", output="more")


def of_groups(path, *fractions) -> None:
    """Give a plan fraction groups 1, 2, ... of so many fractions."""
    items = []
    for number, count in enumerate(fractions, start=1):
        item = pydicom.Dataset()
        item.FractionGroupNumber, item.NumberOfFractionsPlanned = number, count
        item.NumberOfBeams, item.NumberOfBrachyApplicationSetups = 0, 0
        items.append(item)
    edit(path, FractionGroupSequence=items)


def summed(folder="out"):
    """Dose summation type, plan and fraction group of the exported dose."""
    assert judged(Path(folder) / "RTDOSE.dcm") == []
    written = pydicom.dcmread(Path(folder) / "RTDOSE.dcm")
    (plan,) = written.ReferencedRTPlanSequence
    groups = plan.get("ReferencedFractionGroupSequence") or [pydicom.Dataset()]
    number = groups[0].get("ReferencedFractionGroupNumber")
    return written.DoseSummationType, plan.ReferencedSOPInstanceUID, number


def test_a_dose_of_a_fraction_group_names_its_group(place, capsys):
    _, sct = mr_and_sct()
    write_volume(sitk.Cast(sct > 0, sitk.sitkFloat32) * 45, "dose.nrrd")
    dose = ("--dose", "dose.nrrd", "--dose-type", "fraction")
    assert "must name its plan" in refused(capsys, *dose)
    plan = rtplan(place / "plan.dcm", 45.0)
    uid = pydicom.dcmread(plan).SOPInstanceUID
    assert "there are none" in refused(capsys, *dose, "--plan", plan)
    of_groups(plan, 25)
    assert export(*dose, "--plan", plan) == 0
    assert summed() == ("FRACTION", uid, 1)
    assert "fractions" not in capsys.readouterr().err
    of_groups(plan, 20, 5)
    assert "there are 1, 2" in refused(capsys, *dose, "--plan", plan)
    assert "which has 1, 2" in refused(capsys, *dose, "--plan", plan, "--fraction-group", 3)
    assert export(*dose, "--plan", plan, "--fraction-group", 2) == 0
    assert summed() == ("FRACTION", uid, 2)
    # Exported again it stays what it is, and does not become the whole plan's.
    mine = ("--dose", place / "out" / "RTDOSE.dcm")
    assert export(*mine, output="again") == 0
    assert summed("again") == ("FRACTION", uid, 2)
    told = refused(capsys, *mine, "--dose-type", "plan", "--plan", plan, output="more")
    assert "FRACTION, not PLAN" in told
    assert "which has 2" in refused(capsys, *mine, "--fraction-group", 1, output="more")
    assert "--dose-type fraction" in refused(
        capsys, "--dose", "dose.nrrd", "--fraction-group", 1, output="more"
    )
    assert "with a dose only" in refused(capsys, "--dose-type", "plan", output="more")


def test_one_fraction_s_dose_is_told_and_a_dose_without_plan_says_so(place, capsys):
    _, sct = mr_and_sct()
    write_volume(sitk.Cast(sct > 0, sitk.sitkFloat32) * 1.9, "dose.nrrd")
    plan = rtplan(place / "plan.dcm", 45.0)
    of_groups(plan, 25)
    for kind, name in (("plan", "PLAN"), ("fraction", "FRACTION")):
        assert export("--dose", "dose.nrrd", "--plan", plan, "--dose-type", kind) == 0
        assert summed()[0] == name
        told = " ".join(capsys.readouterr().err.split())
        assert "reaches 1.9 Gy" in told and "45 Gy in 25 fractions" in told
    assert "DoseComment" not in pydicom.dcmread("out/RTDOSE.dcm")
    assert export("--dose", "dose.nrrd") == 0
    assert summed()[0] == "PLAN"
    assert "not there" in pydicom.dcmread("out/RTDOSE.dcm").DoseComment
    assert "does not name its plan" in " ".join(capsys.readouterr().err.split())


def types(folder="out"):
    """Interpreted types of the exported structures by name."""
    assert judged(Path(folder) / "RTSTRUCT.dcm") == []
    written = pydicom.dcmread(Path(folder) / "RTSTRUCT.dcm")
    names = {item.ROINumber: item.ROIName for item in written.StructureSetROISequence}
    return {
        names[item.ReferencedROINumber]: item.RTROIInterpretedType
        for item in written.RTROIObservationsSequence
    }


def test_types_of_structures_are_kept_or_told_by_their_names(place, capsys):
    contours = [square(z) for z in (28.125, 32.125, 36.125)]
    names = ["PTV_4500", "A", "B", "Skin", "Rectum", "Ring PTV", "Outline", "odd"]
    path = rtstruct(place / "rs.dcm", dict.fromkeys(names, contours))
    ds = pydicom.dcmread(path)
    kinds = {"A": "AVOIDANCE", "B": "CTV", "Skin": "EXTERNAL", "Outline": "EXTERNAL", "odd": "b/d"}
    ds.RTROIObservationsSequence = []
    for roi in ds.StructureSetROISequence:
        roi.ReferencedFrameOfReferenceUID = FRAME
        item = pydicom.Dataset()
        item.ReferencedROINumber = item.ObservationNumber = roi.ROINumber
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            item.RTROIInterpretedType = kinds.get(roi.ROIName, "")
        ds.RTROIObservationsSequence.append(item)
    ds.save_as(path)
    assert export("--structures", path) == 0
    known = {"PTV_4500": "PTV", "A": "AVOIDANCE", "B": "CTV", "Rectum": "ORGAN"}
    known |= {"Ring PTV": "", "Outline": "", "odd": ""}
    assert types() == known | {"Skin": "EXTERNAL"}
    assert "Outline is of the type EXTERNAL" in " ".join(capsys.readouterr().err.split())
    assert export("--structures", path, "--body", "auto") == 0
    assert types() == known | {"Skin": "", "BODY": "EXTERNAL"}
    # A structure set that this program wrote keeps them when it is exported again.
    assert export("--structures", "out/RTSTRUCT.dcm", output="again") == 0
    assert types("again") == types()


def test_only_what_is_synthetic_and_of_this_mr_is_exported(place, capsys):
    sct = sitk.ReadImage("sct.nrrd")
    bare = sitk.GetImageFromArray(sitk.GetArrayFromImage(sct))
    bare.CopyInformation(sct)
    write_volume(bare, "bare.nrrd")
    assert "--not-synthetic" in refused(capsys, sct="bare.nrrd")
    assert export("--not-synthetic", sct="bare.nrrd") == 0
    assert "SYNTHETIC CT (" not in slices(place / "out")[0].SeriesDescription
    moved(sct, 500.0, "far.nrrd")
    assert "field of view" in refused(capsys, sct="far.nrrd", output="far")
    moved(sct, 45.0, "beside.nrrd")
    assert "do not lie on one another" in refused(capsys, sct="beside.nrrd", output="far")
    moved(sct, 4.0, "near.nrrd")
    assert export(sct="near.nrrd", output="near") == 0
    assert "another grid than the MR" in " ".join(capsys.readouterr().err.split())
    assert "no DICOM" in refused(capsys, like="sct.nrrd", output="far")
    assert not (place / "far").exists()


def test_the_mr_of_another_frame_is_refused_though_all_else_is_alike(place, capsys):
    mr, sct = mr_and_sct()
    write_mr(place / "other", mr, FrameOfReferenceUID="1.2.8", PatientName="Roe^Rick")
    write_volume(label_synthetic(sct, "abcdef0123", frame=FRAME), "made.nrrd")
    assert FRAME.encode() not in (place / "made.nrrd").read_bytes()
    assert "another frame of reference" in refused(capsys, sct="made.nrrd", like="other")
    assert export(sct="made.nrrd") == 0


def test_a_plan_of_another_patient_or_of_another_dose_is_refused(place, capsys):
    _, sct = mr_and_sct()
    write_volume(sitk.Cast(sct > 0, sitk.sitkFloat32) * 45, "dose.nrrd")
    plan = rtplan(place / "plan.dcm", 45.0)
    assert export("--dose", "dose.nrrd", "--plan", plan) == 0
    other = rtplan(place / "other.dcm", 45.0)
    dose = place / "out" / "RTDOSE.dcm"
    assert "not the one that the dose" in refused(capsys, "--dose", dose, "--plan", other)
    assert export("--dose", dose, "--plan", plan, output="again") == 0
    for element, words in (("PatientID", "patient ID"), ("FrameOfReferenceUID", "frame of ref")):
        foreign = rtplan(place / "foreign.dcm", 45.0)
        edit(foreign, **{element: "1.2.9.77"})
        told = refused(capsys, "--dose", "dose.nrrd", "--plan", foreign, output="more")
        assert f"another {words}" in told and "1.2.9.77" not in told


@pytest.mark.parametrize("element", ["FrameOfReferenceUID", "StudyInstanceUID"])
def test_an_mr_without_study_or_frame_is_refused(tmp_path, element, capsys):
    make(tmp_path, **{element: None})
    assert element in refused(capsys)


def test_values_that_a_ct_cannot_hold_are_told_or_refused(place, capsys):
    sct = keep_marks(sitk.Cast(sitk.ReadImage("sct.nrrd"), sitk.sitkInt32), SCT)
    sct[0:3, 0, 0] = -3024
    sct[15, 13, 5] = 3500
    write_volume(sct, "sct.nrrd")
    assert export() == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "3 voxels" in told
    assert "12 bits" in told
    assert sitk.GetArrayFromImage(by_simpleitk("out")).min() == -1024
    sct[15, 13, 5] = 40000
    write_volume(sct, "sct.nrrd")
    assert "at most" in refused(capsys)


def test_patients_are_named_nowhere_and_inputs_stay(place, capsys):
    before = [path.read_bytes() for path in sorted((place / "mr").iterdir())]
    assert export("--body", "auto", "--progress", "json") == 0
    told = capsys.readouterr()
    names = " ".join(str(path.relative_to(place)) for path in (place / "out").rglob("*"))
    assert not re.search("Jane|D.e|4711|A-77", told.out + told.err + names)
    assert "inside the input" in refused(capsys, output="mr")
    assert [path.read_bytes() for path in sorted((place / "mr").iterdir())] == before
    write_mr(place / "others", mr_and_sct()[0])
    foreign = (place / "others" / "IM000").rename(place / "others" / "CT_0001.dcm")
    assert "did not write" in refused(capsys, output="others")
    assert foreign.exists()
    (place / "out" / "notes.txt").write_text("mine")
    assert export() == 0
    assert {p.name for p in (place / "out").iterdir()} == {
        "notes.txt",
        *(f"CT_{n:04}.dcm" for n in range(1, 13)),
    }


def test_one_of_several_series_and_a_plan_without_a_dose(place, capsys):
    mr, _ = mr_and_sct()
    for path in write_mr(place / "other", mr, SeriesNumber=7, FrameOfReferenceUID="1.2.8"):
        path.rename(place / "mr" / f"other-{path.name}")
    assert export(like="mr#401") == 0
    assert slices(place / "out")[0].FrameOfReferenceUID == FRAME
    assert export(like="mr#7") == 0
    assert slices(place / "out")[0].FrameOfReferenceUID == "1.2.8"
    assert "--dose" in refused(capsys, "--plan", rtplan(place / "plan.dcm", 45.0), like="mr#7")


def test_which_series_was_taken_is_told_once_and_pixels_are_read_once(place, capsys, monkeypatch):
    write_series(place / "mr", np.zeros((3, 4, 4), np.uint16), description="scout of the CT")
    whole = []

    def read(path, **options):
        whole.append(options.get("whole", False))
        return read_header(path, **options)

    monkeypatch.setattr("SyntheticCTLib.export.source.read_header", read)
    assert export() == 0
    assert " ".join(capsys.readouterr().err.split()).count("holds several series") == 1
    assert sum(whole) == 1


def test_what_is_no_valid_dicom_in_the_mr_is_left_out_and_named_without_its_value(place):
    long = "Janedoe" * 12
    for path in (place / "mr").iterdir():
        ds = pydicom.dcmread(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, value in (("PatientAge", "Doe aged"), ("StudyDate", "Monday")):
                vr = ds[name].VR if name in ds else "AS"
                ds[name] = pydicom.DataElement(name, vr, value, validation_mode=0)
            ds["PatientName"] = pydicom.DataElement("PatientName", "PN", long, validation_mode=0)
            ds.save_as(path)
    command = [sys.executable, "-m", "SyntheticCTLib", "export", "sct.nrrd", "--like", "mr"]
    told = subprocess.run([*command, "--output", "out"], capture_output=True, text=True)
    assert told.returncode == 0
    text = told.stdout + " ".join(told.stderr.split())
    assert "The MR's PatientAge is no valid DICOM" in text
    assert not re.search("Janedoe|aged|Monday", text)
    first = slices(place / "out")[0]
    assert str(first.PatientName) == long
    assert first.StudyDate == ""
    assert "PatientAge" not in first


def test_slices_of_two_frames_are_refused(place, capsys):
    edit(place / "mr" / "IM003", FrameOfReferenceUID="1.2.8")
    assert "more than one frame of reference" in refused(capsys)


def test_a_ct_of_an_mr_outside_the_domain_says_so_where_a_planner_looks_first(place, capsys):
    sct = keep_marks(sitk.Image(SCT), SCT)
    sct.SetMetaData(OUTSIDE_KEY, "The field of view of this MR is small.")
    write_volume(sct, place / "sct.nrrd")
    assert export() == 0
    assert "outside the domain of its model: The field of view" in " ".join(
        capsys.readouterr().err.split()
    )
    first = slices(place / "out")[0]
    assert first.SeriesDescription == "SYNTHETIC CT, OUTSIDE MODEL'S DOMAIN (research use)"
    assert "Outside the model's domain: The field of view" in first.DerivationDescription
    assert not judged(place / "out" / "CT_0001.dcm")
    back = read_volume(place / "out", "candidate")
    assert back.GetMetaData(OUTSIDE_KEY) == sct.GetMetaData(OUTSIDE_KEY)


def test_what_was_exported_is_known_as_synthetic_where_it_is_read(place):
    assert export() == 0
    progress = NotedProgress(SILENT)
    back = read_volume(place / "out", "CT", progress)
    assert is_synthetic(back) and not back.HasMetaDataKey("DerivationDescription")
    assert any("marked as a synthetic CT" in warning for warning in progress.warnings)
    assert not is_synthetic(read_volume(place / "mr", "MR"))
