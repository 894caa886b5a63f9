"""Which structure is the target: the one that is named, or a target by the words of its name."""

from __future__ import annotations

import re
from collections.abc import Mapping

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError

TARGET_WORDS = ("ptv", "itv", "ctv", "gtv", "target")
"""Words that make a structure a target, the first of them first (AAPM TG-263 for the names)."""


def _set_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


HELP_WORDS = _set_of(
    "air artefact artifact avoid avoidance bolus brush carve cold control copy couch crop cropped "
    "cut dnu dummy dvh edge eval evl evaluation exclude excluding excl expand expanded fake gas "
    "gradient help helper hilf hilfs hot hotspot in inner inside int inter intersect intersection "
    "iso isodose less margin marker max min minus no non norm normal not ntcp off old ohne ol opt "
    "opti optim optimisation optimization out outer outside overlap prv push rand ring rind scale "
    "shell skin spare sparing spill sub subtract subtracted surround test tissue tmp temp tune "
    "tuning use wall without xx zz zzz"
)
"""Words of structures that help to plan or to judge, and are no target themselves."""

HELP_LETTERS = ("d", "o", "x", "z")
"""Letters that put help structures at the end of a list, where a name begins with one."""

ORGAN_WORDS = _set_of(
    "anal anus aorta blase bladder body bone bones bowel bowelbag bulb canal cauda cavity colon "
    "contour cord darm duodenum external femoral femur femurs genitalia haut head heads heart hip "
    "hips kidney kidneys knochen liver lung lungs marrow muscle nerve nt oar oars organ organs "
    "ovary patient penile penis rectal rectum rektum sacrum sigma sigmoid spinal stomach testes "
    "testis ureter urethra uterus vagina vulva"
)
"""Words of organs: with a target's word they name what organ and target share, or one without
the other."""

LABEL_WORDS = _set_of(
    "bed boost final fossa high hr ir l left ln lns low lr lymph mid nodal node nodes pelvic "
    "pelvis plan primary prostata prostate r right sib sv tumor tumour vesicles"
)
"""Words that may stand before a hyphen and a target's word without a subtraction being meant."""

_LEVELS = {"high": 3, "hd": 3, "hr": 3, "boost": 3, "mid": 2, "ir": 2, "low": 1, "ld": 1, "lr": 1}
_WORD = re.compile(
    r"(?<![A-Z])(?:HR|IR|LR|I)?(?:PTV|ITV|CTV|GTV)|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+"
    r"|\d+(?:[.,]\d+)?"
)
_TARGET = re.compile(r"(?:hr|ir|lr|i)?(ptv|itv|ctv|gtv|target)s?(.*)")
_SIGNS = "-\N{MINUS SIGN}\N{EN DASH}\N{EM DASH}\N{HYPHEN}"


def find_target(structures: Mapping[str, sitk.Image], name: str | None) -> str | None:
    """Return the name of the target among ``structures``; None where there is none.

    Args:
        name: of the target, where it was asked for. Otherwise names are read as words: a
            structure is a target by one of :data:`TARGET_WORDS`, and by none of the words, signs
            and organs that make it a help structure (Bowel-PTV, PTV_ring, zPTV, PTV_eval). Of
            several, the kind that comes first in :data:`TARGET_WORDS`, then the highest dose
            level that the name tells, then the first in the file.

    Raises:
        SyntheticCTError: ``name`` is not there.
    """
    if name is not None:
        if name not in structures:
            raise SyntheticCTError(
                f"The structures have no {name!r}: give one of "
                f"{', '.join(structures) or 'them with --structures'}."
            )
        return name
    return next(iter(_targets(structures)), None)


def is_target_name(name: str) -> bool:
    """Whether a structure is a target by its name alone, see :func:`find_target`."""
    return _kind(name) is not None


def describe_target(
    structures: Mapping[str, sitk.Image], name: str | None
) -> tuple[str, list[str]]:
    """Return the line that says which target :func:`find_target` takes and why, and notes.

    Notes name the choice where there was one, and help structures where there is no target.
    """
    taken = find_target(structures, name)
    if name is not None:
        return f"{name}, as asked for.", []
    if taken is None:
        line = "No structure is a target by its name."
        helpers = [n for n in structures if _kind(n, strict=False) is not None]
        if helpers:
            line += (
                f" Taken for help structures: {', '.join(helpers)}; name one as the target "
                "if it is."
            )
        return line, [line] if structures else []
    others = [other for other in _targets(structures) if other != taken]
    if not others:
        return f"{taken}, the only structure that is a target by its name.", []
    line = (
        f"{taken}, because of several targets PTV comes before ITV, CTV and GTV, then the highest "
        f"dose level, then the first in the file; not taken: {', '.join(others)}."
    )
    return line, [f"The target is {line} Name another as the target if it is."]


def _targets(structures: Mapping[str, sitk.Image]) -> list[str]:
    """The names that are targets, the one to be taken first."""
    found = [
        (kind, -_dose_level(name), number, name)
        for number, name in enumerate(structures)
        if (kind := _kind(name)) is not None and sitk.GetArrayViewFromImage(structures[name]).any()
    ]
    return [name for *_, name in sorted(found)]


def _kind(name: str, strict: bool = True) -> int | None:
    """Number of the target's word in a name, None for what is no target.

    Args:
        strict: help structures are none.
    """
    words = _words(name)
    kinds = [TARGET_WORDS.index(word) for word in words if word in TARGET_WORDS]
    if not kinds:
        return None
    if strict and (len(kinds) > 1 or _helps(name, words)):
        return None
    return min(kinds)


def _words(name: str) -> list[str]:
    """The words of a name in small letters; what is joined to a target's word is one of its own.

    But for one or two letters, which classify the target (TG-263: n nodal, p primary, ...).
    """
    words = []
    for word in _WORD.findall(name):
        match = _TARGET.fullmatch(word.lower())
        if match is None:
            words.append(word.lower())
        else:
            words += [match[1], *([match[2]] if len(match[2]) > 2 else [])]
    return words


def _helps(name: str, words: list[str]) -> bool:
    """Whether a name with a target's word is that of a help structure."""
    if words[0] in HELP_LETTERS or not (HELP_WORDS | ORGAN_WORDS).isdisjoint(words):
        return True
    text = re.sub(f"[{_SIGNS}]", "-", name.lower())
    if "!" in text or re.search(r"[-+]\s*\d+(?:[.,]\d+)?\s*[mc]m\b", text):
        return True  # less an overlap (TG-263), or with a margin
    before = re.search(rf"([^\W\d_]+)\W*-\s*(?:{'|'.join(TARGET_WORDS)})", text)
    return before is not None and before[1] not in LABEL_WORDS


def _dose_level(name: str) -> float:
    """The dose in Gy that a name tells (PTV_4500, PTV 50.4Gy), else a word's rank below 1."""
    numbers = [float(word.replace(",", ".")) for word in _words(name) if word[0].isdigit()]
    doses = [n / 100 if n >= 1000 else n for n in numbers if 15 <= n <= 120 or 1000 <= n <= 12000]
    if doses:
        return max(doses)
    return max((_LEVELS.get(word, 0) for word in _words(name)), default=0) / 10
