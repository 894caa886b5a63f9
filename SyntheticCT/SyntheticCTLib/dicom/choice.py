"""Which series of a folder is meant, and whether its modality is that of the role."""

from __future__ import annotations

from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress

from .contrast import KEYS, component_of
from .headers import NO_IMAGES, PATIENT, DicomSlice
from .parts import parts_of
from .scaling import PHILIPS, RESCALE

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
    if len(group) == 1 and group[0].frames > 1:
        return group  # its frames are split when they are read
    return choose_part(group, folder, what, part, progress)


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


def choose_part(
    group: list[DicomSlice], place: Path, what: str, part: str, progress: Progress, series: str = ""
) -> list[DicomSlice]:
    """Return the slices, or frames, of the part that is named, or of the only one meant.

    As the MR, phase, real and imaginary images are not meant, and refused where they are named.

    Args:
        place: the folder, or the file whose frames they are.
        series: name of that file, "" of a folder.

    Raises:
        SyntheticCTError: several could be meant, or none has the name.
    """
    chosen = _named_part(group, place, what, part, progress, series)
    component = next(filter(None, map(_component, chosen)), "")
    if component and role_of(what) == "MR":
        raise SyntheticCTError(
            f"The {what} {place} holds {component} images and not magnitude, by their ImageType: "
            "give the magnitude images of the series."
        )
    return chosen


def _named_part(
    group: list[DicomSlice], place: Path, what: str, part: str, progress: Progress, file: str
) -> list[DicomSlice]:
    parts = parts_of(group)
    named = {name.casefold(): items for name, items in parts.items() if name}
    if part.casefold() in named:
        return named[part.casefold()]
    kind = "frames" if file else "slices"
    listed = ", ".join(f"'{name}' ({len(items)} {kind})" for name, items in parts.items())
    of = (
        f"The {what} {place}"
        if file
        else f"The series '{group[0].description}' in the {what} folder {place}"
    )
    again = "#" if file else "another #"
    if part:
        holds = f"among {listed}" if named else "and is not split into parts"
        after = "#" if file else "the second #"
        raise SyntheticCTError(
            f"{of} has no part {part!r} {holds}: take away the part after {after}, or choose one "
            "that is there."
        )
    if len(parts) == 1:
        return group
    meant = [name for name, items in parts.items() if not all(item.localizer for item in items)]
    if role_of(what) == "MR":
        meant = [name for name in meant if not any(map(_component, parts[name]))] or meant
    if len(meant) != 1:
        whole = str(place) if file else f"{place}#{group[0].number or group[0].series}"
        raise SyntheticCTError(
            f"{of} holds several parts, {listed}: choose one by its name after {again}, such as "
            f"'{whole}#{(meant or list(parts))[0]}'."
        )
    others = [item for name, items in parts.items() if name not in meant for item in items]
    reason = "is of magnitude" if any(map(_component, others)) else "is no localizer"
    progress.warn(
        f"{of} holds several parts, {listed}: '{meant[0]}' was taken, as the only one that "
        f"{reason}."
    )
    return parts[meant[0]]


def _component(item: DicomSlice) -> str:
    return component_of(item.contrast[KEYS.index("type")]) if item.contrast else ""


def part_after(slices: list[DicomSlice], series: str) -> str:
    """Return what SERIES#PART names after the sign, of a series that is one multi-frame file."""
    if "#" not in series or series.casefold() in _names(slices):
        return ""
    return series.rpartition("#")[2].strip()


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


def check_slices(slices: list[DicomSlice], path: Path, what: str, progress: Progress) -> None:
    """Warn of slices whose values may not be what was measured, or not of one scale.

    Raises:
        SyntheticCTError: some say how stored values become others, and others do not.
    """
    lossy = sum(item.lossy for item in slices)
    if lossy:
        progress.warn(
            f"The {what} {path} was or may have been compressed with loss ({lossy} of "
            f"{len(slices)} slices): its values need not be those that were measured."
        )
    _check_scaling(slices, path, what, progress)


def _check_scaling(slices: list[DicomSlice], path: Path, what: str, progress: Progress) -> None:
    modality = slices[0].modality
    silent = [item for item in slices if not item.scaling]
    # What says nothing has the scale of a slope of 1 and no intercept.
    plain = modality != "CT" and all(item.rescale == (1.0, 0.0) for item in slices)
    kinds = {item.scaling for item in slices}
    if len(kinds) > 1 and not plain and modality in ("CT", "MR"):
        meaning = "HU" if modality == "CT" else "intensities"
        lacking = silent or [item for item in slices if item.scaling != PHILIPS]
        lacks = "rescale slope and intercept are" if silent else "Philips' scale slope is"
        raise SyntheticCTError(
            f"The {what} {path} says only for {len(slices) - len(lacking)} of its {len(slices)} "
            f"slices how stored values become {meaning} ({lacks} missing in "
            f"{lacking[0].path.name}): export the series again."
        )
    if modality == "CT" and silent:
        progress.warn(
            f"The {what} {path} does not say how its stored values become HU (rescale slope and "
            "intercept are missing), and they were taken as they are: check that they are HU."
        )
    differ = len({item.rescale for item in slices}) > 1
    if modality == "MR" and differ and kinds == {RESCALE} and any(s.philips for s in slices):
        progress.warn(
            f"The slices of the {what} {path} have different rescale slopes, which a scanner of "
            "Philips chooses for display, and not its scale slope (2005,100E), by which they "
            "compare: export the series with private elements, or check that no slice is brighter."
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
