"""Acceptance files: the shipped ones as published, and a sentence for every mistake."""

from __future__ import annotations

import hashlib

import pytest
from SyntheticCTEvalLib.acceptance.limits import SHIPPED, acceptance_file, read_acceptance
from SyntheticCTEvalLib.evaluation.limits import Limit
from SyntheticCTEvalLib.evaluation.quantities import HIGHER, LOWER, OF_NOISE, QUANTITIES, ZERO
from SyntheticCTLib.basics.errors import SyntheticCTError

HEAD = 'name = "Ours"\nsource = "Meeting of 3 May"\n'


def read(tmp_path, limits, head=HEAD):
    path = tmp_path / "ours.toml"
    path.write_text(head + limits, encoding="utf-8")
    return read_acceptance(path)


def limit(**keys):
    lines = [f"{key} = {value}" for key, value in keys.items()]
    return "\n".join(["[[limit]]", *lines, ""])


def test_shipped_files_are_what_was_published():
    tg218, korsholm = map(read_acceptance, SHIPPED)
    assert "doi:10.1002/mp.12810" in tg218.source and "Miften" in tg218.source
    assert tg218.limits == (
        Limit("gpr_criteria", HIGHER, 95, 90, criterion="3%/2mm", cutoff_percent=10),
    )
    assert "Radiat Oncol 2014;9:16" in korsholm.source
    assert "95 % of the patients" in korsholm.note
    assert [(each.figure, each.structure, each.better) for each in korsholm.limits] == [
        (f"{point}_difference", "target", ZERO) for point in ("D50", "D2", "D98")
    ]
    assert {(each.tolerance, each.action) for each in korsholm.limits} == {(2.0, None)}
    assert {each.unit for each in korsholm.limits} == {"% of prescription"}
    for name, found in zip(SHIPPED, (tg218, korsholm), strict=True):
        content = acceptance_file(name).read_bytes()
        assert found.sha256 == hashlib.sha256(content).hexdigest()
        assert found.text.encode() == content


def test_a_file_holds_limits_of_figures_by_their_own_names(tmp_path):
    found = read(
        tmp_path,
        limit(figure='"mae_body"', tolerance=40, action=60, label='"Body MAE"')
        + limit(figure='"V40Gy_difference"', structure='"Bladder*"', action=1.5)
        + limit(figure='"V40_cc_difference"', structure='"Bowel"', tolerance=5)
        + limit(figure='"D2cc_difference_gy"', structure='"Rectum"', tolerance=0.5)
        + limit(figure='"gpr_structures"', structure='"target"', criterion='"3 % / 2 mm local"',
                tolerance=95)
        + limit(figure='"tissue_mae"', tissue='"compact"', tolerance=120)
        + limit(figure='"coverage_body_percent"', better='"higher"', tolerance=99)
        + limit(figure='"V45Gy"', structure='"Bowel"', better='"lower"', tolerance=30),
    )  # fmt: skip
    paths = [each.path("X" if each.structure else "") for each in found.limits]
    assert paths == [
        ("mae_body",), ("dvh", "X", "V40Gy_difference"), ("dvh", "X", "V40Gy_cm3_difference"),
        ("dvh", "X", "D2cm3_difference_gy"), ("gpr_structures", "X", "3%/2mm local"),
        ("tissue_mae", "compact"), ("coverage_body_percent",), ("dvh", "X", "V45Gy"),
    ]  # fmt: skip
    assert [each.unit for each in found.limits] == [
        "HU", "% points", "cm³", "Gy", "%", "HU", "%", "%"
    ]  # fmt: skip
    words = [each.levels_words.replace("\N{NO-BREAK SPACE}", " ") for each in found.limits]
    assert words[:3] == [
        "tolerance at most 40 HU; action level at most 60 HU", "action level ± 1.5 % points",
        "tolerance ± 5 cm³",
    ]  # fmt: skip
    assert words[6:] == ["tolerance at least 99 %", "tolerance at most 30 %"]
    assert found.limits[0].better == LOWER and found.note == ""


GOOD = {"figure": '"mae_body"', "tolerance": 40, "action": 60}
DVH = {"figure": '"D98_difference"', "structure": '"target"', "tolerance": 2}
RATE = {"figure": '"gpr_criteria"', "criterion": '"3/2"', "cutoff_percent": 10, "tolerance": 95}


def without(keys, *names):
    return {key: value for key, value in keys.items() if key not in names}


