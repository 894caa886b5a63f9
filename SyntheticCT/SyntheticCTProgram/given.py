"""Options that say how something is done which is not done at all: they are refused."""

from __future__ import annotations

import argparse
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError


def given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the values of those options that were given; the others are None in ``options``."""
    found = {name: getattr(options, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def given_with_effect(
    options: argparse.Namespace, *names: str, done: bool, otherwise: str
) -> dict[str, Any]:
    """Return what :func:`given` does, of options that count only where something is ``done``.

    Args:
        otherwise: what the sentence says of such an option behind its name.

    Raises:
        SyntheticCTError: one is given, and it is not done.
    """
    found = given(options, *names)
    if found and not done:
        option = next(iter(found)).replace("_", "-")
        raise SyntheticCTError(f"--{option} {otherwise}, or leave it out.")
    return found
