"""What a reader must not conclude stands first in a report, each in one line."""

from __future__ import annotations

import pytest
from evaluations import made_evaluation
from SyntheticCTEvalLib.acceptance.limits import read_acceptance
from SyntheticCTEvalLib.acceptance.verdicts import judge, verdicts_of
from SyntheticCTEvalLib.dose.doses import imported_doses
from SyntheticCTEvalLib.evaluation.bounds import BOUNDS, bounds_of, scope_of
from SyntheticCTEvalLib.evaluation.limits import Acceptance, Limit
from SyntheticCTEvalLib.evaluation.origin import model_entry
from SyntheticCTEvalLib.placement.ways import told_way
from SyntheticCTEvalLib.report.blocks import Document, Notes
from SyntheticCTEvalLib.report.summary import VERDICTS, renew_verdicts, summary_section
from SyntheticCTLib.bundle.folder import demo_bundle_folder, read_card

NOTHING = "commission nothing"


def _evaluation(**options):
    evaluation = made_evaluation(**{"mr": False, "structures": False, "dose": False, **options})
    evaluation.registration = told_way("none", "candidate")
    return evaluation


def _limits(*limits):
    return Acceptance("Ours", "us", limits, "text", "abc")


def test_a_result_without_demo_model_own_dose_or_bending_has_no_bounds():
    evaluation = _evaluation()
    assert bounds_of(evaluation) == []
    assert not any(isinstance(block, Notes) for block in summary_section(evaluation).blocks)


@pytest.mark.parametrize("known_by", ["volume", "origin"])
def test_what_the_demo_model_made_commissions_nothing(known_by):
    evaluation, demo = _evaluation(), read_card(demo_bundle_folder()).sha256
    if known_by == "volume":
        evaluation.candidates["sCT"].volume.SetMetaData("SyntheticCTModel", demo)
    else:
        evaluation.origin = {"inputs": {"candidate sCT": {"model_sha256": demo}}}
    (said,) = bounds_of(evaluation)
    assert said.startswith("sCT was made by the demo model") and NOTHING in said
    assert "MRCAT" not in said


def test_another_model_counts_where_its_bundle_says_that_it_knows_digital_patients_alone():
    evaluation, card = _evaluation(), read_card(demo_bundle_folder())
    assert model_entry("a/DemoModel", card) == {
        "name": "DemoModel", "sha256": card.sha256, "phantom": True
    }  # fmt: skip
    evaluation.candidates["sCT"].volume.SetMetaData("SyntheticCTModel", "f00d")
    for phantom in (True, False):
        evaluation.origin = {"model": {"name": "own", "sha256": "f00d", "phantom": phantom}}
        said = bounds_of(evaluation)
        assert ("sCT was made by a model" in " ".join(said)) == phantom
    evaluation.candidates["sCT"].volume.EraseMetaData("SyntheticCTModel")
    evaluation.origin["model"]["phantom"] = True
    assert bounds_of(evaluation)[0].startswith("The model is a model, trained on digital patients")


def test_the_own_pencil_beam_is_no_planning_system_and_an_imported_dose_is_left_alone():
    evaluation = _evaluation(dose=True)
    dose = evaluation.dose_ct
    evaluation.definitions["dose"] = "pydosert 1.0 pencil beam on a grid"
    (said,) = bounds_of(evaluation)
    assert "pencil beam" in said and "treatment planning system" in said and NOTHING in said
    given = imported_doses(evaluation.ct, evaluation.body, dose, {"sCT": dose}, ["sCT"], 45.0)
    evaluation.definitions["dose"] = given.definition
    assert bounds_of(evaluation) == []


def test_a_candidate_that_was_bent_by_itself_took_its_errors_along():
    evaluation = _evaluation()
    said = {}
    for way in ("none", "rigid", "deformable"):
        for by in ("candidate", "mr"):
            evaluation.registration = told_way(way, by)
            said[way, by] = " ".join(bounds_of(evaluation))
    assert "bent" in said["deformable", "candidate"]
    assert "its own errors with it" in said["deformable", "candidate"]
    assert "--registration-by mr" in said["deformable", "candidate"]
    assert "a shift of it as a whole" in said["rigid", "candidate"]
    assert "bent" not in said["rigid", "candidate"]
    others = [said[k] for k in said if k[1] == "mr" or k[0] == "none"]
    assert set(others) == {""}


OARS = "nothing of organs at risk"
NO_DOSE = "no limit concerns dose"


@pytest.mark.parametrize(
    ("limits", "said", "not_said"),
    [
        ([Limit("D98_difference", "", 2, structure="target")], "the target alone: they say " + OARS,
         "pass rates"),
        ([Limit("D98_difference", "", 2, structure="PTV*")], OARS, NO_DOSE),
        ([Limit("D98_difference", "", 2, structure="bed")], OARS, NO_DOSE),
        ([Limit("gpr_structures", "", 2, criterion="3%/2mm", structure="CTV")], OARS, NO_DOSE),
        ([Limit("gpr_criteria", "", 95, criterion="3%/2mm", cutoff_percent=10)],
         "pass rates as a whole alone: they say " + OARS, "target"),
        ([Limit("D98_difference", "", 2, structure="target"),
          Limit("gpr_criteria", "", 95, criterion="3%/2mm", cutoff_percent=10)],
         "the target and pass rates as a whole alone", NO_DOSE),
        ([Limit("D98_difference", "", 2, structure="target"),
          Limit("V40Gy", "", 50, structure="Bladder")], "", OARS),
        ([Limit("D2_difference", "", 2, structure="*")], "", OARS),
        ([Limit("D2_difference", "", 2, structure="Bowel-PTV")], "", OARS),
        ([Limit("mae_body", "", 50)], NO_DOSE, OARS),
    ],
)  # fmt: skip
def test_limits_say_what_they_say_nothing_of(limits, said, not_said):
    acceptance = _limits(*limits)
    figures = {"D98_difference": 0.1, "D2_difference": 0.1}
    metrics = {"dvh": {"bed": figures, "Bladder": figures, "PTV 45": figures}}
    verdicts = {"sCT": verdicts_of(acceptance, metrics, "bed")}
    found = scope_of(acceptance, verdicts, "bed")
    assert said in found and (said != "" or found == "")
    assert not_said not in found


def test_bounds_stand_before_limits_and_stay_where_limits_are_exchanged():
    evaluation = _evaluation(dose=True)
    evaluation.registration = told_way("deformable", "candidate")
    judge(evaluation, read_acceptance("tg218"))
    section = summary_section(evaluation)
    bounds, table = section.blocks[:2]
    assert isinstance(bounds, Notes) and bounds.title == BOUNDS
    assert table.kind == VERDICTS
    assert OARS in table.rows[0][0].small
    whole = list(section.blocks)
    renew_verdicts(Document("", [], "", "", [section]), [])
    assert section.blocks == [bounds, *whole[3:]]
    renew_verdicts(Document("", [], "", "", [section]), whole[1:3])
    assert section.blocks == whole
