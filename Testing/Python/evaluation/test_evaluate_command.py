"""The command evaluate: on doses of known difference, on real files."""

from __future__ import annotations

import json
import math
import re
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTEvalLib.evaluation.stored import read_evaluation
from SyntheticCTLib.basics.fingerprint import content_hash
from SyntheticCTLib.mrcat.bulk_densities import bulk_from_ct
from SyntheticCTLib.phantom import TINY, make_phantom
from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(3, TINY)


def run(*arguments) -> dict:
    assert main(["evaluate", *map(str, arguments)]) == 0
    folder = arguments[arguments.index("--output") + 1]
    return json.loads((folder / "metrics.json").read_text())


def test_a_region_may_be_cropped_to_its_box(phantom, tmp_path):
    whole = sitk.Image(phantom.ct.GetSize(), sitk.sitkUInt8) * 0
    whole.CopyInformation(phantom.ct)
    box = (slice(30, 50), slice(30, 50), slice(8, 20))
    whole[box] = 1
    write_volume(phantom.ct, tmp_path / "ct.nrrd")
    write_volume(phantom.ct + 100, tmp_path / "dense.nrrd")
    found = []
    for name, mask in (("whole", whole), ("box", whole[box])):
        write_volume(mask, tmp_path / f"{name}.nrrd")
        files = ["--ct", tmp_path / "ct.nrrd", "--candidate", f"dense={tmp_path}/dense.nrrd"]
        asked = ["--no-dose", "--no-registration", "--no-scene"]
        region = ["--region", tmp_path / f"{name}.nrrd", "--output", tmp_path / f"out {name}"]
        found.append(run(*files, *asked, *region)["candidates"]["dense"]["mae_body"])
    assert found[0] == found[1]


@pytest.fixture
def dose_files(tmp_path, phantom):
    ct = write_volume(phantom.ct, tmp_path / "ct.nrrd")
    grid = grid_of((20, 20, 20), (3.0, 3.0, 3.0), (-30.0, -30.0, -30.0))
    dose = np.full((20, 20, 20), 10.0, np.float32)
    dose[4:16, 4:16, 4:16] = 50
    write_volume(image_like(dose, grid), tmp_path / "dose.nrrd")
    write_volume(image_like(dose * 1.05, grid), tmp_path / "hot.nrrd")
    return ct, tmp_path / "dose.nrrd", tmp_path / "hot.nrrd"


def test_imported_doses_are_compared_and_all_files_written(dose_files, tmp_path):
    ct, dose, hot = dose_files
    out = tmp_path / "out"
    metrics = run(
        "--ct", ct, "--candidate", f"same={ct}", "--candidate", f"hot={ct}",
        "--no-registration", "--dose-ct", dose, "--dose", f"same={dose}", "--dose", f"hot={hot}",
        "--prescription", 50, "--output", out,
    )  # fmt: skip
    assert metrics["candidates"]["same"]["gpr"] == {"10": 100, "60": 100}
    # The surface of the cube passes, because the dose changes there within 1 mm.
    inner = 100 * (1 - 10**3 / 12**3)
    assert metrics["candidates"]["hot"]["gpr"]["60"] == pytest.approx(inner)
    assert "50 Gy" in metrics["definitions"]["gpr"]
    assert {p.name for p in out.iterdir()} == {
        "metrics.json", "metrics.csv", "report.html", "report.pdf", "scene.mrb", "dose_CT.nrrd",
        "evaluated.nrrd",
        *(
            f"{kind}_{name}.nrrd"
            for kind in ("registered", "difference", "dose", "dose_difference", "gamma")
            for name in ("same", "hot")
        ),
    }  # fmt: skip
    before = ct.read_bytes()
    again = main([
        "evaluate", "--ct", str(out / "registered_same.nrrd"), "--candidate", f"same={ct}",
        "--no-registration", "--no-dose", "--output", str(out),
    ])  # fmt: skip
    assert again == 2
    assert ct.read_bytes() == before
    assert not list(out.glob(".partial*"))


@pytest.fixture(scope="module")
def real_ct(real_data, tmp_path_factory):
    """The real CT, its voxels twice as wide: what is tested is the chain on a real patient."""
    ct = read_volume(real_data / "ct_pelvis" / "ct.nrrd", "CT")
    return write_volume(sitk.BinShrink(ct, [2, 2, 1]), tmp_path_factory.mktemp("real") / "ct.nrrd")


