"""Acceptance files (TOML): limits that were set beforehand, read with care.

A file has ``name``, ``source`` (where the limits come from), optionally ``note``, and a table
``[[limit]]`` for each limit with

- ``figure``: name of a figure in metrics.json ("mae_body", "gpr_criteria", "gpr_structures",
  "tissue_mae"), or a dose-volume figure's own name ("D98_difference", "V40Gy_difference",
  "D2cm3_difference_gy"; see structures.dvh_points);
- what the figure needs: ``criterion`` ("3%/2mm") and ``cutoff_percent`` of pass rates,
  ``structure`` ("target", or a shell pattern of names) of dose-volume figures and
  "gpr_structures", ``tissue`` of "tissue_mae";
- ``tolerance``, ``action``, or both, in the figure's unit; of figures that should be 0 their size;
- optionally ``label``; and ``better`` ("lower", "higher" or "zero") of figures that have no better
  side by themselves.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import os
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError

from SyntheticCTEvalLib.evaluation.limits import Acceptance, Limit
from SyntheticCTEvalLib.evaluation.quantities import (
    HIGHER,
    LOWER,
    OF_NOISE,
    QUANTITIES,
    ZERO,
    describe,
)
from SyntheticCTEvalLib.gamma.criteria import Criterion
from SyntheticCTEvalLib.image.similarity import TISSUES
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE, DIFFERENCE_GY
from SyntheticCTEvalLib.structures.dvh_points import DvhPoint

SHIPPED = ("tg218", "korsholm2014")
"""Names of the files that come with the program."""

_NEEDS = {
    "gpr_criteria": ("criterion", "cutoff_percent"),
    "gpr_structures": ("criterion", "structure"),
    "tissue_mae": ("tissue",),
}
"""What a figure needs beside its limits; dose-volume figures need a structure, others nothing."""

_TEXTS = ("figure", "label", "criterion", "structure", "tissue", "better")
_NUMBERS = ("cutoff_percent", "tolerance", "action")
_SIDES = {"lower": LOWER, "higher": HIGHER, "zero": ZERO}
_AT_MOST_1 = ("ssim", "ms_ssim", "dsc_")
_OF_EVERY_STRUCTURE = ("volume_cm3", "outside_percent")


def acceptance_file(name_or_path: str | os.PathLike) -> Path:
    """Return the file that a shipped name or a path stands for."""
    if name_or_path in SHIPPED:
        return Path(__file__).parent / f"{name_or_path}.toml"
    return Path(name_or_path)


def read_acceptance(name_or_path: str | os.PathLike) -> Acceptance:
    """Return the limits of an acceptance file, or of a shipped one by its name.

    Raises:
        SyntheticCTError: the file cannot be read, or anything in it is not as it must be; the
            sentence names the limit and the key.
    """
    path = acceptance_file(name_or_path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SyntheticCTError(
            f"The acceptance file {path} cannot be read ({error.strerror}): give a file, or one "
            f"of {', '.join(SHIPPED)}."
        ) from error
    try:
        text = content.decode("utf-8")
        found = tomllib.loads(text.removeprefix("\ufeff"))
    except ValueError as error:  # of decoding, too
        raise SyntheticCTError(
            f"The acceptance file {path.name} is no TOML ({error}): texts stand in quotes, numbers "
            "have a decimal point, and every limit begins with [[limit]]."
        ) from error
    where = f"The acceptance file {path.name}"
    _known(where, found, ("name", "source", "note", "limit"))
    name, source = (_text(where, found, key, needed=True) for key in ("name", "source"))
    tables = found.get("limit")
    if not (isinstance(tables, list) and tables and all(isinstance(t, dict) for t in tables)):
        raise SyntheticCTError(f"{where} has no limits: begin each with a line [[limit]].")
    limits = tuple(
        _limit(f"{where}, limit {number}{_called(table)}", table)
        for number, table in enumerate(tables, 1)
    )
    _refuse_twice(where, limits)
    note = _text(where, found, "note")
    sha256 = hashlib.sha256(content).hexdigest()
    return Acceptance(name, source, limits, text, sha256, note, path.name)


def _called(table: dict[str, Any]) -> str:
    name = table.get("label") or table.get("figure")
    return f" ({name})" if isinstance(name, str) else ""


def _limit(where: str, table: dict[str, Any]) -> Limit:
    _known(where, table, (*_TEXTS, *_NUMBERS))
    figure = _figure(where, _text(where, table, "figure", needed=True))
    of_dvh = figure not in QUANTITIES
    needs = ("structure",) if of_dvh else _NEEDS.get(figure, ())
    for key in ("criterion", "cutoff_percent", "structure", "tissue"):
        if key in table and key not in needs:
            raise SyntheticCTError(f"{where}: {figure} has no {key}: take this line away.")
        if key in needs and key not in table:
            raise SyntheticCTError(f"{where}: {figure} needs {key} as well: add it.")
    parts = {
        "criterion": _criterion(where, table),
        "structure": _text(where, table, "structure"),
        "tissue": _text(where, table, "tissue"),
        "cutoff_percent": _number(where, table, "cutoff_percent"),
    }
    cutoff = parts["cutoff_percent"]
    if cutoff is not None and not 0 <= cutoff <= 100:
        raise SyntheticCTError(f"{where}: cutoff_percent is {cutoff:g}: give 0 to 100.")
    if parts["tissue"] and parts["tissue"] not in TISSUES:
        raise SyntheticCTError(
            f"{where}: {parts['tissue']!r} is no tissue: give one of {', '.join(TISSUES)}."
        )
    if ";" in parts["structure"]:
        raise SyntheticCTError(f"{where}: structure holds a semicolon: write ? in its place.")
    better = _better(where, table, figure, of_dvh)
    limit = Limit(figure, better, label=_text(where, table, "label"), **parts)
    return _with_levels(where, table, limit)


def _figure(where: str, name: str) -> str:
    """The figure's name in its normal form."""
    if name == "gpr":
        raise SyntheticCTError(
            f"{where}: gpr is of whatever criterion is the first of a run: write gpr_criteria, "
            "with criterion."
        )
    if name in OF_NOISE:
        raise SyntheticCTError(
            f"{where}: {name} is what noise does to a pass rate, and no figure of a candidate: "
            "hold the pass rate against limits, and ask for less noise by --dose-noise."
        )
    if name in QUANTITIES or name in _OF_EVERY_STRUCTURE:
        return name
    ends = (DIFFERENCE_GY, DIFFERENCE, "")
    end = next(end for end in ends if name.endswith(end))
    try:
        point = DvhPoint.parse(name.removesuffix(end) if end else name)
    except SyntheticCTError as error:
        raise SyntheticCTError(
            f"{where}: there is no figure {name!r}{_nearest(name, QUANTITIES)}: give a name of "
            "metrics.json, or a dose-volume figure such as D98_difference or V40Gy_difference."
        ) from error
    if end == DIFFERENCE_GY and point.kind == "V":
        raise SyntheticCTError(
            f"{where}: {name} is a volume and has no difference in Gy: write "
            f"{point.name}{DIFFERENCE}."
        )
    return point.name + end


