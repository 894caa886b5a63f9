"""``export --registration``: valid DICOM that takes points where the transform of register does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import edit, write_series
from mr_series import FRAME, STUDY, dumped, judged, mr_and_sct, write_mr
from SyntheticCTEvalLib.structures.spatial_registration import find_registration
from SyntheticCTLib.basics.progress import SILENT
from SyntheticCTLib.volumes.grids import grid_of
from SyntheticCTLib.volumes.resampling import resample
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main

CT_FRAME, CT_STUDY = "1.2.9", "1.2.3.6"
CT_GRID = grid_of((36, 32, 16), (5.0, 5.0, 4.0), (-70.0, -80.0, 2.0))
POINTS = [(0.0, 0.0, 30.0), (40.0, -30.0, 50.0), (-50.0, 20.0, 20.0)]


def rigid() -> sitk.Euler3DTransform:
    return sitk.Euler3DTransform((5.0, -3.0, 30.0), 0.03, -0.02, 0.15, (11.0, -7.0, 3.0))


def bending() -> sitk.CompositeTransform:
    """Displacements of some mm on a turned grid, and then a rigid transform."""
    turned = tuple(np.ravel(rigid().GetMatrix()))
    grid = grid_of((12, 11, 9), (17.0, 18.0, 13.0), (-90.0, -110.0, -20.0), turned)
    i, j, k = np.indices((12, 11, 9))
    values = np.stack([3 * np.sin(j / 3), 2 * np.cos(k / 2), np.sin(i / 2)], axis=-1)
    field = sitk.GetImageFromArray(values.transpose(2, 1, 0, 3), isVector=True)
    field.CopyInformation(grid)
    return sitk.CompositeTransform([rigid(), sitk.DisplacementFieldTransform(field)])


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mr, sct = mr_and_sct()
    write_mr(tmp_path / "mr", mr)
    write_volume(sct, tmp_path / "sct.nrrd")
    return tmp_path


def ct_of(transform, frame=CT_FRAME, study=CT_STUDY, patient="4711") -> None:
    """Write the CT on which the synthetic CT lies by a transform (CT to MR)."""
    _, sct = mr_and_sct()
    ct = resample(sct, CT_GRID, transform, fill=-1000)
    stored = (sitk.GetArrayFromImage(ct) + 1024).astype(np.uint16)
    where = {"origin": CT_GRID.GetOrigin(), "spacing": CT_GRID.GetSpacing()}
    for path in write_series(Path("ct"), stored, **where):
        edit(path, FrameOfReferenceUID=frame, StudyInstanceUID=study, PatientID=patient)


def export(*more, output="out") -> int:
    return main(["export", "sct.nrrd", "--like", "mr", "--output", output, *map(str, more)])


def registered(transform, *more, name="t.h5") -> int:
    sitk.WriteTransform(transform, name)
    return export("--registration", name, "--registered-to", "ct", *more)


def refused(capsys, *more) -> str:
    capsys.readouterr()
    assert export(*more) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return " ".join(error.split())


def by_hand(item, points):
    """Points that the matrix of a registration's item takes others to."""
    matrix = np.eye(4)
    for step in item.MatrixRegistrationSequence[0].MatrixSequence:
        own = np.reshape([float(v) for v in step.FrameOfReferenceTransformationMatrix], (4, 4))
        matrix = own @ matrix
    return np.array([matrix @ (*point, 1) for point in points])[:, :3]