def test_real_ct_against_its_bulk_density_volume(real_ct, tmp_path):
    bulk = write_volume(bulk_from_ct(read_volume(real_ct, "CT")), tmp_path / "bulk.nrrd")
    metrics = run(
        "--ct", real_ct, "--candidate", f"bulk={bulk}", "--no-registration",
        "--dose-spacing", "6", "--output", tmp_path / "out",
    )["candidates"]["bulk"]  # fmt: skip
    assert 15 < metrics["mae_body"] < 80
    assert metrics["dsc_body"] > 0.97
    assert 60 < metrics["gpr"]["10"] <= 100
    assert not math.isnan(metrics["ssim"])


def test_real_rtdose_against_itself_passes_everywhere(real_data, real_ct, tmp_path):
    dose = real_data / "rt_dicom" / "rtdose.dcm"
    metrics = run(
        "--ct", real_ct, "--candidate", f"same={real_ct}", "--no-registration", "--no-scene",
        "--dose-ct", dose, "--dose", f"same={dose}", "--output", tmp_path / "out",
    )  # fmt: skip
    assert metrics["candidates"]["same"]["gpr"] == {"10": 100, "60": 100}
    assert metrics["prescription_gy"] == pytest.approx(14.68, abs=0.005)


def test_gamma_is_asked_for_on_the_command_line_and_without_slicer_core_there_is_no_scene(
    dose_files, tmp_path, capsys, monkeypatch
):
    ct, dose, hot = dose_files
    monkeypatch.setitem(sys.modules, "slicer", None)
    out = tmp_path / "out"
    metrics = run(
        "--ct", ct, "--candidate", f"hot candidate={ct}", "--no-registration", "--dose-ct", dose,
        "--dose", f"hot candidate={hot}", "--prescription", 50, "--dose-percent", 5.5,
        "--distance-mm", 2, "--local", "--cutoffs", "20,50,90", "--gamma-cap", 1.5,
        "--output", out,
    )  # fmt: skip
    assert metrics["candidates"]["hot candidate"]["gpr"] == {"20": 100, "50": 100, "90": 100}
    assert "local" in metrics["definitions"]["gpr"]
    assert "No scene.mrb is written" in capsys.readouterr().err
    assert not (out / "scene.mrb").exists()
    found = read_evaluation(out).candidates["hot candidate"].gamma
    assert found.criteria.local and found.criteria.cap == 1.5
    assert 0.8 < sitk.GetArrayFromImage(found.gamma).max() <= 1


def test_structures_end_at_their_last_contours_where_asked_for(phantom, tmp_path, monkeypatch):
    from SyntheticCTEvalLib.cohort import inputs

    asked = {}
    monkeypatch.setattr(
        inputs, "read_structures", lambda *_files, **options: asked.update(options) or {}
    )
    ct = str(write_volume(phantom.ct, tmp_path / "ct.nrrd"))
    other = write_volume(phantom.ct, tmp_path / "Doe" / "a.mha", compress=False)
    other.write_bytes(re.sub(rb"\nOffset = .*\n", b"\n", other.read_bytes()))  # a warning
    arguments = ["evaluate", "--ct", ct, "--candidate", f"self={other}"]
    (tmp_path / "s.dcm").write_bytes(b"stands in")
    arguments += ["--structures", str(tmp_path / "s.dcm")]
    arguments += ["--no-end-caps", "--no-registration", "--no-dose", "--no-scene"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert asked["end_caps"] is False
    notes = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))["notes"]
    assert any("end at their last contours" in note for note in notes)
    assert any("self a.mha does not say where it lies" in note for note in notes)
    assert not any("Doe" in note for note in notes)  # a folder may be named after a patient


def test_hashes_are_those_of_the_files_that_were_read(phantom, tmp_path, monkeypatch):
    from SyntheticCTEvalLib.evaluation import one_patient

    ct = write_volume(phantom.ct, tmp_path / "ct.nrrd")
    limits = tmp_path / "ours.toml"
    text = 'name = "Ours"\nsource = "us"\n[[limit]]\nfigure = "mae_body"\ntolerance = 40\n'
    limits.write_text(text)
    read = {"CT": content_hash(ct), "acceptance": content_hash(limits)}
    evaluate = one_patient.evaluate

    def meanwhile(*arguments, **options):
        write_volume(phantom.ct + 1, ct)
        limits.write_text(text.replace("40", "50"))
        return evaluate(*arguments, **options)

    monkeypatch.setattr(one_patient, "evaluate", meanwhile)
    metrics = run(
        "--ct", ct, "--candidate", f"same={ct}", "--no-registration", "--no-dose", "--no-scene",
        "--acceptance", limits, "--output", tmp_path / "out",
    )  # fmt: skip
    told = metrics["origin"]["inputs"]
    assert {what: told[what]["sha256"] for what in read} == read
    assert told["acceptance"]["file"] == "ours.toml"
    assert content_hash(ct) != read["CT"]
