"""Which structure is the target: by words, and said."""

from __future__ import annotations

import pytest
import SimpleITK as sitk
from SyntheticCTEvalLib.structures.target import describe_target, find_target

FULL = sitk.Image(2, 2, 2, sitk.sitkUInt8) + 1
EMPTY = sitk.Image(2, 2, 2, sitk.sitkUInt8)


def masks(*names):
    return dict.fromkeys(names, FULL)


@pytest.mark.parametrize(
    "name",
    [
        *("PTV", "PTV_4500", "PTV45", "ptv45", "PTVp", "PTVn_4500", "PTV-1", "PTVboost", "iGTV"),
        *("Prostate-PTV", "Prostate_PTV", "HR-CTV", "HRCTV", "PTV 50.4 Gy", "PTV+SV", "Targets"),
        *("PTV prostate and nodes", "R-PTV", "PTV_High", "PTVsb", "target volume"),
    ],
)
def test_a_target_is_known_by_its_words(name):
    assert find_target(masks("bladder", name), None) == name


@pytest.mark.parametrize(
    "name",
    [
        *("Bowel-PTV", "Rectum_PTV", "PTV-Bladder", "PTV - Rectum", "Tissue-PTV", "Rectum in PTV"),
        *("PTV_ring", "PTVring", "PTV_RING", "PTVRING", "Ring around PTV", "zPTV", "z_PTV_45"),
        *("PTV_eval", "PTVopt", "PTV_opt1", "noPTV", "avoid_PTV", "NTCP_PTV", "PTV_minus_Rectum"),
        *("PTV-CTV", "PTV45-PTV60", "PTV-3mm", "PTV+5 mm", "PTV!_45", "bowelptv", "BOWELPTV"),
        *("off-target", "BowelMinusPTV", "Bowel \N{MINUS SIGN} PTV", "captive", "prostate"),
    ],
)
def test_a_help_structure_is_never_the_target(name):
    assert find_target(masks(name), None) is None
    assert find_target(masks(name, "PTV_4500"), None) == "PTV_4500"
    assert find_target(masks(name), name) == name


def test_of_several_the_highest_dose_level_is_taken_and_said():
    names = masks("CTV_7000", "PTV", "PTV_Low", "PTV_4500", "PTV 60Gy", "PTV_ring")
    assert find_target(names, None) == "PTV 60Gy"
    line, (note,) = describe_target(names, None)
    assert line.startswith("PTV 60Gy, because") and "PTV_4500" in line and "PTV_ring" not in line
    assert "PTV 60Gy" in note
    assert find_target(masks("PTV_Low", "PTV_High"), None) == "PTV_High"
    assert find_target(masks("PTVa", "PTVb"), None) == "PTVa"
    assert find_target({"PTV_70": EMPTY, "PTV_60": FULL}, None) == "PTV_60"


def test_what_was_taken_or_not_is_said():
    assert describe_target(masks("PTV", "rectum"), None) == (
        "PTV, the only structure that is a target by its name.",
        [],
    )
    assert describe_target(masks("PTV", "CTV"), "CTV") == ("CTV, as asked for.", [])
    line, (note,) = describe_target(masks("Bowel-PTV", "rectum"), None)
    assert "No structure is a target" in line and "Bowel-PTV" in line and line == note
