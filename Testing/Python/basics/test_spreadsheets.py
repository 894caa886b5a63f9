"""Manifests as spreadsheets save them: read, or refused for what is the matter, with the place."""

from __future__ import annotations

import zipfile

import pytest
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.manifest import LINE, manifest_columns, read_manifest

TABLE = "patient,ct,candidate_sCT\r\np01,Prüfung/ct.nrrd,sct.nrrd\r\np02,b.nrrd,c.nrrd\r\n"
ROWS = [
    {LINE: "2", "patient": "p01", "ct": "Prüfung/ct.nrrd", "candidate_sCT": "sct.nrrd"},
    {LINE: "3", "patient": "p02", "ct": "b.nrrd", "candidate_sCT": "c.nrrd"},
]
SEMICOLONS = TABLE.replace(",", ";")
QUOTED = '"patient";"ct";"candidate_sCT"\np01;"a;b";c\np02;b.nrrd;c.nrrd\n'


@pytest.fixture
def read(tmp_path):
    """Write bytes as a manifest and read it with one candidate."""

    def read(content: bytes) -> list[dict[str, str]]:
        path = tmp_path / "manifest.csv"
        path.write_bytes(content)
        columns = manifest_columns(path, ("patient", "ct"), ("candidate_",))
        return read_manifest(path, ("ct",), [c for c in columns if c.startswith("candidate_")])

    return read


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        TABLE.encode("utf-16-le"),
        TABLE.encode("utf-16-be"),
        TABLE.encode("utf-32"),
        TABLE.encode("cp1252"),
        SEMICOLONS.encode(),
        SEMICOLONS.encode("utf-8-sig"),
        TABLE.replace(",", "\t").encode("utf-16"),
        TABLE.replace(",", "|").encode(),
        TABLE.replace("\r\n", "\r").encode(),
        TABLE.replace("\r\n", ",,\r\n").encode(),
        (TABLE + ",,\r\n ,\r\n\r\n").encode(),
        TABLE.replace(",", " , ").encode(),
        TABLE.replace("patient,ct,candidate", "Patient,CT,CANDIDATE").encode(),
        TABLE.replace("candidate_", "Candidate ").encode(),
    ],
)
def test_what_spreadsheets_save_is_read(read, content):
    assert read(content) == ROWS


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_line_for_excel_names_the_separator(read, first):
    rows = read(f"{first}\r\n{SEMICOLONS}".encode("utf-8-sig"))
    assert [row | {LINE: ""} for row in rows] == [row | {LINE: ""} for row in ROWS]
    assert [row[LINE] for row in rows] == ["3", "4"]  # as an editor counts them


def test_separators_in_quotation_marks_are_part_of_a_cell(read):
    assert read(QUOTED.encode())[0]["ct"] == "a;b"


def test_empty_lines_before_and_between_do_not_count(read):
    rows = read(("\r\n,,\r\n" + TABLE.replace("p02", "\r\np02")).encode())
    assert [row[LINE] for row in rows] == ["4", "6"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n", "is empty"),
        (b";;\r\n;;\r\n", "is empty"),
        (b"patient,ct,candidate_a\n", "has no rows"),
        (b"name;ct;candidate_a\np;c;s\n", "lacks the column patient.* has name, ct, candidate_a"),
        (b"patient:ct:candidate_a\np:c:s\n", "lacks the column patient.*separated by commas"),
        (b"Patient,patient,ct\na,b,c\n", "has the column patient twice"),
        (b"patient,ct,candidate_a\np,c,s,more\n", "Line 2 .* more cells .* 'more'"),
        (b'patient,ct,candidate_a\np,"c,s\nq,c,s\n', "Line 3 .* quotation mark"),
        (b"patient,ct,candidate_a\n\np,,s\n", "Line 3 .* has no ct"),
        (b"patient,ct,candidate_a\np,c,s\np,c,s\n", "Line 3 .* second time, after line 2"),
        (b"patient,ct,candidate_a\np,c\0,s\n", "zero bytes"),
        (b"patient,ct,candidate_a\np\x81,c,s\n", "character encoding"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 600, "old Excel"),
        (b"PK\x03\x04 and nothing more", "damaged"),
    ],
)
def test_what_cannot_be_read_is_refused_for_its_own_cause(read, content, sentence):
    with pytest.raises(SyntheticCTError, match=sentence):
        read(content)


def test_a_folder_and_a_missing_file_are_told(tmp_path):
    with pytest.raises(SyntheticCTError, match="is a folder"):
        manifest_columns(tmp_path)
    with pytest.raises(SyntheticCTError, match="No such file"):
        manifest_columns(tmp_path / "none.csv")


NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def workbook(path, rows: str) -> None:
    """Write a workbook of two sheets as Excel does, the second one hidden and first in the file."""
    shared = ["patient", "ct", "candidate_sCT", "p01", "Prüfung/ct.nrrd", "sct.nrrd"]
    texts = "".join(f"<si><t>{text}</t></si>" for text in shared)
    parts = {
        "xl/workbook.xml": f'<workbook xmlns="{NAMESPACE}" xmlns:r="{LINKS}"><sheets>'
        '<sheet name="old" sheetId="1" state="hidden" r:id="rId1"/>'
        '<sheet name="table" sheetId="2" r:id="rId2"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": "<Relationships>"
        '<Relationship Id="rId1" Target="worksheets/sheet1.xml"/>'
        '<Relationship Id="rId2" Target="/xl/worksheets/sheet2.xml"/></Relationships>',
        "xl/sharedStrings.xml": f'<sst xmlns="{NAMESPACE}">{texts}</sst>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{NAMESPACE}"><sheetData/></worksheet>',
        "xl/worksheets/sheet2.xml": f'<worksheet xmlns="{NAMESPACE}"><sheetData>{rows}'
        "</sheetData></worksheet>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)


HEADER = (
    '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c>'
    '<c r="D1" t="s"><v>2</v></c></row>'
)


def test_a_workbook_is_read_from_its_first_sheet_that_is_shown(tmp_path):
    path = tmp_path / "manifest.xlsx"
    workbook(
        path,
        HEADER + '<row r="3"><c r="A3" t="s"><v>3</v></c><c r="B3" t="s"><v>4</v></c>'
        '<c r="D3" t="s"><v>5</v></c></row><row r="4"><c r="A4"><v>2</v></c>'
        '<c r="B4" t="inlineStr"><is><r><t>b.</t></r><r><t>nrrd</t></r></is></c>'
        '<c r="D4" t="str"><f>E4</f><v>c.nrrd</v></c></row>',
    )
    assert manifest_columns(path) == ["patient", "ct", "candidate_sCT"]
    assert read_manifest(path, ("ct",), ("candidate_sCT",)) == [
        ROWS[0] | {LINE: "3"},
        ROWS[1] | {LINE: "4", "patient": "2"},
    ]


def test_an_error_in_a_cell_is_told_with_its_place(tmp_path):
    path = tmp_path / "manifest.xlsx"
    workbook(path, HEADER + '<row r="2"><c r="A2" t="e"><v>#REF!</v></c></row>')
    with pytest.raises(SyntheticCTError, match=r"cell A2 .* #REF!"):
        manifest_columns(path)


def test_another_document_is_not_taken_for_a_workbook(tmp_path):
    with zipfile.ZipFile(tmp_path / "table.ods", "w") as archive:
        archive.writestr("content.xml", "<x/>")
    with pytest.raises(SyntheticCTError, match=r"neither CSV nor \.xlsx"):
        manifest_columns(tmp_path / "table.ods")
