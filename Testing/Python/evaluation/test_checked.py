"""What the marks of candidates make an evaluation say."""

from __future__ import annotations

from models import ct_like
from SyntheticCTEvalLib.evaluation.checked import checked_inputs
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.marks import OUTSIDE_KEY, keep_marks, label_synthetic
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.writing import write_volume


def test_a_candidate_of_an_mr_outside_the_domain_is_named_from_a_file_as_well(tmp_path):
    sct = label_synthetic(ct_like(5), "abc")
    sct.SetMetaData(OUTSIDE_KEY, "The field of view is small. The slices are tilted.")
    write_volume(keep_marks(sct, sct), tmp_path / "sct.nrrd")
    progress = NotedProgress(Progress())
    candidates = {"sCT": read_volume(tmp_path / "sct.nrrd", "candidate"), "other": ct_like(3)}
    checked_inputs(ct_like(), candidates, None, {}, EvaluationSettings(), progress)
    (told,) = [note for note in progress.warnings if "domain" in note]
    assert told == (
        "sCT was made of an MR outside the domain of its model: The field of view is small. The "
        "slices are tilted."
    )
