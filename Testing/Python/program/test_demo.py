"""The main job as a user runs it: the demo, and the demo model on a real scan."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from quick import coarse_dose, short_bending
from SyntheticCTEvalLib.planning import treatment
from SyntheticCTLib import phantom
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.bundle.folder import demo_bundle_folder
from SyntheticCTLib.volumes.marks import SYNTHETIC_NOTE
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTProgram.demo import QUICK_DOSE
from SyntheticCTProgram.program import main


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's results on few voxels, coarse in dose and registration: its chain."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantom, "COARSE", phantom.TINY)
        coarse_dose(patch)
        short_bending(patch)
        assert main(["demo", "--output", str(folder), "--progress", "json"]) == 0
    return folder


@pytest.mark.parametrize(("asked", "grid"), [([], "coarse"), (["--full"], "clinical")])
def test_the_demo_is_made_on_the_grid_that_is_asked_for(asked, grid, tmp_path, monkeypatch):
    made = []

    def make_phantom(seed, of, progress):
        made.append((seed, of.name))
        raise SyntheticCTError("that is enough")

    monkeypatch.setattr(phantom, "make_phantom", make_phantom)
    assert main(["demo", "--output", str(tmp_path / "demo"), *asked]) == 2
    assert made == [(1001, grid)]


def test_the_quick_demo_says_which_dose_it_has_and_the_full_one_plans_for_monte_carlo(
    demo, tmp_path, monkeypatch
):
    metrics = json.loads((demo / "metrics.json").read_text(encoding="utf-8"))
    assert QUICK_DOSE in metrics["notes"] and metrics["plan"] is None
    assert metrics["definitions"]["dose"].startswith("pydosert")
    asked = []

    def planned_treatment(ct, structures, request, progress):
        asked.append((request.levels, set(structures) >= {"PTV45", "PTV50", "PTV55", "bladder"}))
        raise SyntheticCTError("that is enough")

    monkeypatch.setattr(phantom, "CLINICAL", phantom.TINY)
    monkeypatch.setattr(treatment, "planned_treatment", planned_treatment)
    assert main(["demo", "--output", str(tmp_path / "full"), "--full"]) == 2
    assert asked == [((("PTV45", 45.0), ("PTV50", 50.0), ("PTV55", 55.0)), True)]


def test_demo_leaves_everything_it_promises(demo):
    promised = {"report.html", "scene.mrb", "metrics.json", "sct.nrrd", "mrcat.nrrd"}
    promised |= {"gamma_sCT.nrrd", "gamma_MRCAT.nrrd"}
    assert promised <= {path.name for path in demo.iterdir()}
    assert not list(demo.glob(".partial*"))
    report = (demo / "report.html").read_text(encoding="utf-8")
    assert SYNTHETIC_NOTE in report
    assert "https://" not in report
    sct, mr = (sitk.ReadImage(str(demo / name)) for name in ("sct.nrrd", "mr.nrrd"))
    assert sct.GetPixelID() == sitk.sitkInt16
    assert sct.GetSize() == mr.GetSize()
    assert sct.GetOrigin() == mr.GetOrigin()


def test_synthetic_ct_of_an_unseen_patient_beats_bulk_densities(demo):
    candidates = json.loads((demo / "metrics.json").read_text())["candidates"]
    sct, mrcat = candidates["sCT"], candidates["MRCAT"]
    assert sct["mae_body"] < mrcat["mae_body"]
    assert sct["ssim"] > mrcat["ssim"]
    for cutoff in ("10", "60"):
        assert sct["gpr"][cutoff] > mrcat["gpr"][cutoff]


def test_gamma_maps_mark_what_was_not_evaluated(demo):
    for name in ("sCT", "MRCAT"):
        gamma = sitk.GetArrayFromImage(sitk.ReadImage(str(demo / f"gamma_{name}.nrrd")))
        dose = sitk.GetArrayFromImage(sitk.ReadImage(str(demo / "dose_CT.nrrd")))
        assert (gamma[dose < 4.5] == -1).all()
        assert (gamma >= 0).mean() > 0.05


def test_real_mr_gets_a_result_on_its_grid_and_a_warning(real_data, tmp_path, capsys):
    folder, output = real_data / "mr_t2_prostate_dicom", tmp_path / "sct.nrrd"
    arguments = ["generate", folder, "--model", demo_bundle_folder(), "--output", output]
    assert main([*map(str, arguments), "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    warnings = " ".join(e["message"] for e in events if e["event"] == "warning")
    assert "digital phantom only" in warnings
    assert "field of view" in warnings
    mr, sct = read_volume(folder, "MR"), sitk.ReadImage(str(output))
    assert sct.GetSize() == mr.GetSize()
    np.testing.assert_allclose(sct.GetOrigin(), mr.GetOrigin(), atol=1e-9)
    np.testing.assert_allclose(sct.GetDirection(), mr.GetDirection(), atol=1e-12)
    np.testing.assert_allclose(sct.GetSpacing(), mr.GetSpacing(), atol=1e-12)
