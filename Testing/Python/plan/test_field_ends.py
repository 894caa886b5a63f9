"""A CT that ends inside a plan's fields."""

import dataclasses

import pytest
import SimpleITK as sitk
from montecarlo_cases import cylinder, square_field
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.field_ends import require_ct_around_fields
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, NotedProgress


def test_tissue_missing_before_a_field_is_refused_and_a_grazed_end_told():
    _, body = cylinder(length=14)  # 112 mm
    tilted = square_field(30.0, gantry_deg=90.0)
    noted = NotedProgress(SILENT)
    require_ct_around_fields(tilted, body, noted)
    assert noted.warnings == []  # 33 mm at the exit
    grazing = square_field(53.0, gantry_deg=90.0)
    require_ct_around_fields(grazing, body, noted)
    assert "leave the CT through its first or last slice" in noted.warnings[0]
    plan = square_field(30.0, gantry_deg=90.0)  # from above the head, through the last slice
    turned = [dataclasses.replace(p, couch_deg=50.0) for p in plan.beams[0].control_points]
    beam = dataclasses.replace(plan.beams[0], control_points=tuple(turned))
    with pytest.raises(SyntheticCTError, match="ends inside a field"):
        require_ct_around_fields(TreatmentPlan((beam,)), body)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
@pytest.mark.parametrize("gantry", [0.0, 90.0])
def test_a_field_that_lies_partly_beyond_the_ct_is_refused(gantry, order):
    """Of 80 mm, 25 pass beside the last slice, where the patient goes on; coronal or sagittal
    storage is no other patient."""
    _, body = cylinder(length=14)  # 112 mm
    body = sitk.PermuteAxes(body, order)
    plan = square_field(40.0, gantry_deg=gantry, isocentre_mm=(0.0, 0.0, 41.0))
    with pytest.raises(SyntheticCTError, match="ends inside a field"):
        require_ct_around_fields(plan, body)