MISTAKES = {
    "unknown figure": ({**GOOD, "figure": '"mae_bodi"'}, ["limit 2", "mae_bodi", "mae_body?"]),
    "no figure": (without(GOOD, "figure"), ["figure is missing"]),
    "figure of a run": ({**RATE, "figure": '"gpr"'}, ["gpr_criteria"]),
    "histogram": ({**GOOD, "figure": '"hu_histogram"'}, ["hu_histogram"]),
    "point without meaning": ({**DVH, "figure": '"D150_difference"'}, ["D150_difference"]),
    "volume in Gy": ({**DVH, "figure": '"V40_difference_gy"'}, ["V40Gy_difference"]),
    "unknown key": ({**GOOD, "tolerence": 3}, ["tolerence", "tolerance?", "mae_body"]),
    "key of others": ({**GOOD, "structure": '"PTV"'}, ["mae_body has no structure"]),
    "no criterion": (without(RATE, "criterion"), ["gpr_criteria needs criterion"]),
    "no cutoff": (without(RATE, "cutoff_percent"), ["needs cutoff_percent"]),
    "no structure": (without(DVH, "structure"), ["D98_difference needs structure"]),
    "criterion": ({**RATE, "criterion": '"three"'}, ["criterion", "three"]),
    "criterion as number": ({**RATE, "criterion": 3}, ["criterion is 3", "quotes"]),
    "criterion of 0": ({**RATE, "criterion": '"0/2"'}, ["criterion"]),
    "cutoff": ({**RATE, "cutoff_percent": 110}, ["cutoff_percent is 110"]),
    "text for a number": ({**GOOD, "tolerance": '"40"'}, ["tolerance is '40'", "number"]),
    "truth for a number": ({**GOOD, "tolerance": "true"}, ["tolerance is True"]),
    "not a number": ({**GOOD, "action": "nan"}, ["action is nan"]),
    "endless": ({**GOOD, "action": "inf"}, ["action is inf"]),
    "no limit": (without(GOOD, "tolerance", "action"), ["neither tolerance nor action"]),
    "wrong side, low": ({**GOOD, "action": 30}, ["action (30)", "above the tolerance"]),
    "wrong side, high": ({**RATE, "action": 97}, ["action (97)", "below the tolerance"]),
    "wrong side, zero": ({**DVH, "action": 1}, ["action (1)", "above the tolerance"]),
    "negative size": ({**DVH, "tolerance": -2}, ["tolerance is -2"]),
    "percent as part": ({**RATE, "tolerance": 950}, ["tolerance is 950"]),
    "part as percent": (
        {"figure": '"dsc_body"', "tolerance": 95}, ["tolerance is 95", "at most 1"]
    ),
    "no better side": ({"figure": '"background_hu"', "tolerance": 5}, ["better"]),
    "absolute dose": ({**DVH, "figure": '"D98"'}, ["D98_difference", "better"]),
    "wrong better": ({**GOOD, "better": '"higher"'}, ["lower is better"]),
    "unknown better": ({**GOOD, "better": '"big"'}, ["'big'"]),
    "tissue": ({"figure": '"tissue_mae"', "tissue": '"bone"', "tolerance": 5}, ["'bone'"]),
    "empty structure": ({**DVH, "structure": '""'}, ["structure is ''"]),
    "semicolon": ({**DVH, "structure": '"a;b"'}, ["semicolon"]),
    "label as number": ({**GOOD, "label": 5}, ["label is 5"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_limit_is_told_with_limit_and_key(tmp_path, mistake):
    keys, told = MISTAKES[mistake]
    with pytest.raises(SyntheticCTError) as caught:
        read(tmp_path, limit(figure='"ssim"', tolerance=0.9) + limit(**keys))
    sentence = str(caught.value)
    assert sentence.startswith("The acceptance file ours.toml, limit 2")
    assert all(word in sentence for word in told), sentence
    assert sentence.endswith(".") and "\n" not in sentence and str(tmp_path) not in sentence


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "name is missing"),
        ('name = "a"\n' + limit(**GOOD), "source is missing"),
        ('name = 5\nsource = "b"\n', "name is 5"),
        (HEAD, "no limits"),
        (HEAD + "limit = 5\n", "no limits"),
        (HEAD + "[limit]\nfigure = 'ssim'\n", "no limits"),
        (HEAD + "limits = []\n", "'limits' (is it limit?)"),
        (HEAD + "[[limit]]\ntolerance = 1,5\n", "no TOML"),
        (HEAD + limit(**DVH) + limit(**{**DVH, "tolerance": 3}), "limits 1 and 2 are both"),
        (HEAD + limit(**DVH) + limit(**{**DVH, "figure": '"d98%_difference"'}), "1 and 2"),
    ],
)
def test_a_mistake_in_a_file_is_told(tmp_path, text, told):
    with pytest.raises(SyntheticCTError, match=r"acceptance file ours\.toml") as caught:
        read(tmp_path, text, head="")
    assert told in str(caught.value)


def test_what_is_no_file_is_refused_and_the_shipped_names_are_told(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path, "tg219"):
        with pytest.raises(SyntheticCTError, match="tg218, korsholm2014"):
            read_acceptance(path)
    (tmp_path / "ours.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(SyntheticCTError, match="no TOML"):
        read_acceptance(tmp_path / "ours.toml")


def test_a_file_of_windows_is_read_and_kept_as_it_is(tmp_path):
    content = "\ufeff" + (HEAD + limit(**GOOD)).replace("\n", "\r\n")
    (tmp_path / "ours.toml").write_bytes(content.encode())
    found = read_acceptance(tmp_path / "ours.toml")
    assert found.text == content
    assert found.sha256 == hashlib.sha256(content.encode()).hexdigest()


def test_every_figure_that_has_a_better_side_can_be_limited(tmp_path):
    for name, quantity in QUANTITIES.items():
        if name in ("gpr", "gpr_criteria", "gpr_structures", "tissue_mae", *OF_NOISE):
            continue
        keys = {"figure": f'"{name}"', "tolerance": 0.5}
        keys |= {} if quantity.better else {"better": '"lower"'}
        assert read(tmp_path, limit(**keys)).limits[0].path() == (name,)
