"""A report as a file from which it can be written again: its blocks as JSON, pictures beside."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.pictures.planes import Picture
from SyntheticCTEvalLib.report.blocks import (
    Block,
    Cell,
    Column,
    Document,
    Lines,
    Notes,
    Section,
    Table,
    Text,
)

REPORT_DOCUMENT = "report.document"
"""Name of the file beside a patient's report."""

_JSON = "document.json"
_PLAIN = {kind.__name__: kind for kind in (Notes, Text, Lines)}


def write_document(document: Document, path: str | os.PathLike) -> Path:
    """Write a report's document, and return its path.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    path, pictures = Path(path), []
    record = {
        "title": document.title,
        "lines": document.lines,
        "mark": document.mark,
        "foot": document.foot,
        "sections": [
            {
                "title": section.title,
                "blocks": [_record(block, pictures) for block in section.blocks],
                "beside": [_record(block, pictures) for block in section.beside],
            }
            for section in document.sections
        ],
    }
    with staged_file(path) as stage, zipfile.ZipFile(stage, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_JSON), json.dumps(record), zipfile.ZIP_DEFLATED)
        for number, png in enumerate(pictures):
            archive.writestr(zipfile.ZipInfo(f"{number}.png"), png)
    return path


def read_document(path: str | os.PathLike) -> Document:
    """Return the document that :func:`write_document` has written.

    Raises:
        SyntheticCTError: there is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            record = json.loads(archive.read(_JSON))
            return Document(
                title=record["title"],
                lines=[tuple(line) for line in record["lines"]],
                mark=record["mark"],
                foot=record["foot"],
                sections=[
                    Section(
                        section["title"],
                        [_block(found, archive) for found in section["blocks"]],
                        [_block(found, archive) for found in section["beside"]],
                    )
                    for section in record["sections"]
                ],
            )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise SyntheticCTError(
            f"The report in {Path(path).parent} cannot be written again: run with --redo."
        ) from error


def _record(block: Block, pictures: list[bytes]) -> dict[str, Any]:
    kind = type(block).__name__
    if isinstance(block, Picture):
        pictures.append(block.png)
        found = {"title": block.title, "caption": block.caption, "alt": block.alt}
        return found | {"kind": kind, "png": f"{len(pictures) - 1}.png"}
    found = asdict(block)
    if isinstance(block, Table):
        return {"kind": kind, "table": found | {"groups": sorted(block.groups)}}
    return found | {"kind": kind}


def _block(record: dict[str, Any], archive: zipfile.ZipFile) -> Block:
    kind = record.pop("kind")
    if kind == "Picture":
        return Picture(**record | {"png": archive.read(record["png"])})
    if kind == "Table":
        table = record["table"]
        columns = [Column(**{**c, "title": Cell(**c["title"])}) for c in table["columns"]]
        rows = [[Cell(**cell) for cell in row] for row in table["rows"]]
        heads = {int(number): head for number, head in table["heads"].items()}
        return Table(table["caption"], columns, rows, table["kind"], set(table["groups"]), heads)
    return _PLAIN[kind](**record)
