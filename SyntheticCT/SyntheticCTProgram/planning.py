"""The options that say how a plan is made, of the commands that make one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .arguments import number

if TYPE_CHECKING:
    from SyntheticCTEvalLib.planning.request import PlanRequest


def add_planning(sub: argparse.ArgumentParser) -> None:
    """Add how a plan is made."""
    sub.add_argument(
        "--fractions", type=_whole, default=25, help="of a plan that is made (%(default)s)"
    )
    sub.add_argument(
        "--arcs",
        type=int,
        choices=(1, 2, 3),
        default=2,
        help="of a plan that is made (%(default)s)",
    )
    sub.add_argument(
        "--objectives",
        metavar="TOML",
        help="of organs, for a plan that is made, in place of those of EMBRACE II",
    )


def plan_request(options: argparse.Namespace, targets: Sequence[str], **own: Any) -> PlanRequest:
    """Return what a plan is asked for, and what is the command's ``own``.

    Args:
        targets: as NAME=GY.

    Raises:
        SyntheticCTError: no target or dose, a target twice, or objectives that cannot be read.
    """
    from SyntheticCTEvalLib.planning.objectives import read_objectives
    from SyntheticCTEvalLib.planning.request import PlanRequest, parse_level, unique_levels

    return PlanRequest(
        levels=unique_levels(map(parse_level, targets)),
        fractions=options.fractions,
        arcs=options.arcs,
        objectives=read_objectives(options.objectives) if options.objectives else None,
        **own,
    )


def _whole(text: str) -> int:
    return int(number(text, "a whole number from 1 to 100", 1, 100, int))
