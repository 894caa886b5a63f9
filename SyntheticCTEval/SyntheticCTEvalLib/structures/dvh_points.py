"""Which points of dose-volume histograms are asked for, by structure, and what each is.

Points where none are asked for, by the words of a structure's name:

- targets: D98, D95, D50, D2, Dmean, V95% (ICRU Report 83, 2010);
- bladder: V30Gy, V40Gy (EMBRACE II protocol, Poetter et al. 2018, doi 10.1016/j.ctro.2018.01.001),
  V65Gy, V70Gy (QUANTEC, Viswanathan et al. 2010, doi 10.1016/j.ijrobp.2009.02.094);
- rectum: V30Gy, V40Gy (EMBRACE II), V50Gy, V60Gy, V70Gy (QUANTEC, Michalski et al. 2010,
  doi 10.1016/j.ijrobp.2009.03.078);
- bowel and sigmoid: V30Gy_cm3, V40Gy_cm3 (EMBRACE II), V45Gy_cm3 (QUANTEC, Kavanagh et al. 2010,
  doi 10.1016/j.ijrobp.2009.05.071);
- femoral heads: V30Gy, V40Gy, V44Gy (RTOG 0529), V50Gy (RTOG consensus for the prostate);
- penile bulb: D90, D70, V50Gy (QUANTEC, Roach et al. 2010, doi 10.1016/j.ijrobp.2009.04.094);
- sacrum and bone marrow: V10Gy, V20Gy, V40Gy (RTOG 0418; Mell et al. 2006,
  doi 10.1016/j.ijrobp.2006.07.1375);
- all of these organs, and all other structures: D2 and Dmean.

Doses above the prescription are left out of them, where nothing but noise receives them.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from SyntheticCTLib.basics.errors import SyntheticCTError

from .target import _kind, _words

if TYPE_CHECKING:
    from .dvh import Dvh

TARGET = "target"
"""As a pattern: the target of the evaluation, whatever its name."""

NO_POINTS = (
    "Dose-volume points were asked for, and there is no dose in a structure that they could be of."
)

LARGEST_GY, LARGEST_PERCENT = 300.0, 300.0
"""Of V: what lies above is a mistake in the unit."""

DVH_POINT_DEFINITIONS = {
    "dvh_points": (
        "Points asked for by structure, and those of common pelvic practice where none are (ICRU "
        "83, QUANTEC, RTOG, EMBRACE II). D98: the least dose in Gy that 98 % of the volume "
        "receive; D2cm3: that the hottest 2 cm3 receive; V40Gy, V95%: percent of the volume that "
        "receives at least 40 Gy, 95 % of the prescription; V40Gy_cm3: the same in cm3. Volumes in "
        "cm3 are of the part of the structure that lies in the dose grid; D2cm3 does not exist "
        "where that part is smaller than 2 cm3."
    ),
}

_NUMBER = r"(\d+(?:\.\d+)?)"
_CM3 = r"cc|ccm|cm3|cm³|ml"
_FLAGS = re.IGNORECASE | re.ASCII
_DOSE = re.compile(rf"D{_NUMBER}(%|{_CM3})?(?:\[Gy\])?", _FLAGS)
_VOLUME = re.compile(
    rf"V{_NUMBER}(%|Gy|cGy)?(?:_?({_CM3})|\[({_CM3}|%)\])?", _FLAGS
)  # with the brackets of AAPM TG-263
_OF_PRESCRIPTION = re.compile(rf"V{_NUMBER}%")
_NAMED = re.compile(r"D?(mean|median|min|max)(?:\[Gy\])?", _FLAGS)
_OF_NAME = {"mean": "Dmean", "min": "Dmin", "max": "Dmax"}
_HOW = (
    "write D98 (percent of the volume), D2cm3, V40Gy, V95% (of the prescription), V40Gy_cm3, "
    "Dmean, Dmedian, Dmin or Dmax"
)


def _set_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PRACTICE = (
    (_set_of("bladder blase"), "V30Gy V40Gy V65Gy V70Gy"),
    (_set_of("rectum rektum rectal anorectum"), "V30Gy V40Gy V50Gy V60Gy V70Gy"),
    (
        _set_of(
            "bowel bowels bowelbag smallbowel largebowel intestine intestines sigmoid sigma colon "
            "darm duenndarm dickdarm"
        ),
        "V30Gy_cm3 V40Gy_cm3 V45Gy_cm3",
    ),
    (
        _set_of("femoral femur femurs femora femoralhead femurhead hip hips femurkopf hueftkopf"),
        "V30Gy V40Gy V44Gy V50Gy",
    ),
    (_set_of("penile bulb penilebulb bulbus"), "D90 D70 V50Gy"),
    (_set_of("sacrum marrow bonemarrow knochenmark kreuzbein"), "V10Gy V20Gy V40Gy"),
)
_OF_TARGETS = "D98 D95 D50 D2 Dmean V95%"
_OF_ALL = "D2 Dmean"
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


@dataclass(frozen=True)
class DvhPoint:
    """A point of a dose-volume histogram.

    Attributes:
        name: in its normal form, as metrics.json has it.
        kind: "D" (dose at a volume), "V" (volume at a dose), or the name of Dmean, Dmin, Dmax.
        at: the volume or dose at which it is; 0 where there is none.
        unit: of ``at``: "%" (of the volume, or for V of the prescription), "cm3" or "Gy".
        in_cm3: V in cm3, not in percent of the volume.
        bare: V was written without a unit.
    """

    name: str
    kind: str
    at: float = 0.0
    unit: str = ""
    in_cm3: bool = False
    bare: bool = False

    @classmethod
    def parse(cls, text: str) -> DvhPoint:
        """Return the point that ``text`` names.

        Raises:
            SyntheticCTError: it names none, or one without meaning.
        """
        text = text.strip()
        if match := _NAMED.fullmatch(text):
            word = match[1].lower()
            return cls("D50", "D", 50, "%") if word == "median" else cls(*[_OF_NAME[word]] * 2)
        if match := _DOSE.fullmatch(text):
            return cls._dose(text, float(match[1]), match[2] in (None, "%"))
        if match := _VOLUME.fullmatch(text):
            return cls._volume(text, float(match[1]), match)
        raise SyntheticCTError(f"{text!r} is no point of a dose-volume histogram: {_HOW}.")

    @classmethod
    def _dose(cls, text: str, at: float, percent: bool) -> DvhPoint:
        if not 0 < at <= (100 if percent else math.inf):
            raise SyntheticCTError(
                f"The dose-volume point {text} is the dose at {at:g} "
                + ("% of the volume: give more than 0 and at most 100" if percent else "cm3: give "
                   "more than 0")
                + ", or write Dmax or Dmin."
            )  # fmt: skip
        return cls(f"D{_digits(at)}{'' if percent else 'cm3'}", "D", at, "%" if percent else "cm3")

    @classmethod
    def _volume(cls, text: str, at: float, match: re.Match) -> DvhPoint:
        percent = match[2] == "%"
        if match[2] and match[2].lower() == "cgy":
            at /= 100
        limit = LARGEST_PERCENT if percent else LARGEST_GY
        if not 0 < at <= limit:
            raise SyntheticCTError(
                f"The dose-volume point {text} is the volume at {at:g} "
                f"{'% of the prescription' if percent else 'Gy'}: give more than 0 and at most "
                f"{limit:g}."
            )
        in_cm3 = bool(match[3]) or (match[4] or "%") != "%"
        unit = "%" if percent else "Gy"
        name = f"V{_digits(at)}{unit}{'_cm3' if in_cm3 else ''}"
        return cls(name, "V", at, unit, in_cm3, bare=match[2] is None)

    def value(self, dvh: Dvh, prescription_gy: float) -> float:
        """Return the point of a histogram in Gy, percent or cm3; NaN where there is none."""
        if self.kind not in "DV":
            return {"Dmean": dvh.mean_gy, "Dmin": dvh.min_gy, "Dmax": dvh.max_gy}[self.kind]
        inside = _inside(dvh)
        if self.kind == "D" and self.unit == "%":
            return dvh.dose_at(self.at)
        if self.kind == "D":
            return dvh.dose_at(100 * self.at / inside) if self.at <= inside else math.nan
        dose = self.at / 100 * prescription_gy if self.unit == "%" else self.at
        percent = dvh.volume_at(dose)
        return percent / 100 * inside if self.in_cm3 else percent


@dataclass(frozen=True)
class _Line:
    """Points for the structures whose names fit a pattern; ``added`` to their usual ones."""

    pattern: str
    points: tuple[DvhPoint, ...]
    added: bool

    def fits(self, name: str, target: str | None) -> bool:
        pattern, own = self.pattern.casefold(), name.casefold()
        if pattern == TARGET and name == target:
            return True
        return own == pattern or fnmatch.fnmatchcase(own, pattern)


@dataclass(frozen=True)
class DvhPoints:
    """The points asked for, by structure; see :meth:`parse`."""

    lines: tuple[_Line, ...] = ()

    @classmethod
    def parse(cls, text: str) -> DvhPoints:
        """Return what ``text`` asks for, such as "PTV*: D98 D95 D2; Bladder: V40 Dmean".

        Structures are named by shell patterns in any case, or by "target". Points stand for a
        structure's usual ones in the report; with "+Bladder: V40" they join them.

        Raises:
            SyntheticCTError: a part that cannot be read, or a point without meaning.
        """
        lines = []
        for part in filter(None, map(str.strip, text.split(";"))):
            pattern, colon, names = part.rpartition(":")
            pattern = pattern.strip()
            added = pattern.startswith("+")
            pattern = pattern[1:].strip() if added else pattern
            found = [name for name in re.split(r"\s+|,(?!\d)", names) if name]
            if not (colon and pattern and found):
                raise SyntheticCTError(
                    f"{part!r} asks for no dose-volume points: write STRUCTURE: POINTS, such as "
                    "PTV*: D98 D95 D2; Bladder: V40Gy Dmean, and * for every structure."
                )
            lines.append(_Line(pattern, tuple(map(DvhPoint.parse, found)), added))
        return cls(tuple(lines))

    def shown(
        self, name: str, prescription_gy: float, target: str | None = None
    ) -> tuple[DvhPoint, ...]:
        """Return the points that a report shows of a structure: those asked for, else usual ones.

        Args:
            target: name of the evaluation's target.
        """
        found = [line for line in self.lines if line.fits(name, target)]
        points = [point for line in found if not line.added for point in line.points]
        points = points or usual_points(name, prescription_gy, name == target)
        return _once([*points, *(p for line in found if line.added for p in line.points)])

    def for_structure(
        self, name: str, prescription_gy: float, target: str | None = None
    ) -> tuple[DvhPoint, ...]:
        """Return the points that are computed of a structure: those shown, and its usual ones."""
        usual = usual_points(name, prescription_gy, name == target)
        return _once([*self.shown(name, prescription_gy, target), *usual])

    def notes(
        self, dvhs: Mapping[str, Dvh], prescription_gy: float, target: str | None = None
    ) -> list[str]:
        """Return sentences on patterns that fit no structure, and on doubtful points.

        Args:
            dvhs: histograms of the dose on the true CT by structure.
        """
        notes = []
        for line in self.lines:
            asked = ", ".join(point.name for point in line.points)
            if not any(line.fits(name, target) for name in dvhs):
                at_target = line.pattern.casefold() == TARGET
                whose = "is the target" if at_target else f"has a name like {line.pattern}"
                notes.append(
                    f"No structure {whose}, of which the dose-volume points {asked} were asked for "
                    f"(structures: {', '.join(dvhs) or 'none'})."
                )
            notes += [
                f"The dose-volume point V{_digits(point.at)} was read as the volume at "
                f"{point.at:g} Gy, which is above the prescription of {prescription_gy:g} Gy: "
                f"write V{_digits(point.at)}% where percent of it are meant."
                for point in line.points
                if point.bare and point.at > 1.1 * prescription_gy
            ]
        for name, dvh in dvhs.items():
            notes += [
                f"The structure {name} has no {point.name}: {_inside(dvh):.3g} cm3 of it lie in "
                "the dose grid."
                for point in self.shown(name, prescription_gy, target)
                if point.unit == "cm3" and 0 < _inside(dvh) < point.at
            ]
        return list(dict.fromkeys(notes))


def told_point(name: str, prescription: str = "prescription") -> str:
    """Return a point's name with what the percent of its dose are of; other names as they are.

    Args:
        name: as metrics.json has it: "V95%" becomes "V95% of prescription".
        prescription: how that is told, such as "55 Gy".
    """
    return f"{name} of {prescription}" if _OF_PRESCRIPTION.match(name) else name


def checked_points(text: str) -> str:
    """Return ``text`` where :meth:`DvhPoints.parse` can read it.

    Raises:
        SyntheticCTError: it cannot.
    """
    DvhPoints.parse(text)
    return text


def usual_points(name: str, prescription_gy: float, target: bool = False) -> tuple[DvhPoint, ...]:
    """Return the points of common pelvic practice for a structure (sources: this file's head).

    Args:
        target: it is the evaluation's target, whatever its name.
    """
    if target or _kind(name) is not None:
        return tuple(map(DvhPoint.parse, _OF_TARGETS.split()))
    words = set(_words(name.translate(_UMLAUTS)))
    own = next((points for known, points in _PRACTICE if not known.isdisjoint(words)), "")
    points = map(DvhPoint.parse, f"{own} {_OF_ALL}".split())
    return tuple(p for p in points if p.unit != "Gy" or p.at <= prescription_gy)


def _inside(dvh: Dvh) -> float:
    """The volume in cm3 of the part of a structure that lies in the dose grid."""
    return dvh.volume_cm3 * (1 - dvh.outside_percent / 100)


def _digits(value: float) -> str:
    return repr(value).removesuffix(".0") if value < 1e6 else f"{value:g}"


def _once(points: Iterable[DvhPoint]) -> tuple[DvhPoint, ...]:
    return tuple({point.name: point for point in points}.values())
