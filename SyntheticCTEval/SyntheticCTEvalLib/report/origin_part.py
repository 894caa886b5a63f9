"""What a result was made of, as a part of its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from SyntheticCTEvalLib.evaluation.results import Evaluation

from .blocks import Block, Section, Table, facts_table


def origin_section(evaluation: Evaluation, compared: Table) -> Section:
    """Return what was compared, and with what program and files."""
    blocks: list[Block] = [compared]
    if facts := origin_facts(evaluation.origin):
        blocks.append(facts_table("What it was made with", facts))
    return Section("Origin", blocks)


def origin_facts(origin: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return in words what results were made of; nothing where that is not known."""
    if not origin:
        return []
    facts = [("Computed", f"{origin['date'][:10]} by {origin['program']}")]
    for what, found in origin["inputs"].items():
        name = what[:1].upper() + what[1:]
        facts.append((f"{name}, file", f"{found['file']} (SHA-256 {found['sha256'][:16]}…)"))
    return facts
