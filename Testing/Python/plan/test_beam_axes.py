"""Where beams come from: DICOM's patient positions, and rotations of IEC 61217."""

import numpy as np
import pytest
from SyntheticCTEvalLib.plan.beams import Beam, ControlPoint
from SyntheticCTEvalLib.plan.geometry import PATIENT_AXES, beam_axes


def axes(position="HFS", gantry=0.0, collimator=0.0, couch=0.0):
    point = ControlPoint(0.0, gantry, collimator_deg=collimator, couch_deg=couch)
    return beam_axes(Beam(1, "one", (10.0, 20.0, 30.0), (point,), 100.0), point, position)


@pytest.mark.parametrize(
    ("position", "above", "right", "gantry_side"),
    [  # where the source is at gantry 0, at gantry 90, and which way the gantry's stand lies (LPS)
        ("HFS", (0, -1, 0), (1, 0, 0), (0, 0, 1)),
        ("HFP", (0, 1, 0), (-1, 0, 0), (0, 0, 1)),
        ("FFS", (0, -1, 0), (-1, 0, 0), (0, 0, -1)),
        ("FFP", (0, 1, 0), (1, 0, 0), (0, 0, -1)),
        ("HFDR", (1, 0, 0), (0, 1, 0), (0, 0, 1)),
        ("HFDL", (-1, 0, 0), (0, -1, 0), (0, 0, 1)),
        ("FFDR", (1, 0, 0), (0, -1, 0), (0, 0, -1)),
        ("FFDL", (-1, 0, 0), (0, 1, 0), (0, 0, -1)),
    ],
)
def test_a_patient_lies_as_the_position_says(position, above, right, gantry_side):
    from_above = axes(position)
    np.testing.assert_allclose(from_above.source_mm, np.add((10, 20, 30), np.multiply(1000, above)))
    np.testing.assert_allclose(from_above.zb, above, atol=1e-12)
    np.testing.assert_allclose(from_above.xb, right, atol=1e-12)
    np.testing.assert_allclose(from_above.yb, gantry_side, atol=1e-12)
    np.testing.assert_allclose(axes(position, gantry=90).zb, right, atol=1e-12)


def test_collimator_and_couch_turn_as_iec_61217_says():
    # Seen from the source, the collimator turns counter-clockwise: Xb goes to where Yb was.
    np.testing.assert_allclose(axes(collimator=90).xb, (0, 0, 1), atol=1e-12)
    np.testing.assert_allclose(axes(collimator=90).yb, (-1, 0, 0), atol=1e-12)
    # Seen from above the couch turns counter-clockwise: the head goes to Xf negative, so that a
    # source at Xf positive (gantry 90) shines from the feet.
    np.testing.assert_allclose(axes(gantry=90, couch=90).zb, (0, 0, -1), atol=1e-12)
    np.testing.assert_allclose(axes(gantry=0, couch=90).zb, (0, -1, 0), atol=1e-12)


def test_axes_are_right_handed_at_all_angles():
    rng = np.random.default_rng(1)
    for position in PATIENT_AXES:
        turned = axes(position, *rng.uniform(0, 360, 3))
        matrix = np.stack([turned.xb, turned.yb, turned.zb])
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(np.cross(turned.xb, turned.yb), turned.zb, atol=1e-12)
