"""Telling patients apart by what headers say of them; names are never kept or shown."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydicom

HIDDEN = "…"
"""Stands where a word was taken out that names a patient."""
_WHOLE, _WITHIN = 2, 4
"""From how many letters on words count as a name: alone, and as a part of a longer word."""


@dataclass(frozen=True)
class Person:
    """Whom a file is of; lives in memory only.

    Attributes:
        id, issuer, name, birth, sex: as the header has them.
        alone: UID of the study, where neither ID nor name tell whom it is of.
    """

    id: str
    issuer: str
    name: str
    birth: str
    sex: str
    alone: str = ""

    def words(self) -> set[str]:
        """Return the words that name this person; "Mr" and degrees are none."""
        names = ["^".join(one.split("^")[:3]) for one in self.name.split("=")]
        given_first = ["^".join(reversed(one.split("^")[:2])) for one in names]
        single = (word for one in names for word in re.split(r"[\W_]+", one))
        parts = {self.id, *names, *given_first, *single}
        return {word for part in parts if len(part) >= _WHOLE for word in _spellings(part)}

    def is_like(self, other: Person) -> bool:
        """Whether both can be one: one ID, and nothing else that differs where both say it."""
        if (self.id, self.alone) != (other.id, other.alone):
            return False
        if not self.id and not self.alone and self.name.casefold() != other.name.casefold():
            return False
        pairs = zip(self._rest(), other._rest(), strict=True)
        return all(not a or not b or a == b for a, b in pairs)

    def _rest(self) -> tuple[str, ...]:
        return self.issuer.casefold(), self.name.casefold(), self.birth, self.sex.casefold()

    def joined(self, other: Person) -> Person:
        """Return what both say together."""
        own = (self.id, self.issuer, self.name, self.birth, self.sex)
        more = (other.id, other.issuer, other.name, other.birth, other.sex)
        return Person(*(a or b for a, b in zip(own, more, strict=True)), alone=self.alone)


def person_of(header: pydicom.Dataset) -> Person:
    """Return whom a file is of."""
    names = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
    said = [" ".join(str(header.get(n) or "").split()).strip("^ ") for n in names]
    study = str(header.get("StudyInstanceUID") or header.get("SeriesInstanceUID") or "")
    return Person(*said, alone="" if said[0] or said[2] else study)


def without_names(text: str, persons: Iterable[Person]) -> str:
    """Return a text with :data:`HIDDEN` for every word that names one of the persons."""
    pattern, text = _pattern(tuple(persons)), unicodedata.normalize("NFC", text)
    return pattern.sub(HIDDEN, text) if pattern else text


def _spellings(word: str) -> set[str]:
    """A word as folders and descriptions may write it: with its accents or without."""
    word = unicodedata.normalize("NFC", word).lower()
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    found = {word, plain}
    spelled, umlauts = word, word
    for umlaut, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
        spelled, umlauts = spelled.replace(umlaut, letters), umlauts.replace(letters, umlaut)
    return found | {spelled, umlauts}


@lru_cache(maxsize=256)
def _pattern(persons: tuple[Person, ...]) -> re.Pattern | None:
    words = sorted({word for person in persons for word in person.words()}, key=len, reverse=True)
    found = []
    for word in words:
        # A name of several words may be written with other signs between them.
        parts = [re.escape(part) for part in re.split(r"[\W_]+", word) if part]
        if parts:
            whole = r"[\W_]*".join(parts)
            short = sum(map(len, parts)) < _WITHIN
            found.append(rf"(?<![^\W_]){whole}(?![^\W_])" if short else whole)
    return re.compile("|".join(found), re.IGNORECASE) if found else None


class Persons:
    """The persons of a run, their pseudonyms, and who may be one with whom.

    Attributes:
        pseudonyms: by the number of the person.
        notes: what people should check, without names.
        labels: number of every series in its patient, which stays when others come.
    """

    def __init__(
        self,
        pseudonyms: Iterable[str] = (),
        notes: Iterable[str] = (),
        labels: Mapping[str, int] | None = None,
    ) -> None:
        self.pseudonyms = list(pseudonyms)
        self.notes = list(notes)
        self.labels = dict(labels or {})
        self._last = Counter(key.partition(" ")[0] for key in self.labels)
        self._known: dict[int, Person] = {}

    def label(self, patient: str, series: str) -> str:
        """Return the label of a series of a patient, a new one where it is met first."""
        key = f"{patient} {series}"
        if key not in self.labels:
            self._last[patient] += 1
            self.labels[key] = self._last[patient]
        return f"{patient}.{self.labels[key]}"

    def know(self, number: int, person: Person) -> None:
        """Tell again who the person of an earlier run is."""
        self._known[number] = person

    def known(self, number: int | None = None) -> list[Person]:
        """Return all persons, or the one with a number, whose names are known in this run."""
        if number is not None:
            return [self._known[number]] if number in self._known else []
        return list(self._known.values())

    def numbered(self) -> list[tuple[int, Person]]:
        """Return the persons that are known in this run, with their numbers."""
        return sorted(self._known.items())

    def number(self, person: Person) -> int:
        """Return the number of a person, a new one where no known person can be the same."""
        like = [n for n, known in self._known.items() if known.is_like(person)]
        if like:
            self._known[like[0]] = self._known[like[0]].joined(person)
            return like[0]
        new, pseudonym = len(self.pseudonyms), f"p{len(self.pseudonyms) + 1:02}"
        for number, known in self._known.items():
            if person.id and known.id == person.id:
                self.notes.append(
                    f"{self.pseudonyms[number]} and {pseudonym} have one patient ID and differ in "
                    "issuer, name, birth date or sex: they were kept apart; correct the headers if "
                    "they are one."
                )
            elif person.name and person.birth and person._rest()[1:3] == known._rest()[1:3]:
                self.notes.append(
                    f"{self.pseudonyms[number]} and {pseudonym} have one name and birth date under "
                    "two patient IDs: they were kept apart; correct the headers if they are one."
                )
        self.pseudonyms.append(pseudonym)
        self._known[new] = person
        return new
