"""What RT files refer to, by UID: a structure set to its images, a plan to that, a dose to both."""

from __future__ import annotations

from collections.abc import Sequence

from .rows import Row


def resolve_references(rows: Sequence[Row]) -> None:
    """Fill in ``on`` of RT rows, with why or what is ambiguous; structure sets come first."""
    for kind in ("RTSTRUCT", "RTPLAN", "RTDOSE"):
        for row in rows:
            if row.role == kind and row.on is None:
                row.on, row.why, row.ambiguous = _target(row, rows)


def _target(row: Row, rows: Sequence[Row]) -> tuple[Row | None, str, str]:
    refers = row.facts.refers or {}
    own = [other for other in rows if other.patient == row.patient]
    found: dict[int, tuple[Row, str]] = {}
    missing, wrong_frame = [], ""
    for kind, name in (("structures", "structure set"), ("plans", "plan")):
        for uid in refers.get(kind, ()):
            via = [other for other in own if other.facts.instance == uid and not other.image]
            if not via:
                missing.append(name)
            for other in via:
                if other.on is not None:
                    found[id(other.on)] = (other.on, f"by its {name} {other.label}")
    if row.facts.kind == "RTSTRUCT" or not found:
        for image in _images(refers, own):
            found[id(image)] = (image, "by UID")
    for image, _how in list(found.values()):
        frames = refers.get("frames") or ([row.facts.frame] if row.facts.frame else [])
        if frames and image.facts.frame and image.facts.frame not in frames:
            wrong_frame = image.label
    if wrong_frame:
        return None, "", f"refers to {wrong_frame}, but lies in another frame of reference"
    if len(found) == 1:
        ((image, how),) = found.values()
        return image, f"on {image.label} {how}", ""
    if found:
        labels = ", ".join(sorted(image.label for image, _ in found.values()))
        return None, "", f"refers to several series ({labels}): say on which by ROLE@SERIES"
    frames = set(refers.get("frames", [])) | {row.facts.frame} - {""}
    near = [other.label for other in own if other.image and other.facts.frame in frames]
    hint = f" ({', '.join(near)} of the same frame of reference)" if near else ""
    what = f"a {missing[0]} that is" if missing else "a series that is" if refers else ""
    told = f"refers to {what} not here" if what else "refers to nothing"
    return None, "", f"{told}{hint}: say on which image it is by ROLE@SERIES"


def _images(refers: dict[str, list[str]], own: list[Row]) -> list[Row]:
    """The images that are referred to: those that hold the instances, where series have parts."""
    instances = set(refers.get("instances", ()))

    def holds(row: Row) -> bool:
        return any(entry.facts.instance in instances for entry in row.entries)

    images = [row for row in own if row.image]
    named = [row for row in images if row.facts.series in refers.get("series", ())]
    return [row for row in named if holds(row)] or [r for r in images if holds(r)] or named
