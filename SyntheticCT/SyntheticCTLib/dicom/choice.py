"""Which series of a folder is meant, and whether its modality is that of the role."""

from __future__ import annotations

from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress

from .headers import NO_IMAGES, PATIENT, DicomSlice
from .parts import parts_of

ROLES = {"MR": ("MR",), "CT": ("CT",), "candidate": ("CT", "MR")}
"""Modalities (DICOM) that may fill a role; a synthetic CT is labelled by some as MR."""


def role_of(what: str) -> str:
    """The first word of what sentences call a volume: that of "candidate sCT" is its role."""
    return what.partition(" ")[0]


def require_role(modality: str, name: str, what: str, progress: Progress) -> None:
    """Refuse a DICOM file or series whose modality contradicts its role.

    Args:
        modality: as the header has it.
        name: of the file or folder.
        what: the role; those that are not in :data:`ROLES` may be filled by any image.

    Raises:
        SyntheticCTError: it contradicts.
    """
    fitting = ROLES.get(role_of(what))
    if modality.startswith(NO_IMAGES):
        raise SyntheticCTError(
            f"The {what} {name} is of modality {modality}, which holds no image to be used as "
            f"{what}: give the series of image slices."
        )
    if fitting is None or modality in fitting:
        return
    if modality in ("", "OT"):
        progress.warn(
            f"The {what} {name} does not say of which modality it is: check that it is "
            f"{' or '.join(fitting)}."
        )
        return
    raise SyntheticCTError(
        f"The {what} {name} is of modality {modality}, not {' or '.join(fitting)}: give the "
        f"{' or '.join(fitting)} series, and check that two inputs were not mixed up."
    )


def choose_series(
    slices: list[DicomSlice], folder: Path, what: str, series: str, progress: Progress
) -> list[DicomSlice]:
    """Return the slices of the series that is named, or of the only one that can be meant.

    Where no series is named, one is taken if it alone has the modality of the role and is no
    localizer, and a warning says so. Of a series of several parts (see parts.parts_of), the one
    that stands after another # is taken, or the only one that is no localizer.

    Args:
        series: its number, description or UID; SERIES#PART names a part.

    Raises:
        SyntheticCTError: several could be meant, or none or several have the name.
    """
    groups: dict[str, list[DicomSlice]] = {}
    for item in slices:
        groups.setdefault(item.series, []).append(item)
    ordered = sorted(groups.values(), key=len, reverse=True)
    part = ""
    if "#" in series and not any(series.casefold() in _names(group) for group in ordered):
        series, _, part = (word.strip() for word in series.rpartition("#"))
    group = _one_series(ordered, folder, what, series, progress)
    return _one_part(group, folder, what, part, progress)


def _one_series(
    ordered: list[list[DicomSlice]], folder: Path, what: str, series: str, progress: Progress
) -> list[DicomSlice]:
    if series:
        found = [group for group in ordered if series.casefold() in _names(group)]
        if len(found) == 1:
            return found[0]
        raise SyntheticCTError(
            f"The {what} folder {folder} holds {'several' if found else 'no'} series "
            f"{series!r} among {_listed(ordered)}: {_how(ordered, folder)}."
        )
    if len(ordered) == 1:
        return ordered[0]
    fitting = ROLES.get(role_of(what))
    meant = [
        group
        for group in ordered
        if (fitting is None or group[0].modality in fitting)
        and not all(item.localizer for item in group)
    ]
    if len(meant) != 1:
        raise SyntheticCTError(
            f"The {what} folder {folder} holds several series, {_listed(ordered)}: "
            f"{_how(meant or ordered, folder)}."
        )
    progress.warn(
        f"The {what} folder {folder} holds several series, {_listed(ordered)}: "
        f"{_listed(meant)} was taken, as the only one that can be the {what}."
    )
    return meant[0]


