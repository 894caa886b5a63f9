"""The ways in which candidates come to lie on the true CT, and the line that says which."""

from __future__ import annotations

from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError

NONE, RIGID, DEFORMABLE = WAYS = ("none", "rigid", "deformable")
EACH, BY_MR = BYS = ("candidate", "mr")
"""Between which images the transform is found: each candidate and the CT, or the MR and the CT."""

MR = "MR"
"""What the MR is called among what was registered."""

_ONCE = (
    "values below -1024 HU set to that, then linear interpolation once, -1024 HU outside the "
    "candidate"
)
_RIGID = (
    "rigid (Mattes mutual information of all voxels, SimpleITK; from turned starts too where the "
    "bodies do not agree)"
)
_REPEATABLE = "The same images give the same transform."


def parse_way(text: str) -> str:
    """Return one of :data:`WAYS` as a table's cell has it; SyntheticCTError where it is none."""
    return _one_of(text, WAYS, "registration")


def parse_by(text: str) -> str:
    """Return one of :data:`BYS` as a table's cell has it; SyntheticCTError where it is none."""
    return _one_of(text, BYS, "image to register by")


def _one_of(text: str, known: tuple[str, ...], what: str) -> str:
    if text.strip().lower() not in known:
        raise SyntheticCTError(f"{text!r} is no {what}: write {', '.join(known)}.")
    return text.strip().lower()


def place_definition(way: str, by: str = EACH) -> str:
    """Return the line that says how candidates came to lie on the true CT, and why it matters."""
    if way == NONE:
        which = "the MR and the candidates" if by == BY_MR else "the candidates"
        return f"None: {which} were taken to lie on the true CT already."
    if by == BY_MR:
        return _by_mr(way)
    if way == RIGID:
        return (
            f"Each candidate registered onto the true CT by itself: {_RIGID}; "
            f"{_ONCE}. Nothing was bent: what patient and organs have "
            "moved between MR and CT stays in the figures. A shift of the candidate as a whole "
            f"does not. {_REPEATABLE}"
        )
    return (
        f"Each candidate registered onto the true CT by itself: {_RIGID}, then B-spline in three "
        f"resolution stages (mean squared error, plastimatch); {_ONCE}. Each candidate is bent by "
        "its own differences from the true CT, which makes the figures better than they are "
        "without: how far, and what the rigid part alone gives, stands beside them; a registration "
        f"by the MR bends no candidate by its own errors. {_REPEATABLE}"
    )


def _by_mr(way: str) -> str:
    bent = ", then B-spline in three resolution stages (mutual information, plastimatch)"
    return (
        "By the MR: one transform was found between the MR and the true CT, "
        f"{_RIGID}{bent if way == DEFORMABLE else ', nothing was bent'}; the MR and all candidates "
        f"were carried onto the true CT by it ({_ONCE}). It presumes that the candidates lie in "
        "the MR's space. No candidate is bent or moved by its own errors, which would flatter it: "
        "they stay in the figures, and so does the error of the registration, which is the same "
        "for all candidates. Figures are as a rule worse than where each candidate is registered "
        f"by itself. {_REPEATABLE}"
    )


def told_way(way: str, by: str) -> dict[str, Any]:
    """Return what metrics.json says of the way: way, by, and the metric of each part."""
    bent = {EACH: "mean squared error", BY_MR: "mutual information"}[by]
    return {
        "way": way,
        "by": by,
        "metric": {
            "rigid": None if way == NONE else "mutual information",
            "deformable": bent if way == DEFORMABLE else None,
        },
    }
