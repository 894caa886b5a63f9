"""The schemas of metrics.json, of a patient and of a cohort, and what holds a file against them."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
from referencing import Registry, Resource

PATIENT = json.loads(files("SyntheticCTEvalLib.report").joinpath("metrics.schema.json").read_text())
COHORT = json.loads(
    files("SyntheticCTEvalLib.study").joinpath("cohort_metrics.schema.json").read_text()
)


def hold(content: dict[str, Any], schema: dict[str, Any]) -> None:
    """Raise jsonschema.ValidationError where ``content`` does not keep to ``schema``."""
    known = Registry().with_resource(PATIENT["$id"], Resource.from_contents(PATIENT))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema, registry=known).validate(content)