def _criterion(where: str, table: dict[str, Any]) -> str:
    text = _text(where, table, "criterion")
    if "criterion" not in table:
        return ""
    try:
        return Criterion.parse(text).name
    except SyntheticCTError as error:
        raise SyntheticCTError(f"{where}: criterion: {error}") from error


def _better(where: str, table: dict[str, Any], figure: str, of_dvh: bool) -> str:
    """Which side of a figure is good: its own, else what the limit says."""
    own = describe(("dvh", "", figure) if of_dvh else (figure, "")).better
    said = _text(where, table, "better")
    if said and said not in _SIDES:
        raise SyntheticCTError(f"{where}: better is {said!r}: give lower, higher or zero.")
    if own and said and _SIDES[said] != own:
        raise SyntheticCTError(f"{where}: of {figure}, {own}: take the line better away.")
    if not own and not said:
        hint = f", or hold {figure}{DIFFERENCE} against limits" if of_dvh else ""
        raise SyntheticCTError(
            f"{where}: {figure} has no better side by itself: add better (lower, higher or "
            f"zero){hint}."
        )
    return own or _SIDES[said]


def _with_levels(where: str, table: dict[str, Any], limit: Limit) -> Limit:
    levels = {key: _number(where, table, key) for key in ("tolerance", "action")}
    tolerance, action = levels.values()
    if tolerance is None and action is None:
        raise SyntheticCTError(f"{where}: neither tolerance nor action is given: give one of them.")
    limit = replace(limit, **levels)
    for key, value in levels.items():
        if value is not None:
            _require_reachable(where, key, value, limit)
    if tolerance is not None and action is not None:
        beyond = action <= tolerance if limit.better == HIGHER else action >= tolerance
        if not beyond:
            side = "below" if limit.better == HIGHER else "above"
            raise SyntheticCTError(
                f"{where}: action ({action:g}) must not be within tolerance ({tolerance:g}): of "
                f"{limit.figure}, {limit.better}, so give an action {side} the tolerance."
            )
    return limit


def _require_reachable(where: str, key: str, value: float, limit: Limit) -> None:
    """Refuse a limit that every value, or none, is within."""
    low, high = -math.inf, math.inf
    if limit.better == ZERO:
        low = 0.0
    if limit.figure in QUANTITIES:
        if limit.unit == "%":
            low, high = 0.0, 100.0
        elif limit.figure.startswith(_AT_MOST_1):
            low, high = -1.0, 1.0
        elif limit.better == LOWER and limit.unit in ("HU", "mm"):
            low = 0.0
    if not low <= value <= high:
        unit = f" {limit.unit}" if limit.unit else ""
        top = f" and at most {high:g}" if math.isfinite(high) else ""
        raise SyntheticCTError(
            f"{where}: {key} is {value:g}{unit}, which {limit.figure} cannot be held against: give "
            f"at least {low:g}{top}."
        )


def _refuse_twice(where: str, limits: Iterable[Limit]) -> None:
    seen: dict[tuple[str, ...], int] = {}
    for number, limit in enumerate(limits, 1):
        key = limit.path(limit.structure.casefold())
        if key in seen:
            raise SyntheticCTError(
                f"{where}: limits {seen[key]} and {number} are both of {' '.join(key)}: give one, "
                "with tolerance and action."
            )
        seen[key] = number


def _known(where: str, table: dict[str, Any], keys: Iterable[str]) -> None:
    keys = list(keys)
    for key in table:
        if key not in keys:
            raise SyntheticCTError(
                f"{where}: there is no key {key!r}{_nearest(key, keys)}: the keys are "
                f"{', '.join(keys)}."
            )


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), 1)
    return f" (is it {found[0]}?)" if found else ""


def _text(where: str, table: dict[str, Any], key: str, needed: bool = False) -> str:
    if key not in table and not needed:
        return ""
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        state = "is missing" if key not in table else f"is {value!r}"
        raise SyntheticCTError(f"{where}: {key} {state}: give a text in quotes.")
    return value.strip()


def _number(where: str, table: dict[str, Any], key: str) -> float | None:
    if key not in table:
        return None
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SyntheticCTError(f"{where}: {key} is {value!r}: give a number, without quotes.")
    return float(value)
