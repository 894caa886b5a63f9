"""An evaluation as a document: its sections in the order in which they are read."""

from __future__ import annotations

from SyntheticCTLib.volumes.marks import SYNTHETIC_NOTE

from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.pictures import planes

from .blocks import Document, Section
from .origin_part import origin_section
from .parts import (
    definitions_section,
    dose_section,
    image_section,
    registration_section,
    what_was_compared,
)
from .summary import identity_lines, summary_section

TITLE = "Evaluation of synthetic CT"


def document_of(evaluation: Evaluation, title: str = TITLE) -> Document:
    """Return an evaluation's report: result, dose, image, registration, origin, definitions."""
    cuts = planes.planes_of(evaluation)
    date = evaluation.origin.get("date", "")[:10]
    sections: list[Section | None] = [
        summary_section(evaluation),
        dose_section(evaluation, cuts),
        image_section(evaluation, cuts),
        registration_section(evaluation, cuts),
        origin_section(evaluation, what_was_compared(evaluation)),
        definitions_section(evaluation),
    ]
    foot = [f"Patient {evaluation.patient}" if evaluation.patient else "", date]
    return Document(
        title=title,
        lines=identity_lines(evaluation),
        mark=f"{SYNTHETIC_NOTE}.",
        foot=" · ".join(part for part in foot if part),
        sections=[section for section in sections if section is not None],
    )
