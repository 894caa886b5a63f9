"""Names of candidates, which become parts of file names."""

from __future__ import annotations


def is_candidate_name(name: str) -> bool:
    """Whether a candidate may be called so: its name becomes part of file names."""
    allowed = all(letter.isalnum() or letter in " -_.,()+" for letter in name)
    taken = name.lower() == "ct" or name.lower().startswith("difference_")
    return allowed and 0 < len(name) <= 100 and name == name.strip(" .") and not taken
