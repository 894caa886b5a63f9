"""A report as a PDF that can be filed and signed; made with reportlab (BSD).

Fonts are matplotlib's DejaVu Sans, embedded. Nothing in the file depends on when or where it was
written: the same document gives the same bytes.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.pictures.planes import Picture

from .blocks import Block, Cell, Column, Document, Lines, Notes, Table, Text
from .pdf_tables import beginning, caption_of, style, table_of

PAPERS = ("a4", "letter")
MARGIN = 42.0
HEAD, FOOT = 26.0, 30.0
"""In points, as everything here."""

_PIXELS_WIDE = 1400


def missing() -> str | None:
    """Return in a sentence why no PDF can be written here; None where it can."""
    try:
        import reportlab  # noqa: F401
    except ImportError:
        return "report.pdf is left out: it needs the package reportlab (pip install reportlab)."
    return None


def write_pdf(document: Document, path: str | os.PathLike, paper: str = "a4") -> Path:
    """Write a document as a PDF, and return its path.

    Args:
        paper: one of :data:`PAPERS`.

    Raises:
        SyntheticCTError: an unknown paper, or ``path`` cannot be written.
    """
    content = pdf_of(document, paper)
    path = Path(path)
    with staged_file(path) as stage:
        stage.write_bytes(content)
    return path


def pdf_of(document: Document, paper: str = "a4") -> bytes:
    """Return a document as the bytes of a PDF.

    Raises:
        SyntheticCTError: an unknown paper.
    """
    from reportlab import rl_config
    from reportlab.lib import pagesizes
    from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

    if paper not in PAPERS:
        raise SyntheticCTError(f"There is no paper {paper!r} here: choose one of a4 and letter.")
    _register_fonts()
    # Bytes as they are: as text they are a quarter more, and encoding them takes half the time.
    rl_config.useA85 = 0
    width, height = pagesizes.A4 if paper == "a4" else pagesizes.LETTER
    inner = width - 2 * MARGIN, height - 2 * MARGIN - HEAD - FOOT
    with io.BytesIO() as stream:
        made = BaseDocTemplate(
            stream,
            pagesize=(width, height),
            title=document.title,
            author="",
            subject=document.mark,
            creator="SyntheticCT",
            invariant=1,
            lang="en",
        )
        frame = Frame(
            MARGIN, MARGIN + FOOT, *inner, leftPadding=0, rightPadding=0, topPadding=0,
            bottomPadding=0,
        )  # fmt: skip
        made.addPageTemplates(
            PageTemplate(frames=[frame], onPage=_pages_of(document, width, height))
        )
        made.build(_story(document, inner), canvasmaker=_numbered())
        return stream.getvalue()


@cache
def _register_fonts() -> None:
    from matplotlib import get_data_path
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    folder = Path(get_data_path()) / "fonts" / "ttf"
    for name, file in (("Sans", "DejaVuSans.ttf"), ("Sans-Bold", "DejaVuSans-Bold.ttf")):
        pdfmetrics.registerFont(TTFont(name, str(folder / file)))
    pdfmetrics.registerFontFamily("Sans", "Sans", "Sans-Bold", "Sans", "Sans-Bold")


def _story(document: Document, inner: tuple[float, float]) -> list[Any]:
    from reportlab.platypus import CondPageBreak, KeepTogether, Paragraph, Spacer

    story: list[Any] = [Paragraph(escape(document.title), style(17, bold=True)), Spacer(1, 8)]
    story += [_boxed([Paragraph(escape(document.mark), style(9, bold=True))], inner[0], "#8A6D00")]
    facts = [[Cell(name), Cell(value)] for name, value in document.lines]
    columns = [Column(Cell(""), width=1), Column(Cell(""), width=3.4)]
    story += [Spacer(1, 6), table_of(Table("", columns, facts, "facts"), inner[0])]
    for section in document.sections:
        head = [
            Spacer(1, 14),
            Paragraph(escape(section.title), style(13, bold=True)),
            Spacer(1, 4),
        ]
        # What must be read stands before what is signed.
        signed = [block for block in section.blocks if isinstance(block, Lines)]
        blocks = [*(b for b in section.blocks if b not in signed), *section.beside, *signed]
        parts = [_flowables(block, inner) for block in blocks]
        if signed and len(blocks) > 1 and not isinstance(blocks[-2], Table):
            # Nobody signs a page of its own: some of what is signed stands on it.
            parts[-2:] = [[*parts[-2][:-2], KeepTogether([*parts[-2][-2:], *parts[-1]])]]
        # A heading stays with what follows it; a table has its own beginning.
        if blocks and isinstance(blocks[0], Table):
            room = sum(part.wrap(*inner)[1] for part in head) + beginning(blocks[0], inner)
            story += [CondPageBreak(min(room, inner[1])), *head, *parts[0]]
        elif blocks:
            story += [KeepTogether([*head, *parts[0][:1]]), *parts[0][1:]]
        else:
            story += head
        story += [part for found in parts[1:] for part in found]
    return story


def _flowables(block: Block, inner: tuple[float, float]) -> list[Any]:
    from reportlab.platypus import CondPageBreak, KeepTogether, Paragraph, Spacer

    width = inner[0]
    if isinstance(block, Table):
        begin = CondPageBreak(beginning(block, inner))
        return [begin, *caption_of(block.caption), table_of(block, width), Spacer(1, 8)]
    if isinstance(block, Notes):
        inside = [Paragraph(escape(block.title), style(9, bold=True))]
        inside += [Paragraph(f"•&nbsp;{escape(s)}", style(8)) for s in block.sentences]
        boxes = _boxes(inside, width)
        return [Spacer(1, 4), KeepTogether(boxes[:2]), *boxes[2:], Spacer(1, 6)]
    if isinstance(block, Text):
        return [Paragraph(escape(block.text), style(8.5)), Spacer(1, 6)]
    if isinstance(block, Lines):
        return [_signature(block, width)]
    return [KeepTogether(_picture(block, inner))]


def _boxes(inside: list[Any], width: float) -> list[Any]:
    return [_boxed([each], width, "#555555") for each in inside]


def _boxed(inside: list[Any], width: float, colour: str) -> Any:
    """Return flowables on grey with a coloured bar on their left."""
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table as Made
    from reportlab.platypus import TableStyle

    made = Made([[inside]], colWidths=[width], hAlign="LEFT", splitInRow=1)
    made.setStyle(
        TableStyle(
            [
                ("FONTNAME", (0, 0), (-1, -1), "Sans"),
                ("BACKGROUND", (0, 0), (-1, -1), HexColor("#F3F3F3")),
                ("LINEBEFORE", (0, 0), (0, -1), 3, HexColor(colour)),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return made


def _picture(picture: Picture, inner: tuple[float, float]) -> list[Any]:
    from PIL import Image as Pixels
    from reportlab.platypus import Image, Paragraph, Spacer

    with Pixels.open(io.BytesIO(picture.png)) as found:
        pixels = found.convert("RGB")
    wide, tall = pixels.size
    if wide > _PIXELS_WIDE:
        pixels = pixels.resize((_PIXELS_WIDE, round(tall * _PIXELS_WIDE / wide)), Pixels.LANCZOS)
    stream = _smaller(pixels)
    caption = Paragraph(escape(picture.caption), style(7.6))
    room = inner[1] - caption.wrap(*inner)[1] - 34
    scale = min(inner[0] / wide, room / tall)
    return [
        Spacer(1, 4),
        Paragraph(escape(picture.title), style(9.5, bold=True)),
        Spacer(1, 2),
        Image(stream, width=wide * scale, height=tall * scale, hAlign="LEFT"),
        Spacer(1, 2),
        caption,
        Spacer(1, 8),
    ]


def _smaller(pixels: Any) -> io.BytesIO:
    """Return a picture as PNG or, where that is much smaller, as JPEG.

    A PDF holds a PNG's pixels without the filters that make images small; charts, whose edges a
    JPEG would blur, are small all the same.
    """
    jpeg = io.BytesIO()
    pixels.save(jpeg, "JPEG", quality=90, subsampling=0, dpi=(72, 72))
    stream = jpeg
    if len(zlib.compress(pixels.tobytes(), 1)) < 2 * jpeg.tell():
        stream = io.BytesIO()
        pixels.save(stream, "PNG")
    stream.seek(0)
    return stream


def _signature(lines: Lines, width: float) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Paragraph, TableStyle
    from reportlab.platypus import Table as Made

    row = [Paragraph(escape(label), style(8, grey=True)) for label in lines.labels]
    share = width / len(row)
    made = Made([[""] * len(row), row], colWidths=[share] * len(row), rowHeights=[32, 16])
    rules = [("FONTNAME", (0, 0), (-1, -1), "Sans"), ("NOSPLIT", (0, 0), (-1, -1))]
    rules += [
        ("LINEBELOW", (column, 0), (column, 0), 0.7, HexColor("#333333"))
        for column in range(len(row))
    ]
    made.setStyle(TableStyle(rules))
    return made


def _pages_of(document: Document, width: float, height: float) -> Callable[[Any, Any], None]:
    """Return what draws head and foot of a page, all but its number."""

    def draw(canvas: Any, made: Any) -> None:
        canvas.saveState()
        canvas.setFont("Sans", 7)
        canvas.setFillGray(0.35)
        canvas.drawString(MARGIN, height - MARGIN + 6, _cut(canvas, document.title, width * 0.5))
        canvas.drawRightString(
            width - MARGIN, height - MARGIN + 6, _cut(canvas, document.foot, width * 0.35)
        )
        canvas.drawString(MARGIN, MARGIN, document.mark)
        canvas.setStrokeGray(0.6)
        canvas.line(MARGIN, MARGIN + 11, width - MARGIN, MARGIN + 11)
        canvas.restoreState()

    return draw


def _cut(canvas: Any, text: str, room: float) -> str:
    while text and canvas.stringWidth(text, "Sans", 7) > room:
        text = text[:-2].rstrip("…") + "…"
    return text


def _numbered() -> type:
    """Return a canvas that writes "page n of m" when all pages are known."""
    from reportlab.pdfgen.canvas import Canvas

    class Numbered(Canvas):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs | {"initialFontName": "Sans"})
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._pages, 1):
                self.__dict__.update(page)
                self.setFont("Sans", 7)
                self.setFillGray(0.35)
                text = f"page {number} of {len(self._pages)}"
                self.drawRightString(self._pagesize[0] - MARGIN, MARGIN, text)
                super().showPage()
            super().save()

    return Numbered
