"""Names of candidates: which become parts of file names, and what reports call them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from SyntheticCTLib.volumes.marks import look_alike_note, look_alike_words

if TYPE_CHECKING:
    from .results import Evaluation


def is_candidate_name(name: str) -> bool:
    """Whether a candidate may be called so: its name becomes part of file names."""
    allowed = all(letter.isalnum() or letter in " -_.,()+" for letter in name)
    taken = name.lower() == "ct" or name.lower().startswith("difference_")
    return allowed and 0 < len(name) <= 100 and name == name.strip(" .") and not taken


def shown_names(evaluation: Evaluation) -> dict[str, str]:
    """Return what every candidate is called in reports, by its name.

    That is its name, but for the digital phantom's MRCAT look-alike, which must not be taken for
    the vendor's product. No two candidates are called alike.
    """
    found = evaluation.candidates
    return _shown(found, [n for n, c in found.items() if look_alike_note(n, c.volume)])


def shown_by_notes(names: Collection[str], notes: Collection[str]) -> dict[str, str]:
    """Return what :func:`shown_names` does, of candidates that only notes are left of.

    Args:
        notes: of the evaluations of these candidates, as metrics.json has them.
    """
    return _shown(names, [name for name in names if look_alike_words(name) in notes])


def _shown(names: Collection[str], look_alikes: Collection[str]) -> dict[str, str]:
    shown: dict[str, str] = {}
    for name in names:
        called = name
        if _passes_for_mrcat(name) and name in look_alikes:
            called = f"{name} look-alike"
            number = 1
            while called in names or called in shown.values():
                number += 1
                called = f"{name} look-alike {number}"
        shown[name] = called
    return shown


def told(text: str, shown: Mapping[str, str]) -> str:
    """Return a sentence with candidates named as ``shown`` (:func:`shown_names`) has them."""
    for name, called in shown.items():
        if called != name:
            # Not within a word, a file's name, or what is called a look-alike already.
            alone = rf"(?<![\w./\\-]){re.escape(name)}(?![\w/\\-]|\.\w| look.?alike)"
            text = re.sub(alone, lambda _: called, text)  # noqa: B023
    return text


def told_all(texts: Any, shown: Mapping[str, str]) -> Any:
    """Return every text of a list, or in a dictionary, as :func:`told` does."""
    if isinstance(texts, dict):
        return {key: told(text, shown) for key, text in texts.items()}
    return [told(text, shown) for text in texts]


def _passes_for_mrcat(name: str) -> bool:
    return "mrcat" in name.lower() and not re.search("look.?alike", name.lower())
