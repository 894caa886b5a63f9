"""A cohort's tables for LaTeX: plain tabular environments, nothing beyond LaTeX's own packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from SyntheticCTEvalLib.group.tables import Table

_BREAK = "\\\\"
_LETTERS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
    '"': "''",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "`": r"\textasciigrave{}",
    "\N{MINUS SIGN}": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "∞": r"\ensuremath{\infty}",
    "°": r"\ensuremath{^\circ}",
    "²": r"\textsuperscript{2}",
    "³": r"\textsuperscript{3}",
    "µ": r"\ensuremath{\mu}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{NO-BREAK SPACE}": "~",
    "✓": "",
    "★": "",
    "\n": " ",
    "\t": " ",
    "\r": " ",
}


def escaped(text: str) -> str:
    """Return a text as LaTeX shows it, in text and in tabular environments."""
    return "".join(_LETTERS.get(letter, letter) for letter in text)


def table_latex(table: Table) -> str:
    """Return one of the paper's tables: as many patients side by side as on a page."""
    parts = []
    for first, last in table.blocks():
        final = last >= len(table.patients)
        head = ["", *table.patients[first:last]]
        head += ["Mean", "SD", "n", *(["p", "p (Holm)"] if table.baseline else [])] if final else []
        lines: list[list[str] | str] = []
        for rows in table.groups():
            unit = f" in {rows[0].unit}" if rows[0].unit else ""
            lines.append(_across(len(head), rows[0].label + unit))
            for row in rows:
                cells = [escaped(row.candidate), *map(escaped, row.cells[first:last])]
                if final:
                    mean = escaped(row.mean)
                    cells.append(rf"\textbf{{{mean}}}" if row.best else mean)
                    cells += [escaped(row.sd), str(row.n)]
                    if table.baseline:
                        cells += [escaped(row.p), escaped(row.holm_p)]
                lines.append(cells)
        parts.append(_tabular(head, lines))
    notes = [*table.notes, "SD over patients (n \N{MINUS SIGN} 1)."]
    if table.baseline:
        notes.insert(0, f"p is against {table.baseline}; the best mean is bold.")
    return _file(f"Table {table.number}. {table.title}", parts, notes)


def rows_latex(
    title: str,
    head: Sequence[str],
    groups: Mapping[str, Sequence[Sequence[str]]],
    notes: Sequence[str],
    *,
    texts: int = 1,
) -> str:
    """Return a table of printed cells.

    Args:
        groups: rows by the line that stands above them.
        texts: columns on the left that are text; the others are numbers.
    """
    lines: list[list[str] | str] = []
    for name, rows in groups.items():
        lines.append(_across(len(head), name))
        lines += [[escaped(cell) for cell in row] for row in rows]
    return _file(title, [_tabular(head, lines, texts)], notes)


def _across(columns: int, text: str) -> str:
    return rf"\multicolumn{{{columns}}}{{l}}{{{escaped(text)}}} {_BREAK}"


def _tabular(head: Sequence[str], lines: Sequence[list[str] | str], texts: int = 1) -> str:
    found = [rf"\begin{{tabular}}{{{'l' * texts}{'r' * (len(head) - texts)}}}", r"\hline"]
    found.append(" & ".join(map(escaped, head)) + f" {_BREAK}")
    found.append(r"\hline")
    found += [line if isinstance(line, str) else f"{' & '.join(line)} {_BREAK}" for line in lines]
    return "\n".join([*found, r"\hline", r"\end{tabular}"])


def _file(title: str, parts: Sequence[str], notes: Sequence[str]) -> str:
    comment = "% " + " ".join(title.split())
    usage = (
        r"% Use: \input{} this file in a table or table* environment; UTF-8, and XeLaTeX or "
        "LuaLaTeX for names in other than Latin letters."
    )
    said = rf"{{\par\footnotesize {escaped(' '.join(notes))}\par}}" if notes else ""
    found = [comment, usage, "\n\n\\medskip\n".join(parts), said]
    return "\n".join(line for line in found if line) + "\n"
