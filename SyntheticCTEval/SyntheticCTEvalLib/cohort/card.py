"""What a result was made of, kept beside it: whether it must be made anew."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.outputs import named_in, staged_file

from SyntheticCTEvalLib.report.folder import earlier_results

CARD = "patient.json"
FOR_LIMITS = "for_limits"
"""Key of what acceptance limits have added to the settings (acceptance.verdicts.needs_of)."""


def write_card(
    folder: Path, made_of: Mapping[str, Any], voxels: Mapping[str, str] | None = None
) -> None:
    """Write into ``folder`` what its files, all that are there now, were made of.

    Args:
        voxels: sameness.voxel_hash of the patient's scans, by what they are.
    """
    files = {item.relative_to(folder).as_posix() for item in folder.rglob("*")}
    _write(folder, {"made_of": made_of, "voxels": dict(voxels or {})}, files)


def rewrite_card(folder: Path, written: Iterable[str]) -> None:
    """Write anew which files in ``folder`` are results; what they were made of stays.

    Args:
        written: names of files that were written since, or may have been. What else has come
            into the folder is the user's.
    """
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    _write(folder, card, {*card["files"], *written})


def _write(folder: Path, card: Mapping[str, Any], files: Iterable[str]) -> None:
    there = sorted(name for name in files if name != CARD and (folder / name).exists())
    with staged_file(folder / CARD) as stage:
        stage.write_text(json.dumps({**card, "files": there}, indent=2) + "\n", encoding="utf-8")


def results_in(folder: Path) -> list[Path]:
    """Return the files of an earlier run in a patient's folder, which go when it is done again."""
    try:
        names = json.loads((folder / CARD).read_text(encoding="utf-8"))["files"]
        found = named_in(folder, names, deep=True)
    except (OSError, ValueError, KeyError, TypeError):  # damaged: what the figures tell
        found = earlier_results(folder)
    return [path for path in (*found, folder / CARD) if path.is_file()]


def voxels_of(folder: Path) -> dict[str, str]:
    """Return what :func:`write_card` was told of the patient's scans."""
    return json.loads((folder / CARD).read_text(encoding="utf-8")).get("voxels", {})


def is_current(folder: Path, made_of: Mapping[str, Any]) -> bool:
    """Whether ``folder`` holds all its files and they were made of exactly ``made_of``.

    Of criteria and dose-volume points that limits ask for (:data:`FOR_LIMITS`), there may be more.
    """
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        made, wanted = dict(card["made_of"]), json.loads(json.dumps(made_of))
        has, needs = made.pop(FOR_LIMITS, {}), wanted.pop(FOR_LIMITS, {})
        return (
            made == wanted
            and has.get("cutoffs_percent", []) == needs.get("cutoffs_percent", [])
            and all(set(asked) <= set(has.get(key, [])) for key, asked in needs.items())
            and all((folder / name).exists() for name in card["files"])
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
