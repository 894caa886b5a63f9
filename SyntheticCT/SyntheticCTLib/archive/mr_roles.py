"""What an MR series is: T2-weighted, an image of mDixon, or nothing that is needed here."""

from __future__ import annotations

import re

from SyntheticCTLib.dicom.contrast import component_of

from .rows import Row
from .synthetic import mrcat_said, mrcat_values, synthetic_said

IN_PHASE, WATER, FAT, OPPOSED = "mDixon in-phase", "mDixon water", "mDixon fat", "mDixon opposed"
T2 = "MR T2"

_TYPES = {
    IN_PHASE: {"IP", "IN_PHASE", "IN", "INPHASE"},
    WATER: {"W", "WATER"},
    FAT: {"F", "FAT"},
    OPPOSED: {"OP", "OPP", "OPP_PHASE", "OPPOSED_PHASE", "OUT_PHASE", "OUT_OF_PHASE", "OUTPHASE"},
}
"""Words of ImageType and FrameType: Philips, GE, Siemens, enhanced MR (PS3.3 C.8.13.3.1)."""
_PHASES = {
    IN_PHASE: r"in[ _-]?phase|(?<![a-z])ip(?![a-z])|(?<![a-z])in(?![a-z])",
    WATER: r"water|(?<![a-z0-9])w(?![a-z0-9])",
    FAT: r"(?<![a-z])fat(?![ _-]?sat)(?![a-z])|(?<![a-z0-9])f(?![a-z0-9])",
    OPPOSED: r"opp(osed)?[ _-]?(phase)?(?![a-z])|out[ _-]?(of[ _-]?)?phase|(?<![a-z])op(?![a-z])",
}
_DIXON = re.compile(r"dixon|lava[ _-]?flex|(?<![a-z])(ideal|flex)(?![a-z])", re.IGNORECASE)
_SAYS_T2 = re.compile(r"(?<![a-z0-9])t2(?!\d)", re.IGNORECASE)
_SAYS_OTHER = re.compile(
    r"(?<![a-z])(t1|pd|dwi|adc|dce|epi|swi|mra|sub|mip)(?![a-z])|diff|flair|stir|tirm|perf|"
    r"t2[ _-]?\*|t2[ _-]?star|map(?![a-z])|survey|scout|localizer|localiser",
    re.IGNORECASE,
)
_FAT_SUPPRESSED = re.compile(
    r"(?<![a-z])(spair|spir|fs|proset|chess|fat[ _-]?(sat|sup)[a-z]*)(?![a-z])", re.IGNORECASE
)
_SCOUT = re.compile(r"survey|scout|locali[sz]er|topogram|(?<![a-z])loc(?![a-z])", re.IGNORECASE)
_MAPS = {"ADC", "PROJECTION IMAGE", "MIP", "SUBTRACTION", "FA", "TTP"}
_MAPS |= {"T1 MAP", "T2 MAP", "T1_MAP", "T2_MAP", "DIFFUSION"}
_FAT_IS_DARK_MS = 350  # inversion times that null fat are 150 to 250 ms up to 3 T
_LONG_TE_MS, _SHORT_TE_MS, _LONG_TR_MS = 60, 30, 1500


def is_scout(row: Row) -> bool:
    """Whether a series is a localizer by ImageType or by name."""
    return row.localizer or bool(_SCOUT.search(row.description))


def mr_role(row: Row) -> tuple[str, str, str]:
    """Return role, why, and what is ambiguous of a series of the modality MR."""
    values, told = mrcat_values(row)
    if values:
        return "MRCAT", told, ""
    if component := component_of(" ".join(row.facts.type)):
        return "", f"no role here: ImageType says {component} and not magnitude", ""
    phase, why, ambiguous = _dixon(row)
    if phase or ambiguous:
        return phase, why, ambiguous
    if said := mrcat_said(row):
        if values is False:
            told = f"{told}, not the five of an MRCAT"
        return "", "", f"{said}, but {told}: set its role"
    if said := synthetic_said(row):
        return "synthetic CT", said, ""
    return _t2(row)


def _name(row: Row) -> str:
    return f"{row.description} {row.facts.text('ProtocolName')}"


