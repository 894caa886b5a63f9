"""The options that say how a plan is made, of the commands that make one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from SyntheticCTLib.basics.errors import SyntheticCTError

from .arguments import number
from .given import given_with_effect

if TYPE_CHECKING:
    from SyntheticCTEvalLib.planning.request import PlanRequest

HOW = ("fractions", "arcs", "objectives")
"""Options that say how a plan is made."""


def add_planning(sub: argparse.ArgumentParser) -> None:
    """Add how a plan is made."""
    sub.add_argument("--fractions", type=_whole, help="of a plan that is made (25)")
    sub.add_argument("--arcs", type=int, choices=(1, 2, 3), help="of a plan that is made (2)")
    sub.add_argument(
        "--objectives",
        metavar="TOML",
        help="of organs, for a plan that is made, in place of those of EMBRACE II",
    )


def plan_request(
    options: argparse.Namespace, targets: Sequence[str], *, elsewhere: bool = False, **own: Any
) -> PlanRequest:
    """Return what a plan is asked for, and what is the command's ``own``.

    Args:
        targets: as NAME=GY; none where no plan is made.
        elsewhere: a plan is made all the same, for targets that are named in another place.

    Raises:
        SyntheticCTError: no target or dose, a target twice, objectives that cannot be read, a plan
            without dose, or how a plan is made where none is.
    """
    from SyntheticCTEvalLib.planning.objectives import read_objectives
    from SyntheticCTEvalLib.planning.request import PlanRequest, parse_levels

    if targets and getattr(options, "no_dose", False):
        raise SyntheticCTError(
            "--target NAME=GY makes a plan, and --no-dose wants none: leave one."
        )
    asked = given_with_effect(
        options,
        *HOW,
        done=bool(targets) or elsewhere,
        otherwise="says how a plan is made, and none is: give --target NAME=GY as well",
    )
    if "objectives" in asked:
        asked["objectives"] = read_objectives(asked["objectives"])
    return PlanRequest(levels=parse_levels(targets) if targets else (), **asked, **own)


def _whole(text: str) -> int:
    return int(number(text, "a whole number from 1 to 100", 1, 100, int))
