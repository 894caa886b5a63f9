"""Types of structures that their names tell, and those that they do not."""

from __future__ import annotations

import pytest
from SyntheticCTEvalLib.structures.roi_types import type_by_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PTV", "PTV"),
        ("PTV_High 50.4Gy", "PTV"),
        ("CTVn", "CTV"),
        ("gtv p", "GTV"),
        ("ITV", ""),  # DICOM has no such type
        ("Target", ""),
        ("PTV-Rectum", ""),
        ("PTV Ring", ""),
        ("zPTV", ""),
        ("Bladder", "ORGAN"),
        ("Femur_Head_L", "ORGAN"),
        ("PenileBulb", "ORGAN"),
        ("Bowel_Bag", "ORGAN"),
        ("Rectum wall", ""),
        ("Bladder-PTV", ""),
        ("Avoid_Rectum", "AVOIDANCE"),
        ("External", "EXTERNAL"),
        ("BODY", "EXTERNAL"),
        ("BODY-PTV", ""),
        ("label 1", ""),
        ("", ""),
        ("膀胱", ""),
    ],
)
def test_a_name_tells_a_type_only_beyond_doubt(name, expected):
    assert type_by_name(name) == expected