@pytest.mark.parametrize("name", ["t.tfm", "t.h5"])
def test_a_rigid_transform_takes_the_mr_to_the_ct_and_back(place, name):
    ct_of(rigid())
    assert registered(rigid(), name=name) == 0
    path = place / "out" / "REG.dcm"
    assert judged(path) == []
    assert CT_FRAME in dumped(path)
    found = pydicom.dcmread(path)
    assert (found.Modality, found.StudyInstanceUID) == ("REG", STUDY)
    assert found.FrameOfReferenceUID == CT_FRAME
    items = {item.FrameOfReferenceUID: item for item in found.RegistrationSequence}
    assert set(items) == {CT_FRAME, FRAME}
    on_mr = np.array([rigid().TransformPoint(point) for point in POINTS])
    assert by_hand(items[FRAME], on_mr) == pytest.approx(np.array(POINTS), abs=0.001)
    assert by_hand(items[CT_FRAME], POINTS) == pytest.approx(np.array(POINTS))
    kinds = {
        step.FrameOfReferenceTransformationMatrixType
        for item in items.values()
        for step in item.MatrixRegistrationSequence[0].MatrixSequence
    }
    assert kinds == {"RIGID"}
    # And so does the program's own reader, both ways.
    one = find_registration(place / "out", FRAME, CT_FRAME, "", SILENT)
    for start, points, ends in ((FRAME, on_mr, POINTS), (CT_FRAME, POINTS, on_mr)):
        end = CT_FRAME if start == FRAME else FRAME
        matrix = one.matrix(start, end)
        moved = np.asarray(points) @ matrix[:3, :3].T + matrix[:3, 3]
        assert moved == pytest.approx(np.array(ends), abs=0.001)


def test_it_names_the_series_of_both_and_the_new_one(place):
    ct_of(rigid(), study=CT_STUDY)
    assert registered(rigid()) == 0
    found = pydicom.dcmread("out/REG.dcm")
    mr, ct, new = (
        pydicom.dcmread(next(place.glob(pattern))) for pattern in ("mr/*", "ct/*", "out/CT_*")
    )
    own = [item.SeriesInstanceUID for item in found.ReferencedSeriesSequence]
    assert own == [mr.SeriesInstanceUID, new.SeriesInstanceUID]
    (study,) = found.StudiesContainingOtherReferencedInstancesSequence
    assert study.StudyInstanceUID == CT_STUDY
    assert study.ReferencedSeriesSequence[0].SeriesInstanceUID == ct.SeriesInstanceUID
    ct_of(rigid(), study=STUDY)
    assert registered(rigid()) == 0
    found = pydicom.dcmread("out/REG.dcm")
    assert "StudiesContainingOtherReferencedInstancesSequence" not in found
    assert len(found.ReferencedSeriesSequence) == 3
    assert judged(place / "out" / "REG.dcm") == []


def deformed(path, points):
    """Points of the registered frame in the source frame, by C.20.3.1.1."""
    found = pydicom.dcmread(path)
    (item,) = found.DeformableRegistrationSequence
    (grid,) = item.DeformableRegistrationGridSequence
    values = np.frombuffer(grid.VectorGridData, "<f4").reshape(*grid.GridDimensions[::-1], 3)
    field = sitk.GetImageFromArray(values.astype(float), isVector=True)
    rows, columns = np.reshape([float(v) for v in grid.ImageOrientationPatient], (2, 3))
    field.SetDirection(np.stack([rows, columns, np.cross(rows, columns)], axis=1).ravel().tolist())
    field.SetOrigin([float(v) for v in grid.ImagePositionPatient])
    field.SetSpacing(list(grid.GridResolution))
    bend = sitk.DisplacementFieldTransform(field)
    after = np.eye(4)
    for one in item.get("PostDeformationMatrixRegistrationSequence") or []:
        after = np.reshape([float(v) for v in one.FrameOfReferenceTransformationMatrix], (4, 4))
    assert "PreDeformationMatrixRegistrationSequence" not in item
    assert (found.FrameOfReferenceUID, item.SourceFrameOfReferenceUID) == (CT_FRAME, FRAME)
    return np.array([after @ (*bend.TransformPoint(point), 1) for point in points])[:, :3]


