"""Coarser work for tests of a chain, which do not test how accurate its parts are."""

from __future__ import annotations

import functools

import pytest


def coarse_dose(patch: pytest.MonkeyPatch, spacing_mm: float = 6.0) -> None:
    """Let the demo recalculate dose on a coarse grid, which no option of its asks for."""
    from SyntheticCTEvalLib.evaluation import settings  # here: the harness loads modules anew

    coarse = functools.partial(settings.EvaluationSettings, dose_spacing_mm=spacing_mm)
    patch.setattr(settings, "EvaluationSettings", coarse)


def short_bending(patch: pytest.MonkeyPatch) -> None:
    """Let the stages of a deformable registration end after few evaluations of the metric."""
    from SyntheticCTLib.registration import bspline

    patch.setattr(bspline, "EVALUATIONS", {"mse": (8, 6, 4), "mi": (8, 6, 4)})