def _one_part(
    group: list[DicomSlice], folder: Path, what: str, part: str, progress: Progress
) -> list[DicomSlice]:
    parts = parts_of(group)
    named = {name.casefold(): items for name, items in parts.items() if name}
    if part.casefold() in named:
        return named[part.casefold()]
    listed = ", ".join(f"'{name}' ({len(items)} slices)" for name, items in parts.items())
    if part:
        holds = f"among {listed}" if named else "and is not split into parts"
        raise SyntheticCTError(
            f"The series '{group[0].description}' in the {what} folder {folder} has no part "
            f"{part!r} {holds}: take away the part after the second #, or choose one that is there."
        )
    meant = [name for name, items in parts.items() if not all(item.localizer for item in items)]
    if len(parts) == 1:
        return group
    series = group[0].number or group[0].series
    if len(meant) != 1:
        raise SyntheticCTError(
            f"The series '{group[0].description}' in the {what} folder {folder} holds several "
            f"parts, {listed}: choose one by its name after another #, such as "
            f"'{folder}#{series}#{(meant or list(parts))[0]}'."
        )
    progress.warn(
        f"The series '{group[0].description}' in the {what} folder {folder} holds several parts, "
        f"{listed}: '{meant[0]}' was taken, as the only one that is no localizer."
    )
    return parts[meant[0]]


def require_one_patient(slices: list[DicomSlice], folder: Path, what: str) -> None:
    """Refuse slices of one series whose headers name different patients.

    Raises:
        SyntheticCTError: with the name of a file of each; never with what the headers say.
    """
    for n, element in enumerate(PATIENT):
        known = [item for item in slices if item.patient[n]]
        other = [i for i in known if i.patient[n].casefold() != known[0].patient[n].casefold()]
        if other:
            count = len({item.patient[n].casefold() for item in known})
            raise SyntheticCTError(
                f"The {what} folder {folder} holds slices of {count} patients in one series "
                f"({element} differs between {known[0].path.name} and {other[0].path.name}): "
                "keep those of one patient."
            )


def warn_of_frames(slices: list[DicomSlice], folder: Path, what: str, progress: Progress) -> None:
    """Warn of slices of one series that are of several studies or frames of reference."""
    for kind, values in (
        ("frames of reference", {item.frame for item in slices}),
        ("studies", {item.study for item in slices}),
    ):
        if len(values) > 1:
            progress.warn(
                f"The slices of the {what} series in {folder} name {len(values)} {kind}: check "
                "that they belong together."
            )


def check_scaling(slices: list[DicomSlice], path: Path, what: str, progress: Progress) -> None:
    """Warn of a CT whose headers do not say how stored values become HU.

    Raises:
        SyntheticCTError: some say it and others do not.
    """
    silent = [item for item in slices if item.modality == "CT" and not item.scaled]
    if silent and len(silent) < len(slices):
        raise SyntheticCTError(
            f"The {what} {path} says only for {len(slices) - len(silent)} of its {len(slices)} "
            f"slices how stored values become HU (rescale slope and intercept are missing in "
            f"{silent[0].path.name}): export the series again."
        )
    if silent:
        progress.warn(
            f"The {what} {path} does not say how its stored values become HU (rescale slope and "
            "intercept are missing), and they were taken as they are: check that they are HU."
        )


def _names(group: list[DicomSlice]) -> set[str]:
    """What a series may be called by."""
    first = group[0]
    return {v.casefold() for v in (first.series, first.number, first.description) if v}


def _listed(groups: list[list[DicomSlice]]) -> str:
    return ", ".join(
        f"{group[0].modality or 'no modality'} '{group[0].description}' ({len(group)} slices"
        + (f", number {group[0].number})" if group[0].number else ")")
        for group in groups
    )


def _how(groups: list[list[DicomSlice]], folder: Path) -> str:
    """How to name one of these series, by the shortest name that is its own."""
    first = groups[0][0]
    for name in (first.number, first.description, first.series):
        if name and sum(name.casefold() in _names(group) for group in groups) == 1:
            break
    return (
        "choose one by its number, description or UID after the folder and #, such as "
        f"'{folder}#{name}'"
    )
