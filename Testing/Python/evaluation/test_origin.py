"""What results say of themselves: program, packages, command, files, and no more than was asked."""

from __future__ import annotations

import hashlib
import shlex
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from mr_series import FRAME, STUDY, mr_and_sct, write_mr
from SyntheticCTEvalLib.evaluation import origin as told
from SyntheticCTEvalLib.evaluation.origin import PACKAGES, commit, hashes_of, origin, shown_command
from SyntheticCTEvalLib.report.origin_part import inputs_table
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTProgram.program import build_parser


def volume(kind=np.int16) -> sitk.Image:
    image = sitk.GetImageFromArray(np.arange(24).reshape(2, 3, 4).astype(kind))
    image.SetSpacing((1.5, 2, 3))
    return image


def test_files_are_told_by_last_name_hash_grid_and_voxels(tmp_path):
    path = tmp_path / "Mueller" / "ct.nrrd"
    path.parent.mkdir()
    sitk.WriteImage(volume(), path)
    inputs = {"CT": path}
    hashes = hashes_of(inputs)
    found = origin(inputs, {"registration": "none"}, hashes=hashes, images={"CT": volume()})
    entry = found["inputs"]["CT"]
    assert entry["file"] == "ct.nrrd" and "Mueller" not in str(found)
    assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (
        entry["voxels_sha256"] == hashlib.sha256(np.arange(24).astype("<i2").tobytes()).hexdigest()
    )
    assert entry["size"] == [4, 3, 2] and entry["spacing_mm"] == [1.5, 2, 3]
    named = origin(inputs, {}, hashes=hashes, identified=True)
    assert named["inputs"]["CT"]["file"] == str(path)
    with pytest.raises(SyntheticCTError, match="does not exist"):
        hashes_of({"CT": tmp_path / "none"})


def test_uids_are_told_only_where_names_may_be(tmp_path):
    write_mr(tmp_path / "mr", mr_and_sct()[0])
    images = {"MR": read_volume(tmp_path / "mr", "MR")}
    plain = origin({}, {}, hashes={}, images=images)
    assert STUDY not in str(plain) and FRAME not in str(plain)
    named = origin({}, {}, hashes={}, images=images, identified=True)
    uids = named["inputs"]["MR"]["uids"]
    assert (uids["study"], uids["frame_of_reference"]) == (STUDY, FRAME)
    series = pydicom.dcmread(next((tmp_path / "mr").iterdir())).SeriesInstanceUID
    assert uids["series"] == series
    assert f"series {series}" in str(inputs_table(named).rows)
    assert not inputs_table(origin({}, {}, hashes={})) and series not in str(
        inputs_table(plain).rows
    )


def test_voxels_keep_their_hash_in_another_format(tmp_path):
    hashes = set()
    for name in ("a.nrrd", "a.mha", "a.nii.gz"):
        sitk.WriteImage(volume(), tmp_path / name)
        image = sitk.ReadImage(tmp_path / name)
        hashes.add(origin({}, {}, hashes={}, images={"CT": image})["inputs"]["CT"]["voxels_sha256"])
    assert len(hashes) == 1
    other = origin({}, {}, hashes={}, images={"CT": volume() + 1})["inputs"]["CT"]["voxels_sha256"]
    assert other not in hashes


def test_the_date_has_its_zone_and_packages_have_versions():
    found = origin({}, {}, hashes={})
    assert datetime.fromisoformat(found["date"]).utcoffset() is not None
    assert {"numpy", "SimpleITK", "plastimatch"} <= set(found["packages"]) <= set(PACKAGES)
    assert found["packages"]["numpy"] == np.__version__


def test_two_runs_differ_in_the_date_only():
    first, second = (origin({}, {"a": 1}, hashes={}, images={"CT": volume()}) for _ in range(2))
    assert first | {"date": ""} == second | {"date": ""}


