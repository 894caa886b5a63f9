"""A report as one HTML file that needs nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.evaluation.results import Evaluation

from .blocks import Document
from .document import TITLE, document_of

TEMPLATE = "report.html"


def write_report(evaluation: Evaluation, path: str | os.PathLike, title: str = TITLE) -> Path:
    """Write the report as one HTML file with its pictures inside, and return its path.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    return write_page(document_of(evaluation, title), path)


def write_page(document: Document, path: str | os.PathLike) -> Path:
    """Write a document as one HTML file, and return its path.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    path, html = Path(path), page_of(document)
    with staged_file(path) as stage:
        stage.write_text(html, encoding="utf-8")
    return path


def page_of(document: Document) -> str:
    """Return a document as HTML."""
    return template_environment().get_template(TEMPLATE).render(document=document)


def template_environment(*folders: Path):
    """Return jinja2's environment for templates in ``folders`` and here: everything is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