def _dixon(row: Row) -> tuple[str, str, str]:
    """What image of mDixon it is; all are "" where it is none of it."""
    kinds = [kind for kind in row.facts.type if kind not in ("ORIGINAL", "DERIVED", "PRIMARY")]
    typed = {role for role, words in _TYPES.items() if words & set(kinds)}
    named = set()
    dixon = bool(_DIXON.search(_name(row)))
    if dixon:
        text = _DIXON.sub(" ", row.description)
        named = {role for role, pattern in _PHASES.items() if re.search(pattern, text, re.I)}
    if not typed and not dixon:
        return "", "", ""
    found = typed or named
    if len(found) != 1 or (typed and len(named) == 1 and typed != named):
        both = " and ".join(sorted(typed | named)) or "nothing of its phase"
        return "", "", f"a Dixon image whose header says {both}: set its role"
    (role,) = found
    if _SAYS_T2.search(_name(row)) or _echo_time(row) >= _LONG_TE_MS:
        return "", "", f"{role.removeprefix('mDixon ')} of a T2-weighted Dixon: set its role"
    where = "ImageType" if typed else "the description"
    return role, f"{where} says {role.removeprefix('mDixon ')}", ""


def _echo_time(row: Row) -> float:
    return (row.facts.values or {}).get("EchoTime", 0.0)


def _fat_suppressed(row: Row) -> str:
    """What tells that fat is dark, which a model of plain T2 has not seen; "" where nothing does.

    By name, by ScanOptions (PS3.3 C.8.3.1.1.3: FS), by the enhanced element, or by an inversion.
    """
    values = row.facts.values or {}
    if named := _FAT_SUPPRESSED.search(_name(row)):
        return f"its name says {named.group()}"
    if "FS" in values.get("ScanOptions", []):
        return "ScanOptions says FS"
    if "FAT" in str(values.get("SpectrallySelectedSuppression", "")):
        return "SpectrallySelectedSuppression says FAT"
    inverted = "IR" in values.get("ScanningSequence", [])
    if inverted and 0 < values.get("InversionTime", 0) < _FAT_IS_DARK_MS:
        return f"it has an inversion time of {values['InversionTime']:g} ms"
    return ""


def _t2(row: Row) -> tuple[str, str, str]:
    values = row.facts.values or {}
    said, other = _SAYS_T2.search(_name(row)), _SAYS_OTHER.search(_name(row))
    if maps := _MAPS & set(row.facts.type):
        return "", f"no role here: ImageType says {sorted(maps)[0]}", ""
    diffusion = re.search(r"(^| )b \d", row.part) or row.contrast("b") not in ("", "0")
    if other or diffusion:
        what = other.group() if other else "diffusion"
        if said and other and re.fullmatch(r"t1|pd", what, re.IGNORECASE):
            return "", "", f"its name says {what} and T2: set its role"
        return "", f"no role here: {what}", ""
    echo, repetition = values.get("EchoTime"), values.get("RepetitionTime")
    sequence = [word.upper() for word in values.get("ScanningSequence", [])]
    spin = "SE" in sequence and not {"EP", "GR", "IR"} & set(sequence)
    long_echo = echo is not None and echo >= _LONG_TE_MS
    long_repetition = repetition is None or repetition >= _LONG_TR_MS
    times = ", ".join(
        f"{name} {value:g} ms" for name, value in (("TE", echo), ("TR", repetition)) if value
    )
    if dark := _fat_suppressed(row) if said or long_echo else "":
        return "", "", f"MR that may be T2-weighted with its fat suppressed ({dark}): set its role"
    if said:
        if echo is not None and (echo < _SHORT_TE_MS or (repetition and repetition < 500)):
            return "", "", f"its name says T2, but {times}: set its role"
        if sequence and "SE" not in sequence and "RM" not in sequence:
            kind = "/".join(sequence)
            return "", "", f"its name says T2, but its sequence is {kind}: set its role"
        return T2, ", ".join(filter(None, ["its name says T2", times, row.plane])), ""
    if spin and long_echo and long_repetition and repetition is not None:
        return T2, f"spin echo, {times}, {row.plane}", ""
    if long_echo and not {"EP", "GR"} & set(sequence):
        return "", "", f"MR that may be T2-weighted ({times}): set its role"
    return "", f"no role here: MR, {times or 'contrast not said'}", ""
