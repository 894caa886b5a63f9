"""A cohort whose patients are evaluated by a stand-in, which writes what it was given."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from cohort_runs import HEADER
from SyntheticCTEvalLib.cohort import parallel as cohort_parallel
from SyntheticCTEvalLib.cohort.card import write_card
from SyntheticCTEvalLib.cohort.records import PICTURES, CohortPictures


@pytest.fixture
def manifest(tmp_path):
    """Three patients, each in a folder with a CT series of two files."""
    rows = [HEADER]
    for name in "abc":
        (tmp_path / "in" / name / "ct").mkdir(parents=True)
        for file in ("mr.nrrd", "mrcat.nrrd", "sct.nrrd"):
            (tmp_path / "in" / name / file).write_text(f"{file} of {name}")
        for number in (1, 2):
            slice_ = bytes(128) + f"DICM, slice {number} of {name}".encode()
            (tmp_path / "in" / name / "ct" / f"{number}.dcm").write_bytes(slice_)
        rows.append(f"{name},{name}/ct,{name}/mr.nrrd,45,{name}/mrcat.nrrd,{name}/sct.nrrd")
    path = tmp_path / "in" / "manifest.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def evaluated(monkeypatch):
    """Replace the evaluation of a patient; the list has those that were evaluated."""
    names = []

    def stand_in(task, progress):
        names.append(task.entry.patient)
        progress.warn("noisy")
        if task.entry.ct.joinpath("fault").exists():
            raise ValueError("no luck")
        if task.entry.ct.joinpath("slow").exists():
            task.entry.ct.joinpath("slow").unlink()
            time.sleep(3)
        task.folder.mkdir()
        metrics = {"candidates": {n: {} for n in task.entry.candidates}, "notes": ["noisy"]}
        (task.folder / "metrics.json").write_text(json.dumps(metrics))
        (task.folder / "report.html").write_text("whole")
        CohortPictures(1.5, np.zeros((2, 2)), {}, {}).write(task.folder / PICTURES)
        write_card(task.folder, task.made_of)

    monkeypatch.setattr(cohort_parallel, "evaluate_patient", stand_in)
    return names
