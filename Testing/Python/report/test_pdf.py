"""report.pdf: every page says whose it is, all lies on the page, nothing changes by itself."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pages import HOSTILE
from PIL import Image
from pypdf import PdfReader
from SyntheticCTEvalLib.pictures.planes import Picture
from SyntheticCTEvalLib.report.blocks import (
    Cell,
    Column,
    Document,
    Lines,
    Notes,
    Section,
    Table,
    Text,
)
from SyntheticCTEvalLib.report.pdf import PAPERS, write_pdf
from SyntheticCTLib.basics.errors import SyntheticCTError

MARK = "Synthetic CT computed from MR; for research use, not a medical device."


def picture(width: int = 1320, height: int = 900) -> Picture:
    noise = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    with io.BytesIO() as stream:
        Image.fromarray(noise).save(stream, "PNG")
        return Picture("Dose", "Isodose lines.", "A dose.", stream.getvalue())


def document(*blocks, title: str = "Evaluation of synthetic CT") -> Document:
    numbers = [Column(Cell("a long name of a candidate"), number=True) for _ in range(5)]
    rows = [[Cell(f"figure {n}"), *[Cell("99.99", small="±", best=n == 3)] * 5] for n in range(90)]
    table = Table("Figures", [Column(Cell("Figure")), *numbers], rows, heads={0: "Dose", 40: "HU"})
    notes = Notes("Read this first", ["The CT & the MR are <strange>.", HOSTILE])
    result = Section("Result", [table, Lines(("Name", "Date", "Signature"))], [notes])
    others = Section("Dose", [Text("long " * 2000), *blocks])
    lines = [("Patient", "P007"), ("Candidates", "sCT, " + "M" * 300)]
    return Document(title, lines, MARK, "Patient P007 · 2026-11-28", [result, others])


def pages_of(path) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in PdfReader(path).pages]


@pytest.mark.parametrize("paper", PAPERS)
def test_every_page_has_its_number_the_patient_the_date_and_the_mark(tmp_path, paper):
    path = write_pdf(document(picture(), picture(600, 3000)), tmp_path / "r.pdf", paper)
    found = pages_of(path)
    assert len(found) > 4
    for number, text in enumerate(found, 1):
        assert f"page {number} of {len(found)}" in text
        assert "Patient P007 · 2026-11-28" in text and MARK in text
    box = PdfReader(path).pages[0].mediabox
    assert (round(box.width), round(box.height)) == {"a4": (595, 842), "letter": (612, 792)}[paper]
    whole = " ".join(found)
    assert whole.count("99.99") == 90 * 5 and "figure 89" in whole and "Read this first" in whole
    assert whole.index("Read this first") < whole.index("Signature")


def test_nothing_reaches_beyond_the_margins(tmp_path):
    path = write_pdf(document(picture(3000, 300)), tmp_path / "r.pdf")
    for page in PdfReader(path).pages:
        rights = []

        def note(text, _matrix, place, _font, _size, rights=rights):
            if text.strip():
                rights.append(place[4])

        page.extract_text(visitor_text=note)
        assert max(rights) < page.mediabox.width - 40


def test_fonts_are_embedded_and_the_file_is_small_and_always_the_same(tmp_path):
    made = document(*[picture() for _ in range(3)])
    first, second = (write_pdf(made, tmp_path / name) for name in ("a.pdf", "b.pdf"))
    assert first.read_bytes() == second.read_bytes()
    fonts = {}
    for page in PdfReader(first).pages:
        for font in page["/Resources"]["/Font"].values():
            font = font.get_object()
            fonts[font["/BaseFont"]] = "/FontFile2" in font.get("/FontDescriptor", {})
    assert fonts and all(fonts.values())


def test_text_of_files_is_text(tmp_path):
    text = " ".join(pages_of(write_pdf(document(title=HOSTILE), tmp_path / "r.pdf")))
    assert "<strange>" in text and HOSTILE.replace(" ", "") in text.replace(" ", "")


def test_an_unknown_paper_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(SyntheticCTError, match="paper"):
        write_pdf(document(), tmp_path / "r.pdf", "a5")
    assert not list(tmp_path.iterdir())


def _long_table(before: float, **options) -> Document:
    """A document whose table begins ``before`` lines down the page, and goes on over the next."""
    columns = [Column(Cell("Figure")), Column(Cell("Value"), number=True)]
    rows = [[Cell(f"row {n}."), Cell(f"{n}")] for n in range(64)]
    table = Table("What stands over it", columns, rows, **options)
    filling = [Text(f"line {n}") for n in range(int(before))]
    sections = [Section("First", filling), Section("Its title", [table])]
    return Document("title", [("Patient", "P007")], MARK, "", sections)


@pytest.mark.parametrize("paper", PAPERS)
def test_a_table_begins_and_ends_with_several_rows_on_a_page(tmp_path, paper):
    for before in range(24, 42, 2):
        found = pages_of(write_pdf(_long_table(before), tmp_path / "r.pdf", paper))
        first = next(n for n, text in enumerate(found) if "Its title" in text)
        assert all(
            words in found[first] for words in ("What stands over it", "Figure Value", "row 3.")
        )
        for text in found:
            assert text.count("row ") in (0, *range(3, 99))
            assert ("Figure Value" in text) == ("row " in text)


def test_rows_under_one_head_stay_with_it(tmp_path):
    heads = {n: f"head {n // 4}." for n in range(0, 64, 4)}
    for before in range(24, 42, 2):
        made = _long_table(before, heads=heads)
        for text in pages_of(write_pdf(made, tmp_path / "r.pdf")):
            for number in range(16):
                own = [f"row {n}." in text for n in range(4 * number, 4 * number + 4)]
                assert len({f"head {number}." in text, *own}) == 1


def test_nobody_signs_a_page_of_its_own(tmp_path):
    for count in range(28, 60, 3):
        notes = Notes("Read this first", [f"note {n}." for n in range(count)])
        section = Section("Result", [Lines(("Name", "Date", "Signature"))], [notes])
        made = Document("title", [("Patient", "P007")], MARK, "", [section])
        found = pages_of(write_pdf(made, tmp_path / "r.pdf"))
        (signed,) = (text for text in found if "Signature" in text)
        assert "note" in signed
        assert all(("Read this first" in text) <= ("note 0." in text) for text in found)
