"""What a result was made of, as a part of its report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from SyntheticCTLib.volumes.grids import told_grid

from SyntheticCTEvalLib.evaluation.names import shown_names, told
from SyntheticCTEvalLib.evaluation.results import Evaluation

from .blocks import Block, Cell, Column, Section, Table, facts_table


def origin_section(evaluation: Evaluation, compared: Table) -> Section:
    """Return what was compared, and with what program and files."""
    blocks: list[Block] = [compared]
    shown = shown_names(evaluation)
    facts = origin_facts(evaluation.origin)
    if dose := evaluation.definitions.get("dose"):
        facts.append(("Dose", told(dose, shown)))
    if facts:
        blocks.append(facts_table("What it was made with", facts))
    if inputs := inputs_table(evaluation.origin, shown):
        blocks.append(inputs)
    return Section("Origin", blocks)


def origin_facts(origin: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return in words what results were made of; nothing where that is not known."""
    if not origin:
        return []
    program = origin["program"]
    if commit := origin.get("commit"):
        program += f", commit {commit[:12]}{commit[40:]}"
    facts = [("Computed", f"{origin['date'].replace('T', ' ')} by {program}")]
    if command := origin.get("command"):
        facts.append(("Command", command))
    if packages := origin.get("packages"):
        told = [f"Python {origin['python']}", *(f"{n} {v}" for n, v in packages.items())]
        facts.append(("Packages", ", ".join(told)))
    if model := origin.get("model"):
        facts.append(("Model", f"{model['name']} (SHA-256 {model['sha256']})"))
    return facts


def inputs_table(
    origin: Mapping[str, Any], shown: Mapping[str, str] = MappingProxyType({})
) -> Table | None:
    """Return every input with its file, hashes and grid; None where they are not known.

    Args:
        shown: what candidates are called, by their names.
    """
    inputs = origin.get("inputs", {})
    if not inputs:
        return None
    rows = []
    for what, found in inputs.items():
        grid = told_grid(found["size"], found["spacing_mm"]) if "size" in found else ""
        hashes = [f"file {found['sha256']}"] if "sha256" in found else []
        if "voxels_sha256" in found:
            hashes.append(f"voxels {found['voxels_sha256']}")
        if "model_sha256" in found:
            hashes.append(f"made by the model {found['model_sha256']}")
        what = told(what, shown)
        name = Cell(what[:1].upper() + what[1:])
        uids = (f"{of.replace('_', ' ')} {uid}" for of, uid in found.get("uids", {}).items())
        file = "; ".join([found.get("file", "made here"), *uids])
        rows.append([name, Cell(file), Cell(grid), Cell("; ".join(hashes))])
    columns = [
        Column(Cell("Input"), width=1.1),
        Column(Cell("File"), width=1.2),
        Column(Cell("Grid"), width=1.3),
        Column(Cell("SHA-256"), width=3),
    ]
    return Table("What it was made of", columns, rows, "dense")
