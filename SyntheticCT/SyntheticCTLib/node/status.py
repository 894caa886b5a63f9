"""What people at a terminal are told of the spool, and ask of it, also while a node serves it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import require_writable_folder

from .series import (
    ACCEPTED,
    AGAIN,
    ANSWERED,
    KEPT,
    SENDING,
    STATES,
    Series,
    load_all,
    write_through,
)


def status_table(series: Sequence[Series]) -> str:
    """Return a line a series and its reason beneath; names are those of the spool."""
    if not series:
        return "No series."
    lines = [f"{'series':16}  {'state':10}  {'since (UTC)':20}  images  sent"]
    for one in series:
        sent = f"{len(one.sent)}/{len(one.made)}" if one.made else "-"
        lines.append(
            f"{one.id:16}  {one.state:10}  {moment(one.since):20}  {one.files:6}  {sent}"
            + ("  (data removed)" if one.removed else "")
        )
        lines += [f"    {text}" for text in notes(one)]
        lines += [f"    outside the model's domain: {text}" for text in one.domain]
    counted = {state: sum(one.state == state for one in series) for state in STATES}
    lines.append(", ".join(f"{number} {state}" for state, number in counted.items() if number))
    return "\n".join(lines)


def as_values(series: Sequence[Series]) -> list[dict[str, Any]]:
    """The same as JSON values."""
    return [
        {
            "series": one.id,
            "state": one.state,
            "since": one.since,
            "images": one.files,
            "files": len(one.made),
            "sent": len(one.sent),
            "attempts": one.attempts,
            "next_try": one.next_try,
            "reason": one.reason,
            "domain": one.domain,
            "warnings": one.warnings,
            "removed": one.removed,
        }
        for one in series
    ]


def notes(one: Series) -> list[str]:
    """What is to be said of a series, a sentence each, but for the model's domain."""
    found = []
    if one.reason:
        what = {KEPT: "kept", SENDING: f"not sent after {one.attempts} attempts"}
        found.append(f"{what.get(one.state, 'last time')}: {one.reason}")
    if one.state == SENDING and one.next_try:
        found.append(f"next attempt {moment(one.next_try)}")
    return found + [f"warning: {text}" for text in one.warnings]


def moment(seconds: float) -> str:
    """A time as UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def put_back(folder: Path, name: str, *, outside_domain: bool = False) -> None:
    """Ask the node, running or not, to make and send the CT of a series once more.

    Args:
        outside_domain: although the MR is outside the model's domain.

    Raises:
        SyntheticCTError: no such series, its images are gone, or it is being worked on.
    """
    series = next((one for one in load_all(folder) if one.id == name), None)
    if series is None:
        raise SyntheticCTError(f"There is no series {name} in {folder}: --status names them.")
    if series.removed:
        raise SyntheticCTError(f"The images of the series {name} were removed: send it again.")
    if series.state not in ANSWERED:
        raise SyntheticCTError(f"The series {name} is still {series.state}: wait until it is done.")
    write_through(require_writable_folder(folder / AGAIN) / name, ACCEPTED * outside_domain)