def test_commands_tell_no_folders_unless_asked_to():
    command = ["x", "evaluate", "--ct", "/data/Mueller Hans/ct", "--candidate", "sCT=/p/s.nrrd"]
    command += ["--output", "/data/Mueller Hans/out", "--criteria", "1/1,2/2"]
    found = shown_command(command)
    assert "Mueller" not in found and "--output" not in found
    assert found.startswith("synthetic-ct evaluate --ct ct --candidate sCT=s.nrrd")
    assert '"/data/Mueller Hans/ct"' in shown_command(command, identified=True)


def test_words_that_are_no_paths_are_told_as_they_were_given():
    asked = ["--criteria", "1/1,2/2", "--target", "PTV/boost=45", "--dvh-points=Bowel/bag: V40Gy"]
    asked += ["--override", "Couch/top=-300", "--patient", "S/7", "--note", "Left/right as told."]
    command = ["x", "evaluate", "--ct", "/p/Mueller/ct.nrrd", *asked, "--crit", "3/3", "--no-scene"]
    assert shown_command(command) == (
        "synthetic-ct evaluate --ct ct.nrrd --criteria 1/1,2/2 --target PTV/boost=45 "
        '"--dvh-points=Bowel/bag: V40Gy" --override Couch/top=-300 --patient S/7 '
        '--note "Left/right as told." --crit 3/3 --no-scene'
    )
    command = ["x", "cohort", "--no-dose", "Mueller/m.csv", "--scheduler", "tcp://host:8786"]
    assert shown_command(command) == (
        "synthetic-ct cohort --no-dose m.csv --scheduler tcp://host:8786"
    )
    asked = ["--note", 'A "$HOME" of', "--patient", ""]
    shown = shown_command(["x", "evaluate", *asked])
    assert shlex.split(shown.replace(r"\$", "$"))[2:] == asked


def test_no_way_of_writing_a_path_tells_its_folder(tmp_path, monkeypatch):
    folder = tmp_path / "Mueller" / "a=b"
    (folder / "ct").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    near = Path("Mueller", "a=b")
    words = [f"--ct={folder}/ct", "--ct", f"{near}/ct#T2/TSE", f"--cand=sCT={folder}/s.nrrd"]
    words += ["--can", f"B={near}/b.nrrd", "--outp", f"{near}/out", f"--outp={near}/out"]
    words += ["--note", f"See {folder}/ct.", "--of-tomorrow", f"{folder}/t", f"{near}/m.csv"]
    assert shown_command(["x", "evaluate", *words]) == (
        "synthetic-ct evaluate --ct=ct --ct ct#T2/TSE --cand=sCT=s.nrrd --can B=b.nrrd "
        '--note "See ct." --of-tomorrow t m.csv'
    )
    path = f"{folder}/ct#T2/TSE"
    found = origin({"CT": path}, {}, hashes={"CT": ""})["inputs"]["CT"]["file"]
    assert found == "ct#T2/TSE"


@pytest.mark.parametrize("command", ["demo", "evaluate", "cohort"])
def test_every_option_is_known_to_name_a_path_or_not(command):
    (commands,) = (a.choices for a in build_parser()._actions if a.choices)
    options = [action for action in commands[command]._actions if action.option_strings]
    free = [action for action in options if action.nargs != 0 and not action.choices]
    assert free and all(action.nargs is None for action in free)
    numbers = {"--seed", "--prescription", "--fractions", "--dose-spacing", "--dose-noise"}
    numbers |= {"--dose-minutes", "--dose-percent", "--distance-mm", "--gamma-cap", "--workers"}
    known = {*told.PATHS, *told.NAMED_PATHS, *told.WORDS, *numbers, told.OUTPUT}
    unknown = {action.option_strings[0] for action in free} - known - {"--leaf-transmission"}
    assert not unknown, "name it in evaluation.origin: as a path, or as words"


def test_a_program_that_runs_from_no_checkout_has_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(told.SyntheticCTLib, "__file__", str(tmp_path / "a" / "b" / "__init__.py"))
    commit.cache_clear()
    assert commit() == ""
    commit.cache_clear()
