"""RTPLAN files that are written: read back equal, and valid by another's program."""

import dataclasses
import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from rt_plans import arc_plan
from SyntheticCTEvalLib.plan.reading import read_plan
from SyntheticCTEvalLib.plan.writing import write_plan
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, NotedProgress
from SyntheticCTLib.export.source import SourceSeries


def assert_same_plan(one, other):
    for field in dataclasses.fields(one):
        if field.name != "beams":
            assert getattr(one, field.name) == getattr(other, field.name), field.name
    assert len(one.beams) == len(other.beams)
    for beam, again in zip(one.beams, other.beams, strict=True):
        for field in dataclasses.fields(beam):
            if field.name != "control_points":
                assert getattr(beam, field.name) == getattr(again, field.name), field.name
        for point, same in zip(beam.control_points, again.control_points, strict=True):
            for field in dataclasses.fields(point):
                value, read = getattr(point, field.name), getattr(same, field.name)
                if isinstance(value, np.ndarray):
                    np.testing.assert_allclose(value, read, rtol=1e-12, atol=1e-12)
                else:
                    assert value == read, field.name


def test_a_plan_is_read_back_as_it_was_written(tmp_path):
    noted = NotedProgress(SILENT)
    written = write_plan(arc_plan(), tmp_path / "plan.dcm")
    assert written.uid.startswith("2.25.")
    assert_same_plan(written, read_plan(tmp_path / "plan.dcm", noted))
    assert noted.warnings == []


def test_a_plan_without_structure_set_and_filter_is_read_back_too(tmp_path):
    plan = arc_plan(structure_set_uid="", prescription=(), patient_position="FFS")
    beams = tuple(dataclasses.replace(beam, flattened=False) for beam in plan.beams)
    written = write_plan(dataclasses.replace(plan, beams=beams), tmp_path / "plan.dcm")
    assert_same_plan(written, read_plan(tmp_path / "plan.dcm"))
    assert not written.beams[0].flattened


def test_patient_study_and_frame_come_from_the_series(tmp_path):
    header = pydicom.Dataset()
    header.PatientName, header.PatientID = "One^Some", "42"
    header.StudyInstanceUID, header.FrameOfReferenceUID = "1.2.8", "1.2.9"
    source = SourceSeries(header, (), pydicom.Dataset())
    written = write_plan(arc_plan(), tmp_path / "plan.dcm", source)
    file = pydicom.dcmread(tmp_path / "plan.dcm")
    assert (file.PatientID, file.StudyInstanceUID) == ("42", "1.2.8")
    assert file.FrameOfReferenceUID == written.frame_of_reference == "1.2.9"


def test_only_what_changes_is_told_at_a_control_point(tmp_path):
    write_plan(arc_plan(), tmp_path / "plan.dcm")
    arc, static = pydicom.dcmread(tmp_path / "plan.dcm").BeamSequence
    kinds = [
        d.RTBeamLimitingDeviceType
        for d in arc.ControlPointSequence[2].BeamLimitingDevicePositionSequence
    ]
    assert kinds == ["ASYMY", "MLCX"] and arc.BeamType == "DYNAMIC" and static.BeamType == "STATIC"
    assert "BeamLimitingDevicePositionSequence" not in static.ControlPointSequence[1]


def test_a_plan_that_no_machine_could_deliver_is_not_written(tmp_path):
    plan = arc_plan()
    beams = (dataclasses.replace(plan.beams[0], meterset_mu=0.0),)
    with pytest.raises(SyntheticCTError, match="0 MU"):
        write_plan(dataclasses.replace(plan, beams=beams), tmp_path / "plan.dcm")
    assert not (tmp_path / "plan.dcm").exists()


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="needs dciodvfy (dicom3tools)")
@pytest.mark.parametrize("structure_set", ["1.2.3.5", ""])
def test_dciodvfy_finds_no_error(structure_set, tmp_path):
    write_plan(arc_plan(structure_set_uid=structure_set), tmp_path / "plan.dcm")
    told = subprocess.run(
        ["dciodvfy", tmp_path / "plan.dcm"], capture_output=True, text=True, check=False
    )
    errors = [line for line in told.stderr.splitlines() if line.startswith("Error")]
    assert errors == []
    assert "RTPlan" in told.stderr
