"""The example script for Slicer without a window gives the numbers of the command line."""

from __future__ import annotations

import importlib.util
import json

import pytest
from places import REPOSITORY

SCRIPT = REPOSITORY / "Testing" / "Slicer" / "batch.py"


def test_the_script_gives_the_same_numbers_as_the_command_line(harness_without_window, tmp_path):
    from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
    from SyntheticCTLib.volumes.reading import read_volume
    from SyntheticCTLib.volumes.writing import write_volume
    from SyntheticCTMRML.nodes import image_from_node
    from SyntheticCTMRML.sample_data import start_sample
    from SyntheticCTProgram.program import main

    slicer = harness_without_window
    for name in ("SyntheticCT", "SyntheticCTEval"):
        slicer.load_module(name)
    mr, ct, mrcat, structures = start_sample(grid="tiny", seed=3).wait()
    specification = importlib.util.spec_from_file_location("batch", SCRIPT)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)

    evaluation = script.process(
        mr,
        ct,
        str(tmp_path / "out"),
        mrcat=mrcat,
        structures=structures,
        settings=EvaluationSettings(registration="none", dose_spacing_mm=5),
    )
    found = evaluation.metrics()["candidates"]

    for name, node in (("ct", ct), ("mrcat", mrcat)):
        write_volume(image_from_node(node), tmp_path / f"{name}.nrrd")
    assert main(["phantom", "--seed", "3", "--grid", "tiny", "--output", f"{tmp_path}/in"]) == 0
    assert read_volume(tmp_path / "out" / "sct.nrrd").HasMetaDataKey("SyntheticCT")
    arguments = ["evaluate", "--ct", f"{tmp_path}/ct.nrrd", "--no-registration", "--no-scene"]
    arguments += ["--dose-spacing", "5"]
    arguments += ["--structures", f"{tmp_path}/in/phantom_3/structures_ct.seg.nrrd"]
    arguments += ["--candidate", f"sCT={tmp_path}/out/sct.nrrd"]
    arguments += ["--candidate", f"MRCAT={tmp_path}/mrcat.nrrd", "--output", f"{tmp_path}/cli"]
    assert main(arguments) == 0
    asked = json.loads((tmp_path / "cli" / "metrics.json").read_text(encoding="utf-8"))
    for name in ("sCT", "MRCAT"):
        for key in ("mae_body", "mae_image", "ssim", "dsc_body"):
            assert found[name][key] == pytest.approx(asked["candidates"][name][key], abs=1e-12)
        assert found[name]["gpr"] == asked["candidates"][name]["gpr"]
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "evaluation.mrb").is_file()
