"""Verdicts: figures on both sides of each level, what is not there, and where they are kept."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from SyntheticCTEvalLib.acceptance.limits import read_acceptance
from SyntheticCTEvalLib.acceptance.verdicts import judge, settings_for, verdicts_of
from SyntheticCTEvalLib.evaluation.limits import (
    ACTION,
    FAIL,
    LIMITS_DEFINITION,
    MARKS,
    MISSING,
    PASS,
    Acceptance,
    Limit,
    worst,
)
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.quantities import HIGHER, LOWER, ZERO
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.evaluation.stored import read_evaluation
from SyntheticCTEvalLib.gamma.criteria import Criterion
from SyntheticCTEvalLib.report.folder import ACCEPTANCE, earlier_results, write_evaluation
from SyntheticCTEvalLib.report.summary import verdict_blocks
from SyntheticCTLib.volumes.grids import grid_of, image_like

GRID = grid_of((30, 30, 30), (3.0, 3.0, 3.0), (-43.5, -43.5, -43.5))


def held(limit, metrics, target=None):
    return verdicts_of(Acceptance("ours", "us", (limit,), "", ""), metrics, target)


@pytest.mark.parametrize(
    ("better", "tolerance", "action", "states"),
    [
        (HIGHER, 95, 90, {96: PASS, 95: PASS, 94.999: ACTION, 90: ACTION, 89.999: FAIL}),
        (HIGHER, 95, None, {95: PASS, 94.999: FAIL}),
        (HIGHER, None, 90, {90: PASS, 89.999: FAIL}),
        (LOWER, 40, 60, {0: PASS, 40: PASS, 40.001: ACTION, 60: ACTION, 60.001: FAIL}),
        (ZERO, 2, 3, {-2: PASS, 2: PASS, -2.001: ACTION, 3: ACTION, -3.001: FAIL, 9: FAIL}),
    ],
)
def test_levels_belong_to_what_is_within_them(better, tolerance, action, states):
    limit = Limit("mae_body", better, tolerance, action)
    for value, state in states.items():
        (verdict,) = held(limit, {"mae_body": value})
        assert verdict.state == state, value
        assert verdict.mark == MARKS[state] and verdict.value == value
    assert len(set(MARKS.values())) == 4


@pytest.mark.parametrize(
    ("rate", "noise", "bias", "state", "doubtful"),
    [
        (95.5, 0.2, 0.0, PASS, False),
        (95.5, 0.3, 0.0, PASS, True),
        (94.9, 0.01, -0.2, ACTION, True),  # without noise it would be 95.1
        (94.9, 0.01, 0.2, ACTION, False),
        (99.95, 0.1, 0.0, PASS, False),
        (95.5, None, None, PASS, False),
    ],
)
def test_a_verdict_that_noise_may_have_decided_says_so(rate, noise, bias, state, doubtful):
    limit = Limit("gpr_criteria", HIGHER, 95, 90, criterion="1%/1mm", cutoff_percent=10.0)
    metrics = {"gpr": {"10": rate}, "gpr_criteria": {"1%/1mm": {"10": rate}}}
    if noise is not None:
        metrics["gpr_criteria_noise"] = {"1%/1mm": {"10": noise}}
        metrics["gpr_criteria_bias"] = {"1%/1mm": {"10": bias}}
    (verdict,) = held(limit, metrics)
    assert verdict.state == state
    assert verdict.reason.startswith("noise may decide") == doubtful


@pytest.mark.parametrize(
    ("tolerance", "action", "value", "words"),
    [
        (40, 60, 30, "within tolerance"),
        (40, 60, 50, "beyond tolerance, within action level"),
        (40, 60, 70, "beyond action level"),
        (40, None, 50, "beyond tolerance"),
        (None, 60, 50, "within action level"),
        (None, 60, 70, "beyond action level"),
        (40, 60, None, "not evaluated"),
    ],
)
def test_verdicts_have_words(tolerance, action, value, words):
    (verdict,) = held(Limit("mae_body", LOWER, tolerance, action), {"mae_body": value})
    assert verdict.words == words


def test_a_value_is_printed_on_the_side_on_which_it_was_judged():
    limit = Limit("gpr_criteria", HIGHER, 95, 90, criterion="3%/2mm", cutoff_percent=10)

    def printed(value):
        (verdict,) = held(limit, {"gpr": {}, "gpr_criteria": {"3%/2mm": {"10": value}}})
        return verdict.printed

    assert [printed(v) for v in (95.0, 94.9996, 94.99, 89.99996)] == [
        "95.00", "94.9996", "94.99", "89.99996"
    ]  # fmt: skip
    difference = Limit("D98_difference", ZERO, 2, structure="PTV")
    for value, text in ((0.0, "0.00"), (-2.0004, "−2.0004"), (2.0, "+2.00"), (0.5, "+0.50")):
        (verdict,) = held(difference, {"dvh": {"PTV": {"D98_difference": value}}})
        assert verdict.printed == text


def test_structures_are_found_by_pattern_and_as_the_target():
    metrics = {
        "gpr": {},
        "dvh": {n: {"D98_difference": v} for n, v in
                (("Ziel", 1.0), ("PTV_45", 3.0), ("ptv_50", 0.1))},
    }  # fmt: skip
    by_pattern = Limit("D98_difference", ZERO, 2, structure="PTV*")
    assert [(v.path[1], v.state) for v in held(by_pattern, metrics, "Ziel")] == [
        ("PTV_45", FAIL), ("ptv_50", PASS)
    ]  # fmt: skip
    target = Limit("D98_difference", ZERO, 2, structure="Target", label="Coverage")
    (verdict,) = held(target, metrics, "Ziel")
    assert (verdict.path[1], verdict.label) == ("Ziel", "Coverage (Ziel)")
    (verdict,) = held(target, metrics)
    assert verdict.state == MISSING and "target" in verdict.reason
    (verdict,) = held(Limit("D98_difference", ZERO, 2, structure="GTV"), metrics)
    assert verdict.state == MISSING and "GTV" in verdict.reason


@pytest.mark.parametrize("own", ["", "Bladder is fine"])
def test_a_limit_on_pass_rates_of_structures_names_the_cutoff_that_they_are_above(own):
    limit = Limit("gpr_structures", HIGHER, 95, criterion="2%/2mm", structure="Bladder*", label=own)
    metrics = {
        "gpr": {"60": 90.0, "5": 99.0, "10": 98.0},
        "gpr_structures": {"Bladder": {"2%/2mm": 96.0}},
    }
    (verdict,) = held(limit, metrics)
    start = f"{own} (Bladder)" if own else "Gamma pass rate 2 %/2 mm in Bladder"
    assert verdict.label == f"{start}, dose above 5 %" == verdict.entry()["label"]
    (verdict,) = held(limit, metrics | {"gpr_structures": {}})
    assert verdict.state == MISSING and verdict.label.endswith("dose above 5 %")
    assert "lowest dose cutoff" in LIMITS_DEFINITION


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ({}, "no dose"),
        ({"gpr": {}, "gpr_criteria": {"1%/1mm": {"10": 99.0}}}, "not computed"),
        ({"gpr": {}, "gpr_criteria": {"3%/2mm": {"60": 99.0}}}, "not computed"),
        ({"gpr": {}, "gpr_criteria": {"3%/2mm": {"10": None}}}, "does not exist"),
        ({"gpr": {}, "gpr_criteria": {"3%/2mm": {"10": math.nan}}}, "does not exist"),
    ],
)
def test_what_is_not_there_is_not_evaluated_and_not_accepted(metrics, reason):
    (verdict,) = verdicts_of(read_acceptance("tg218"), metrics, None)
    assert (verdict.state, verdict.value, verdict.printed) == (MISSING, None, "n/a")
    assert reason in verdict.reason
    assert worst([verdict.state]) == MISSING
    good = held(Limit("mae_body", LOWER, 40), {"mae_body": 1.0})
    good = [each.state for each in good]
    assert worst([*good, MISSING]) == MISSING and worst(good) == PASS and worst([]) == ""
    bad = held(Limit("mae_body", LOWER, 40), {"mae_body": 100.0})
    assert worst([*(each.state for each in bad), MISSING]) == FAIL


def test_settings_get_what_limits_need_and_keep_what_was_asked_for():
    limits = (
        *read_acceptance("tg218").limits,
        *read_acceptance("korsholm2014").limits,
        Limit("V40Gy_difference", ZERO, 2, structure="Bladder*"),
        Limit("gpr_structures", HIGHER, 95, criterion="2%/2mm", structure="target"),
    )
    asked = EvaluationSettings(cutoffs_percent=(20.0,), dvh_points="PTV: D1")
    found = settings_for(asked, Acceptance("ours", "us", limits, "", ""))
    assert found.criteria == (Criterion(1, 1), Criterion(3, 2), Criterion(2, 2))
    assert found.cutoffs_percent == (20.0, 10.0)
    assert found.dvh_points == "PTV: D1; +Bladder*: V40Gy"
    assert settings_for(asked, None) == asked
    assert settings_for(EvaluationSettings(), read_acceptance("korsholm2014")) == (
        EvaluationSettings()
    )


@pytest.fixture(scope="module")
def evaluation():
    i, j, k = np.indices((30, 30, 30)).astype(np.float32)
    distance = (i - 14.5) ** 2 + (j - 14.5) ** 2 + (k - 14.5) ** 2
    values = np.where(distance < 12**2, 20, -1000).astype(np.int16)
    ct, other = image_like(values, GRID), image_like(values + np.int16(9), GRID)
    dose = 45 * np.exp(-distance / 200).astype(np.float32)
    limits = (
        *read_acceptance("tg218").limits,
        Limit("D98_difference", ZERO, 2, structure="target"),
        Limit("V30Gy_difference", ZERO, 2, structure="Bladder", label="Blase"),
        Limit("mae_body", LOWER, 5, 20),
    )
    acceptance = Acceptance("Ours & others", "<us>", limits, "name = 'Ours'\r\n", "abc", "Note.")
    found = evaluate(
        ct,
        {"sCT": other, "hot": other, "undosed": other},
        dose_ct=image_like(dose, GRID),
        doses={"sCT": image_like(dose, GRID), "hot": image_like(1.1 * dose, GRID)},
        structures={
            "PTV": image_like((distance < 25).astype(np.uint8), GRID),
            "Bladder": image_like((distance < 81).astype(np.uint8), GRID),
        },
        settings=settings_for(
            EvaluationSettings(registration="none", prescription_gy=45.0), acceptance
        ),
    )
    judge(found, acceptance)
    return found


def test_an_evaluation_is_judged_by_its_own_figures(evaluation):
    states = {n: [v.state for v in found] for n, found in evaluation.verdicts.items()}
    assert states == {
        "sCT": [PASS, PASS, PASS, ACTION],
        "hot": [FAIL, FAIL, FAIL, ACTION],
        "undosed": [MISSING, MISSING, MISSING, ACTION],
    }
    entry = evaluation.metrics()["acceptance"]
    assert (entry["name"], entry["sha256"], entry["text"]) == (
        "Ours & others", "abc", "name = 'Ours'\r\n"
    )  # fmt: skip
    for name, verdicts in entry["verdicts"].items():
        figures = json.loads(json.dumps(evaluation.metrics()["candidates"][name], default=str))
        for verdict in verdicts:
            value = figures
            for part in verdict["figure"]:
                value = value.get(part, {}) if verdict["verdict"] == MISSING else value[part]
            assert verdict["value"] == (None if verdict["verdict"] == MISSING else value)
            assert (verdict["reason"] != "") == (verdict["verdict"] == MISSING)
    judge(evaluation, None)
    assert evaluation.metrics()["acceptance"] is None and evaluation.verdicts == {}
    assert verdict_blocks(evaluation) == []


def test_verdicts_are_stored_printed_and_replaced(evaluation, tmp_path):
    judge(evaluation, acceptance := Acceptance(
        "Ours & others", "<us>",
        (*read_acceptance("tg218").limits, Limit("D98_difference", ZERO, 2, structure="P*")),
        "name = 'Ours'\r\n", "abc", "Note.",
    ))  # fmt: skip
    write_evaluation(evaluation, tmp_path)
    assert (tmp_path / ACCEPTANCE).read_bytes() == acceptance.text.encode()
    assert tmp_path / ACCEPTANCE in earlier_results(tmp_path)
    again = read_evaluation(tmp_path)
    assert again.acceptance == evaluation.acceptance
    assert again.verdicts == evaluation.verdicts
    table, text = verdict_blocks(again)
    assert [row[0].text for row in table.rows] == [
        "All limits", "Gamma pass rate 3 %/2 mm, dose above 10 %", "PTV, D98 difference"
    ]  # fmt: skip
    overall = table.rows[0][1:]
    assert [cell.text[0] for cell in overall] == [MARKS[PASS], MARKS[FAIL], MARKS[MISSING]]
    assert [cell.small for cell in overall] == [
        "all 2 within",
        "all 2 beyond",
        "all 2 not evaluated",
    ]
    assert [cell.text.split()[1] for cell in overall] == ["within", "beyond", "not"]
    assert "action level at least" in table.rows[1][0].small.replace("\N{NO-BREAK SPACE}", " ")
    assert text.text.startswith("Limits: <us>. Note. ")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.index("Ours &amp; others") < page.index("Gamma pass rate")
    assert "&lt;us&gt;" in page and "✗" in page and "beyond action level" in page
    judge(evaluation, None)
    (tmp_path / "bare").mkdir()
    write_evaluation(evaluation, tmp_path / "bare")
    assert not (tmp_path / "bare" / ACCEPTANCE).exists()
    assert read_evaluation(tmp_path / "bare").acceptance is None
    assert "Acceptance" not in (tmp_path / "bare" / "report.html").read_text(encoding="utf-8")
    for folder in (tmp_path, tmp_path / "bare"):
        found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        assert "levels themselves are within" in found["definitions"]["acceptance"]
