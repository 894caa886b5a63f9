"""Names taken out of what people are shown, however they are written."""

from __future__ import annotations

import unicodedata

import pytest
from SyntheticCTLib.archive.persons import HIDDEN, Person, without_names


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("Doe^Jane", "DOE_JANE pelvis", f"{HIDDEN} pelvis"),
        ("Doe^Jane", "janedoe2", f"{HIDDEN}2"),
        ("Doe^Jane", "scan of doe", f"scan of {HIDDEN}"),
        ("Doe^Jane^^Mr^MD", "MR MD t2", "MR MD t2"),
        ("Li^Wei", "LI_WEI clinic", f"{HIDDEN} clinic"),
        ("Li^Wei", "clinic", "clinic"),
        ("Müller^Jörg", "MUELLER Joerg, Muller jorg", None),
        ("Mueller^Joerg", unicodedata.normalize("NFD", "Müller jörg"), None),
        ("Yamada^Tarou=山田^太郎", "山田 yamada", f"{HIDDEN} {HIDDEN}"),
        ("", "t2 tse", "t2 tse"),
    ],
)
def test_words_that_name_the_patient_are_hidden(name, text, shown):
    found = without_names(text, [Person("", "", name, "", "")])
    if shown is None:
        assert not any(letter.isalnum() for letter in found)
    else:
        assert found == shown


def test_ids_are_hidden_as_well():
    person = Person("AB-1234", "", "", "", "")
    assert without_names("x/ab_1234/AB1234_ct", [person]) == f"x/{HIDDEN}/{HIDDEN}_ct"
