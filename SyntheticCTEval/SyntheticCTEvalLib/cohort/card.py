"""What a result was made of, kept beside it: whether it must be made anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.outputs import staged_file

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
    files = sorted(item.relative_to(folder).as_posix() for item in folder.rglob("*"))
    files = [name for name in files if name != CARD]
    with staged_file(folder / CARD) as stage:
        stage.write_text(
            json.dumps({"made_of": made_of, "voxels": dict(voxels or {}), "files": files}, indent=2)
            + "\n",
            encoding="utf-8",
        )


def rewrite_card(folder: Path) -> None:
    """Write anew which files lie in ``folder``; what they were made of stays."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    write_card(folder, card["made_of"], card.get("voxels"))


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
