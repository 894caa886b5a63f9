"""The command ``plan``: an RTPLAN and its table, and its error sentences."""

import functools
import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from beams import coordinates, cylinder
from dicom_files import edit, write_series
from SyntheticCTEvalLib.plan.reading import read_plan
from SyntheticCTEvalLib.planning import planner, treatment
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.mask_folder import write_masks
from SyntheticCTProgram.program import main


@pytest.fixture
def case(tmp_path, monkeypatch):
    """A cylinder with nested targets and a bladder, planned with little effort."""
    quick = {"segments": 12, "gantry_step_deg": 30.0, "iterations": (8,)}
    monkeypatch.setattr(treatment, "Effort", functools.partial(treatment.Effort, **quick))
    ct, _ = cylinder()
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    x, y, z = coordinates(ct)
    radius = np.sqrt(x**2 + y**2 + z**2)
    masks = {
        "PTV45": radius < 28,
        "PTV55": radius < 16,
        "Bladder": np.sqrt(x**2 + (y + 40) ** 2 + z**2) < 15,
    }
    (tmp_path / "structures").mkdir()
    write_masks(
        {name: image_like(mask.astype(np.uint8), ct) for name, mask in masks.items()},
        tmp_path / "structures",
    )
    return tmp_path


def run(case, *targets, more=(), output="plan.dcm"):
    return main(
        [
            "plan",
            *("--ct", str(case / "ct.nrrd"), "--structures", str(case / "structures")),
            *[word for target in targets for word in ("--target", target)],
            *("--output", str(case / output), "--spacing", "8", *more),
        ]
    )


def test_a_plan_and_its_table_are_written_and_told(case, capsys):
    assert run(case, "PTV45=45", "PTV55=55", more=("--fractions", "20")) == 0
    plan = read_plan(case / "plan.dcm")
    assert [(level.name, level.dose_gy) for level in plan.prescription] == [
        ("PTV55", 55.0),
        ("PTV45", 45.0),
    ]
    assert [beam.fractions for beam in plan.beams] == [20, 20]
    table = json.loads((case / "plan.json").read_text())
    assert list(table["targets"]) == ["PTV55", "PTV45"]
    # The MU are such that the least covered target has 97 % of its level.
    shares = [own["D95"] / own["level_gy"] for own in table["targets"].values()]
    assert min(shares) == pytest.approx(0.97, abs=0.001)
    assert table["organs"]["Bladder"]["objectives"][0]["objective"] == "V40Gy at most 60 %"
    assert table["iterations"] == 8 and table["seconds"] > 0
    # Two turns of 358 degrees at no more than 6 degrees a second.
    assert table["delivery_s"] >= 119
    assert {"targets", "organs", "Dmax_percent", "dose"} == set(table["definitions"])
    said = capsys.readouterr()
    assert "PTV55" in said.out + said.err and "8 iterations in" in said.out + said.err
    assert "names no patient" in (said.out + said.err).replace("\n", " ")


def test_a_plan_on_a_dicom_ct_names_its_patient_frame_and_position(case):
    ct = sitk.ReadImage(str(case / "ct.nrrd"))
    stored = (sitk.GetArrayFromImage(ct).astype(int) + 1024).astype(np.uint16)
    series = case / "series"
    for path in write_series(series, stored, origin=ct.GetOrigin(), spacing=ct.GetSpacing()):
        edit(path, PatientPosition="FFS")
    targets = ("--target", "PTV55=55", "--structures", str(case / "structures"))
    output = ("--output", str(case / "new.dcm"), "--spacing", "8", "--arcs", "1")
    assert main(["plan", "--ct", str(series), *targets, *output]) == 0
    plan = read_plan(case / "new.dcm")
    assert (plan.frame_of_reference, plan.patient_position) == ("1.2.3.4", "FFS")
    assert len(plan.beams) == 1
    header = pydicom.dcmread(case / "new.dcm")
    assert (header.PatientID, header.StudyInstanceUID) == ("4711", "1.2.3.5")
    assert main(["plan", "--ct", str(series), *targets, "--output", str(series / "p.dcm")]) == 2


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        (["PTV=45"], "no structure PTV"),
        (["PTV45=many"], "is no number"),
        (["PTV45=0"], "prescribed 0 Gy"),
        (["PTV45=45", "PTV45=50"], "twice"),
        (["PTV45=55", "PTV55=45"], "cannot be lower"),
    ],
)
def test_what_cannot_be_planned_is_said_in_one_sentence_and_writes_nothing(
    case, capsys, targets, told
):
    assert run(case, *targets) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not list(case.glob("plan*"))


def test_a_place_that_is_no_plan_and_objectives_that_are_none_are_refused(case, capsys):
    assert run(case, "PTV45=45", output="plan.nrrd") == 2
    assert ".dcm" in capsys.readouterr().err
    (case / "own.toml").write_text("[[objective]]")
    assert run(case, "PTV45=45", more=("--objectives", str(case / "own.toml"))) == 2
    assert "names, point and most" in " ".join(capsys.readouterr().err.split())
    assert run(case, "PTV45=45", more=("--objectives", str(case / "none.toml"))) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "cannot be read (No such file or directory): give a TOML file." in told


@pytest.mark.parametrize("text", ['{"patient": "mine"}', "[1, 2]", "no JSON"])
def test_a_file_of_somebody_else_beside_the_plan_is_not_replaced(text, case, capsys, monkeypatch):
    monkeypatch.setattr(treatment, "make_plan", None)
    (case / "plan.json").write_text(text)
    assert run(case, "PTV45=45") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "plan.json, which is no such table: choose another name" in told
    assert (case / "plan.json").read_text() == text and not (case / "plan.dcm").exists()


def test_an_earlier_plan_and_its_table_are_replaced(case):
    for fractions in ("20", "25"):
        assert run(case, "PTV45=45", more=("--fractions", fractions)) == 0
    assert [beam.fractions for beam in read_plan(case / "plan.dcm").beams] == [25, 25]


def test_an_interrupt_leaves_nothing_half_and_keeps_the_earlier_plan(case, monkeypatch, capsys):
    (case / "plan.dcm").write_bytes(b"earlier")

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(planner, "recalculate_plan", interrupted)
    assert run(case, "PTV45=45") == 130
    assert (case / "plan.dcm").read_bytes() == b"earlier"
    assert sorted(path.name for path in case.iterdir()) == ["ct.nrrd", "plan.dcm", "structures"]
