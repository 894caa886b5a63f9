"""Which role is proposed for an image series, and what is left empty and named."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from archives import CT, MR, MRCAT, T2, Patient, mdixon
from pydicom.uid import generate_uid
from SyntheticCTLib.archive.rows import Row
from SyntheticCTLib.archive.sorting import sort_folder

SPIN = {"ScanningSequence": "SE", "EchoTime": "100", "RepetitionTime": "4000"}
FIELD = {"ScanningSequence": "GR", "EchoTime": "2", "RepetitionTime": "6"}


def only_row(folder) -> Row:
    (row,) = sort_folder(folder).rows
    return row


def of(folder, header: dict) -> Row:
    Patient().image(folder, header)
    return only_row(folder)


@pytest.mark.parametrize(
    "header",
    [
        {"SeriesDescription": "T2W_SPAIR_tra"},
        {"SeriesDescription": "t2_tse_fs_tra"},
        {"SeriesDescription": "Ax T2 FatSat"},
        {"ScanOptions": ["FS", "SP"]},
        {"ScanningSequence": ["SE", "IR"], "InversionTime": "160"},
    ],
)
def test_a_t2_without_fat_is_no_plain_t2(tmp_path, header):
    row = of(tmp_path, T2 | header)
    assert row.role == "" and "fat suppressed" in row.ambiguous


@pytest.mark.parametrize("kind", ["P", "R", "I", "PHASE MAP", "P_SE"])
def test_phase_real_and_imaginary_images_have_no_role(tmp_path, kind):
    row = of(tmp_path, T2 | {"ImageType": ["ORIGINAL", "PRIMARY", kind]})
    assert row.role == "" and "and not magnitude" in row.why


@pytest.mark.parametrize(
    ("header", "role"),
    [
        (T2, "MR T2"),
        (MR | SPIN, "MR T2"),
        (MR | SPIN | {"SeriesDescription": "T2W_TSE_ax"}, "MR T2"),
        (MR | {"SeriesDescription": "Ax T2 FRFSE"}, "MR T2"),
        (CT, "CT"),
        (CT | {"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}, "CT"),
        ({"Modality": "CT"}, "CT"),
        (CT | {"SeriesDescription": "Synthetic CT"}, "synthetic CT"),
        ({"Modality": "CT", "SeriesDescription": "sCT pelvis"}, "synthetic CT"),
        (CT | {"SeriesDescription": "pCT Pelvis_CT"}, "CT"),
        (MR | {"SeriesDescription": "pseudo-CT"}, "synthetic CT"),
        (mdixon("W"), "mDixon water"),
        (mdixon("F"), "mDixon fat"),
        (mdixon("IP"), "mDixon in-phase"),
        (mdixon("OP"), "mDixon opposed"),
        (mdixon("OUT_PHASE"), "mDixon opposed"),
        (MR | FIELD | {"SeriesDescription": "t1_vibe_dixon_tra_W"}, "mDixon water"),
        (MR | FIELD | {"SeriesDescription": "t1_vibe_dixon_tra_F"}, "mDixon fat"),
        (MR | FIELD | {"SeriesDescription": "t1_vibe_dixon_tra_in"}, "mDixon in-phase"),
        (MR | FIELD | {"SeriesDescription": "t1_vibe_dixon_tra_opp"}, "mDixon opposed"),
        (MR | FIELD | {"SeriesDescription": "OutPhase: LAVA-Flex"}, "mDixon opposed"),
        (mdixon("W", SeriesDescription="MRCAT_source_mDIXON"), "mDixon water"),
    ],
)
def test_what_headers_say(tmp_path, header, role):
    row = of(tmp_path, header)
    assert (row.role, row.ambiguous) == (role, "")
    assert row.why


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (CT | {"ImageType": ["DERIVED", "SECONDARY"], "KVP": None}, "it may be computed"),
        (CT | {"SeriesDescription": "sCT"}, "but original with tube voltage"),
        (CT | {"SeriesDescription": "MRCAT"}, "not the five of an MRCAT"),
        (MR | {"SeriesDescription": "MRCAT pelvis"}, "not the five of an MRCAT"),
        (T2 | {"EchoTime": "9"}, "says T2, but TE 9 ms"),
        (MR | FIELD | {"SeriesDescription": "T2 tra"}, "says T2, but TE 2 ms"),
        (MR | {"SeriesDescription": "t1_t2_mix"}, "says t1 and T2"),
        (MR | {"EchoTime": "100"}, "may be T2-weighted"),
        (mdixon("W", **SPIN), "of a T2-weighted Dixon"),
        (MR | {"SeriesDescription": "t2_tse_dixon_in"}, "of a T2-weighted Dixon"),
        (MR | {"SeriesDescription": "mDixon"}, "says nothing of its phase"),
        (mdixon("W", SeriesDescription="dixon fat"), "says mDixon fat and mDixon water"),
        ({"Modality": "OT"}, "do not say of which modality"),
    ],
)
def test_what_is_ambiguous_has_no_role_and_is_named(tmp_path, header, sentence):
    row = of(tmp_path, header)
    assert row.role == ""
    assert sentence in row.ambiguous


@pytest.mark.parametrize(
    "header",
    [
        MR | SPIN | {"SeriesDescription": "ep2d_diff_ADC"},
        MR | {"SeriesDescription": "t2_star"},
        T2 | {"SeriesDescription": "T2 map"},
        T2 | {"SeriesDescription": "survey"},
        T2 | {"DiffusionBValue": 800.0},
        T2 | {"SeriesDescription": "t2_tirm_cor"},
        MR | FIELD,
        {"Modality": "PT"},
        CT | {"SeriesDescription": "kV_CBCT_1a"},
        CT | {"ManufacturerModelName": "On-Board Imager"},
    ],
)
def test_what_is_none_of_it_has_no_role(tmp_path, header):
    row = of(tmp_path, header)
    assert (row.role, row.ambiguous) == ("", "")
    assert row.why.startswith("no role here")


@pytest.mark.parametrize("header", [MRCAT, CT, MR | {"SeriesDescription": "MRCAT"}])
def test_an_mrcat_is_known_by_its_five_values_whatever_its_label(tmp_path, header):
    Patient().mrcat(tmp_path, header)
    assert only_row(tmp_path).role == "MRCAT"


@pytest.mark.parametrize("header", [MR | {"SeriesDescription": "MRCAT"}, CT])
def test_two_of_the_values_are_neither_an_mrcat_nor_a_ct(tmp_path, header):
    values = np.where(np.arange(210).reshape(5, 6, 7) % 2, 42, -968)
    Patient().image(tmp_path, header, values=values)
    row = only_row(tmp_path)
    assert row.role == "" and "only 2 different values" in row.ambiguous


def test_a_real_mrcat(real_data, tmp_path):
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(real_data / "mrcat" / "MRCAT_P3.nrrd")))
    Patient().image(tmp_path, MR, values=image[58:63, ::6, ::6])
    assert only_row(tmp_path).role == "MRCAT"


def test_a_ct_in_the_frame_of_the_mr_may_be_computed(tmp_path):
    frame = generate_uid()
    Patient().image(tmp_path / "mr", T2, frame=frame)
    Patient().image(tmp_path / "ct", CT, frame=frame)
    row = next(row for row in sort_folder(tmp_path).rows if row.facts.modality == "CT")
    assert row.role == "" and "may be the true CT laid on the MR, or computed" in row.ambiguous


def test_echoes_and_b_values_of_one_series_are_rows_of_their_own(tmp_path):
    who, series = Patient(), generate_uid()
    for number, echo in ((1, "20"), (2, "90")):
        header = T2 | {"EchoNumbers": number, "EchoTime": echo}
        who.image(tmp_path / "echo", header, series=series, prefix=f"e{number}")
    series = generate_uid()
    for b in (0.0, 800.0):
        header = MR | {"DiffusionBValue": b, "EchoTime": "70"}
        who.image(tmp_path / "b", header, series=series, prefix=f"b{b}")
    rows = {row.part: row for row in sort_folder(tmp_path).rows}
    assert set(rows) == {"echo 1", "echo 2", "b 0", "b 800"}
    assert rows["echo 2"].role == "MR T2" and rows["echo 1"].role == ""
    assert "says T2, but TE 20 ms" in rows["echo 1"].ambiguous
    assert rows["b 0"].why == rows["b 800"].why == "no role here: diffusion"
    series = rows["echo 2"].facts.series
    assert rows["echo 2"].cell == ("echo", f"{series}#echo 2")
