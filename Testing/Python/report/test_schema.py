"""metrics.json keeps to the schema that the package holds."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTEvalLib.acceptance.limits import read_acceptance
from SyntheticCTEvalLib.acceptance.verdicts import judge, settings_for
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.origin import origin
from SyntheticCTEvalLib.evaluation.quantities import flat
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.report.metrics import definition_key, write_metrics
from SyntheticCTLib.volumes.grids import image_like

SCHEMA = json.loads(files("SyntheticCTEvalLib.report").joinpath("metrics.schema.json").read_text())


@pytest.fixture(scope="module")
def evaluation():
    k, j, i = np.indices((14, 26, 28)) - np.array([7, 13, 14])[:, None, None, None]
    body = (j / 10) ** 2 + (i / 12) ** 2 < 1
    ct = sitk.GetImageFromArray(np.where(body, 20, -1000).astype(np.int16))
    ct.SetSpacing((6, 6, 6))
    noise = np.random.default_rng(1).normal(0, 15, body.shape)
    candidate = image_like((sitk.GetArrayFromImage(ct) + noise).astype(np.int16), ct)
    dose = image_like((45 * np.exp(-(i**2 + j**2 + k**2) / 40)).astype(np.float32), ct)
    target = image_like((i**2 + j**2 + k**2 < 9).astype(np.uint8), ct)
    limits = read_acceptance("tg218")
    settings = EvaluationSettings(registration="none", prescription_gy=45.0)
    found = evaluate(
        ct,
        {"sCT": candidate},
        dose_ct=dose,
        doses={"sCT": dose * 1.005},
        structures={"PTV": target},
        settings=settings_for(settings, limits),
    )
    judge(found, limits)
    found.origin = origin({}, {}, hashes={}, images={"CT": ct})
    return found


def test_an_evaluation_with_everything_keeps_to_the_schema(evaluation, tmp_path):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    content = json.loads(write_metrics(evaluation, tmp_path / "metrics.json").read_text())
    jsonschema.validate(content, SCHEMA)
    assert content["acceptance"]["verdicts"]["sCT"] and content["candidates"]["sCT"]["dvh"]["PTV"]
    assert content["notes"] == evaluation.warnings


@pytest.mark.parametrize(
    "broken",
    [
        {"schema": "urn:synthetic-ct:metrics:0"},
        {"prescription_gy": 0},
        {"notes": [1]},
        {"more": 1},
        {"candidates": {"sCT": {"mae_body": "12"}}},
    ],
)
def test_the_schema_holds_something(evaluation, tmp_path, broken):
    content = json.loads(write_metrics(evaluation, tmp_path / "metrics.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content | broken, SCHEMA)


def test_every_figure_has_its_definition(evaluation):
    for key in flat(evaluation.candidates["sCT"].metrics):
        assert definition_key(key) in evaluation.definitions, key
