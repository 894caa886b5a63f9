"""A cohort's tables as a workbook (.xlsx), made with openpyxl (MIT)."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from SyntheticCTLib.basics.outputs import staged_file

from .sheets import Sheet, Value

_WIDEST = 60
_NO_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_STAMPS = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*(<)")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def missing() -> str | None:
    """Return in a sentence why no workbook can be written here; None where it can."""
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        return "study.xlsx is left out: it needs the package openpyxl (pip install openpyxl)."
    return None


def write_workbook(sheets: Sequence[Sheet], path: Path, computed: str = "") -> None:
    """Write sheets as a workbook; the same sheets and time give the same file.

    Args:
        computed: when the results were computed (ISO 8601); the file carries no other time.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for sheet in sheets:
        _fill(book.create_sheet(sheet.name), sheet)
    book.properties.creator = "synthetic-ct"
    written = io.BytesIO()
    book.save(written)
    with staged_file(path) as stage:
        stage.write_bytes(_at_time(written, computed))


def _fill(page, sheet: Sheet) -> None:
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    for column, name in enumerate(sheet.header, 1):
        cell = _put(page, 1, column, name)
        cell.font = Font(bold=True)
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    for number, row in enumerate(sheet.rows):
        digits = sheet.digits[number] if sheet.digits else None
        for column, value in enumerate(row, 1):
            cell = _put(page, number + 2, column, value)
            if isinstance(value, float) and digits is not None:
                # A p needs more digits than the figure that it is of.
                is_p = sheet.header[column - 1].startswith("p ")
                cell.number_format = "0.000" if is_p else _format(digits)
            elif isinstance(value, str) and len(value) > _WIDEST:
                cell.alignment = Alignment(wrap_text=True, vertical="top")
    for column, name in enumerate(sheet.header, 1):
        cells = [name, *(row[column - 1] for row in sheet.rows)]
        longest = max(len(_shown(cell)) for cell in cells)
        page.column_dimensions[get_column_letter(column)].width = min(longest + 2, _WIDEST)
    page.freeze_panes = "A2"


def _put(page, row: int, column: int, value: Value):
    if not isinstance(value, str):
        return page.cell(row, column, value)
    cell = page.cell(row, column, _NO_CHARACTERS.sub(" ", value))
    if value:
        cell.data_type = "s"  # never a formula, whatever a name begins with
    return cell


def _format(digits: int) -> str:
    return f"0.{'0' * digits}" if digits else "0"


def _shown(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)


def _at_time(written: io.BytesIO, computed: str) -> bytes:
    """Return a workbook's bytes with one time for all that has one."""
    when = datetime(*_EPOCH, tzinfo=UTC)
    if computed:
        when = datetime.fromisoformat(computed).astimezone(UTC)
    stamp = when.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    out = io.BytesIO()
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            content = old.read(item)
            if item.filename == "docProps/core.xml":
                content = _STAMPS.sub(rb"\g<1>" + stamp + rb"\g<2>", content)
            new.writestr(zipfile.ZipInfo(item.filename, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