def test_one_that_bends_takes_the_ct_to_the_mr(place):
    whole = bending()
    ct_of(whole)
    assert registered(whole) == 0
    path = place / "out" / "REG.dcm"
    assert judged(path) == []
    expected = np.array([whole.TransformPoint(point) for point in POINTS])
    assert deformed(path, POINTS) == pytest.approx(expected, abs=0.001)
    own = find_registration(place / "out", FRAME, CT_FRAME, "", SILENT).matrix(FRAME, CT_FRAME)
    assert np.array([own.TransformPoint(p) for p in POINTS]) == pytest.approx(expected, abs=0.001)
    # As displacements of the whole, as register writes them by --field; a mirrored grid too.
    size, spacing, origin, axes = (
        getattr(CT_GRID, f"Get{name}")() for name in ("Size", "Spacing", "Origin", "Direction")
    )
    end = (*origin[:2], origin[2] + (size[2] - 1) * spacing[2])
    for start, turned in ((origin, axes), (end, (*axes[:8], -1.0))):
        field = sitk.TransformToDisplacementField(
            whole, sitk.sitkVectorFloat32, size, start, spacing, turned
        )
        sitk.WriteImage(field, "field.nrrd")
        assert export("--registration", "field.nrrd", "--registered-to", "ct") == 0
        assert judged(path) == []
        exact = [CT_GRID.TransformIndexToPhysicalPoint(index) for index in ((9, 8, 5), (20, 14, 9))]
        expected = np.array([whole.TransformPoint(point) for point in exact])
        assert deformed(path, exact) == pytest.approx(expected, abs=0.001)


def test_wrong_frames_patients_and_directions_are_refused(place, capsys):
    sitk.WriteTransform(rigid(), "t.tfm")
    sitk.WriteTransform(rigid().GetInverse(), "back.tfm")
    both = ("--registration", "t.tfm", "--registered-to", "ct")
    assert "together" in refused(capsys, *both[:2])
    assert "together" in refused(capsys, *both[2:])
    ct_of(rigid())
    assert "with the CT as --fixed" in refused(
        capsys, "--registration", "back.tfm", "--registered-to", "ct"
    )
    assert "is no DICOM" in refused(
        capsys, "--registration", "t.tfm", "--registered-to", "sct.nrrd"
    )
    assert "MR" in refused(capsys, "--registration", "t.tfm", "--registered-to", "mr")
    (place / "cut.tfm").write_text((place / "t.tfm").read_text()[:-40])
    for name, word in (("cut.tfm", "not the whole"), ("sct.nrrd", "no displacements")):
        assert word in refused(capsys, "--registration", name, "--registered-to", "ct")
    assert "does not exist" in refused(
        capsys, "--registration", "none.tfm", "--registered-to", "ct"
    )
    ct_of(rigid(), frame=FRAME)
    assert "one frame of reference" in refused(capsys, *both)
    ct_of(rigid(), patient="another")
    assert "another patient ID" in refused(capsys, *both)
    ct_of(rigid(), frame="")
    assert "frame of reference" in refused(capsys, *both)
    far = sitk.TranslationTransform(3, (90.0, 0.0, 0.0))
    ct_of(far)
    assert "do not lie on one another" in refused(capsys, *both)


def test_a_transform_that_makes_it_worse_is_told(capsys):
    ct_of(sitk.Transform())
    sitk.WriteTransform(sitk.TranslationTransform(3, (14.0, 0.0, 0.0)), "t.tfm")
    assert export("--registration", "t.tfm", "--registered-to", "ct") == 0
    assert "without the transform" in " ".join(capsys.readouterr().err.split())


def test_other_transforms_are_refused(capsys):
    ct_of(rigid())
    bent = sitk.CompositeTransform(bending())
    bent.AddTransform(rigid())
    spline = sitk.BSplineTransformInitializer(CT_GRID, [3, 3, 3])
    for transform in (bent, spline):
        sitk.WriteTransform(transform, "t.h5")
        told = refused(capsys, "--registration", "t.h5", "--registered-to", "ct")
        assert "one displacement field with matrices after it" in told
    sitk.WriteTransform(sitk.Euler2DTransform(), "flat.tfm")
    told = refused(capsys, "--registration", "flat.tfm", "--registered-to", "ct")
    assert "three dimensions" in told


@pytest.mark.parametrize("made", [rigid, bending])
def test_seeded_registrations_are_the_same_file(place, made):
    ct_of(made())
    for name in ("one", "two"):
        sitk.WriteTransform(made(), "t.h5")
        more = ("--registration", "t.h5", "--registered-to", "ct", "--seed-uids")
        assert export(*more, output=name) == 0
    one, two = ((place / name / "REG.dcm").read_bytes() for name in ("one", "two"))
    assert one == two
    assert judged(place / "one" / "REG.dcm") == []
