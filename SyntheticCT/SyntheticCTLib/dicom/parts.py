"""The parts of a series: contrasts, echoes, b-values, moments and localizers kept in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from .contrast import KEYS
from .headers import DicomSlice
from .order import DIRECTION_TOLERANCE

_PLANES = ("sagittal", "coronal", "axial")
"""Of images whose normal is closest to x, y, z."""
_ORIGINS = ("ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY")
"""Words of ImageType that name no contrast; they are told only where nothing else differs."""
_OBLIQUE = 0.8
"""Share of the normal along an axis from which a plane bears its name (within 37 degrees)."""


def parts_of(slices: list[DicomSlice]) -> dict[str, list[DicomSlice]]:
    """Return the parts of a series by name; one part named "" where it need not be split.

    It is split where it mixes localizers and images, directions, or stacks that headers name,
    and where several slices lie at one place and their headers say in what they differ
    (:data:`contrast.KEYS`); never by what differs between places alone, such as the acquisition
    of interleaved slices. Slices at one place that their headers do not tell apart stay together.

    Args:
        slices: of one series, a file each, or the frames of one file.
    """
    if any(None in (item.orientation, item.position) or item.frames > 1 for item in slices):
        return {"": slices}
    parts: list[tuple[list[str], list[DicomSlice]]] = [([], slices)]
    parts = _split(parts, lambda group: ["localizer" if s.localizer else "" for s in group])
    parts = _split(parts, _plane_names)
    for number, key in enumerate(KEYS):
        parts = _split(parts, lambda group, n=number, k=key: _values(group, n, k))
    if len(parts) == 1:
        return {"": slices}
    named: dict[str, list[DicomSlice]] = {}
    for words, group in parts:
        name = " ".join(word for word in words if word) or "images"
        named[name if name not in named else f"{name} {len(named) + 1}"] = group
    return named


def plane_of(orientation: tuple[float, ...]) -> str:
    """Return "axial", "coronal", "sagittal" or "oblique" of an ImageOrientationPatient."""
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    along = np.abs(normal) / length if length else np.zeros(3)
    at = int(np.argmax(along))
    return _PLANES[at] if along[at] >= _OBLIQUE else "oblique"


def _split(
    parts: list[tuple[list[str], list[DicomSlice]]],
    words: Callable[[list[DicomSlice]], list[str]],
) -> list[tuple[list[str], list[DicomSlice]]]:
    """Split every part by the word of each of its slices, which joins its name."""
    result = []
    for name, group in parts:
        by_word: dict[str, list[DicomSlice]] = {}
        for word, item in zip(words(group), group, strict=True):
            by_word.setdefault(word, []).append(item)
        result += [
            ([*name, word] if len(by_word) > 1 else name, items) for word, items in by_word.items()
        ]
    return result


def _plane_names(group: list[DicomSlice]) -> list[str]:
    directions: list[tuple[str, np.ndarray]] = []
    known: dict[tuple[float, ...], str] = {}
    for item in group:
        if item.orientation in known:
            continue
        own = np.array(item.orientation)
        same = (n for n, other in directions if np.allclose(own, other, atol=DIRECTION_TOLERANCE))
        name = next(same, "")
        if not name:
            plane = plane_of(item.orientation)
            count = sum(found.startswith(plane) for found, _ in directions)
            name = f"{plane} {count + 1}" if count else plane
            directions.append((name, own))
        known[item.orientation] = name
    names = [known[item.orientation] for item in group]
    # One slice in another direction is no stack, but a fault that the reader names.
    return names if min(Counter(names).values()) > 1 else [""] * len(group)


def _values(group: list[DicomSlice], number: int, key: str) -> list[str]:
    """The words by which slices at one place differ; all the same where they do not."""
    values = [item.contrast[number] if item.contrast else "" for item in group]
    if len(set(values)) == 1:
        return [""] * len(group)
    if key == "stack":  # one of a single slice is none
        stacks = min(Counter(values).values()) > 1
        return [f"stack {value}" if stacks and value else "" for value in values]
    places: dict[tuple[float, ...], set[str]] = {}
    for item, value in zip(group, values, strict=True):
        places.setdefault(tuple(round(v, 1) for v in item.position), set()).add(value)
    if all(len(found) == 1 for found in places.values()):
        return [""] * len(group)
    if key != "type":
        return [f"{key} {value}" if value else f"no {key}" for value in values]
    kinds = set(values)
    counts = Counter(word for kind in kinds for word in kind.split(" "))
    own = {
        kind: " ".join(word for word in kind.split(" ") if counts[word] < len(kinds))
        for kind in kinds
    }
    short = {
        kind: " ".join(word for word in name.split(" ") if word not in _ORIGINS)
        for kind, name in own.items()
    }
    if len(set(short.values())) == len(kinds):
        own = short
    return [own[value] or "plain" for value in values]
