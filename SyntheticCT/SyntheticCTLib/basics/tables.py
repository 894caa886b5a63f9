"""Tables as spreadsheets save them: CSV of any separator and encoding, and .xlsx, as rows of text.

Sources: RFC 4180 for CSV, ECMA-376 part 1 (SpreadsheetML) for .xlsx.
"""

from __future__ import annotations

import codecs
import csv
import io
import posixpath
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from .errors import SyntheticCTError

Rows = list[tuple[int, list[str]]]
"""Number of the line, from 1, and its cells without blanks around them."""

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

_OLD_EXCEL = bytes.fromhex("d0cf11e0a1b11ae1")
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins like the mark of UTF-16, so it comes first
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NO_CONTENT = " ,;|\t\r\n\"'\N{NO-BREAK SPACE}"
_SHEETS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_STRICT_SHEETS = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"


def read_table(path: Path, what: str, first_column: str) -> Rows:
    """Return the rows of a table that are not empty, the header first.

    Args:
        path: CSV, or a workbook (.xlsx), of which the first sheet is read.
        what: what error sentences call it.
        first_column: a column that the header must have, by which the separator is known.

    Raises:
        SyntheticCTError: unreadable, empty, of no known kind, with the reason and the line.
    """
    if path.is_dir():
        raise SyntheticCTError(f"The {what} {path} is a folder: give a CSV file.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SyntheticCTError(
            f"The {what} {path} cannot be read ({error.strerror}): give a CSV file."
        ) from error
    if data.startswith(_OLD_EXCEL):
        raise SyntheticCTError(
            f"The {what} {path} is a workbook of an old Excel (.xls), which is not read: save it "
            "as CSV UTF-8 or as .xlsx."
        )
    if data.startswith(b"PK\x03\x04"):
        rows = _workbook(path, what)
    else:
        rows = _csv(_text(data, path, what), path, what, first_column)
    rows = [(number, [cell.strip() for cell in cells]) for number, cells in rows]
    rows = [(number, cells) for number, cells in rows if any(cells)]
    if not rows:
        raise SyntheticCTError(
            f"The {what} {path} is empty: give a header line and the lines that belong below it."
        )
    return rows


def _text(data: bytes, path: Path, what: str) -> str:
    """Decode a text file: by its byte order mark, as UTF-8, or as Western Windows writes it."""
    encoding = next((e for mark, e in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    if encoding is None and b"\0" in data[:2]:
        encoding = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    for name in [encoding] if encoding else ["utf-8", "cp1252"]:
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
        raise SyntheticCTError(
            f"The {what} {path} is no text (it holds zero bytes): save the table as CSV UTF-8."
        )
    raise SyntheticCTError(
        f"The {what} {path} is in an unknown character encoding: save it as CSV UTF-8."
    )


def _csv(text: str, path: Path, what: str, first_column: str) -> Rows:
    lines = text.splitlines()
    skipped, separator = 0, None
    if lines and (found := re.fullmatch(r'"?sep=(.)"?[,;\t]*', lines[0], re.IGNORECASE)):
        separator, skipped = found[1], 1
        text = text[len(text.splitlines(keepends=True)[0]) :]
    if separator is None:
        header = next((line for line in lines if line.strip(_NO_CONTENT)), "")
        separator = max(SEPARATORS, key=lambda mark: _fits(header, mark, first_column))
    if not text.strip(_NO_CONTENT):
        return []
    # Strict: a quotation mark that is never closed would take the lines that follow for a cell.
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True
    )
    rows: Rows = []
    try:
        for cells in reader:
            rows.append((reader.line_num + skipped, cells))
    except csv.Error as error:
        raise SyntheticCTError(
            f"Line {reader.line_num + skipped} of the {what} {path} cannot be read as CSV "
            f"({error}): close every quotation mark, and put nothing behind it but a separator."
        ) from error
    return rows


def _fits(header: str, separator: str, first_column: str) -> tuple[bool, int]:
    """How well a separator suits a header: whether it sets a column free, and how many."""
    cells = [cell.strip(" \"'\N{NO-BREAK SPACE}").casefold() for cell in header.split(separator)]
    return first_column in cells, len(cells)


def _workbook(path: Path, what: str) -> Rows:
    """Return the rows of the first sheet of an .xlsx."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "xl/workbook.xml" not in names:
                raise SyntheticCTError(
                    f"The {what} {path} is neither CSV nor .xlsx, but another kind of document or "
                    "archive: save the table as CSV UTF-8."
                )
            strings = []
            if "xl/sharedStrings.xml" in names:
                strings = [_string(item) for item in _xml(archive, "xl/sharedStrings.xml")]
            sheet = _xml(archive, _first_sheet(archive))
            return [
                (int(row.get("r", number)), _cells(row, strings, path, what))
                for number, row in enumerate(sheet.iter(f"{_SHEETS}row"), start=1)
            ]
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, ValueError, IndexError) as error:
        raise SyntheticCTError(
            f"The workbook {path} is damaged or of an unknown kind: save the table as CSV UTF-8."
        ) from error


def _xml(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    text = archive.read(name).decode("utf-8-sig")
    return ElementTree.fromstring(text.replace(_STRICT_SHEETS[1:-1], _SHEETS[1:-1]))


def _first_sheet(archive: zipfile.ZipFile) -> str:
    sheets = _xml(archive, "xl/workbook.xml").iter(f"{_SHEETS}sheet")
    shown = [sheet for sheet in sheets if sheet.get("state", "visible") == "visible"]
    wanted = next((v for k, v in shown[0].attrib.items() if k.endswith("}id")), None)
    for relation in _xml(archive, "xl/_rels/workbook.xml.rels"):
        if relation.get("Id") == wanted:
            return posixpath.normpath(posixpath.join("/xl", relation.attrib["Target"])).lstrip("/")
    raise KeyError(wanted)


def _string(item: ElementTree.Element) -> str:
    """Return a text with all its runs, without the reading aids of Japanese."""
    parts = [item.find(f"{_SHEETS}t"), *item.findall(f"{_SHEETS}r/{_SHEETS}t")]
    return "".join(part.text or "" for part in parts if part is not None)


def _cells(row: ElementTree.Element, strings: list[str], path: Path, what: str) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_SHEETS}c"):
        reference = cell.get("r", "")
        if letters := re.match("[A-Z]+", reference):
            column = 0
            for letter in letters[0]:
                column = 26 * column + ord(letter) - 64
            cells += [""] * (column - 1 - len(cells))
        kind, value = cell.get("t"), cell.findtext(f"{_SHEETS}v") or ""
        if kind == "e":
            raise SyntheticCTError(
                f"The cell {reference} of the {what} {path} holds the error {value}: correct it."
            )
        if kind == "s":
            value = strings[int(value)]
        elif kind == "inlineStr":
            value = _string(cell.find(f"{_SHEETS}is"))
        cells.append(value)
    return cells
