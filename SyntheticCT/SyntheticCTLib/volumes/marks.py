"""The marks that volumes carry in their metadata: synthetic, of which model, of the phantom."""

from __future__ import annotations

import hashlib

import SimpleITK as sitk

from SyntheticCTLib import __version__
from SyntheticCTLib.dicom.frame_of_reference import DERIVATION, SERIES, STUDY

SYNTHETIC_NOTE = "Synthetic CT computed from MR; for research use, not a medical device"
"""Label that every synthetic CT carries, in files, scenes and reports."""


VERSION_KEY, MODEL_NAME_KEY = "SyntheticCTVersion", "SyntheticCTModelName"
"""Metadata keys: the version that made a synthetic CT, and what its model was trained for."""

FRAME_KEY = "SyntheticCTFrame"
"""Metadata key: the frame of reference of the MR that a synthetic CT was made of, as
:func:`frame_mark`; a file that is kept must not tell the UID itself, which leads to a patient."""

SOURCE_KEYS = {STUDY: "SyntheticCTStudy", SERIES: "SyntheticCTSeries"}
"""Metadata keys: study and series (DICOM) that a volume was read from, or that a synthetic CT was
made of, as :func:`frame_mark`; by the element whose UID it is."""

OUTSIDE_KEY = "SyntheticCTOutsideDomain"
"""Metadata key of a synthetic CT: why its MR lies outside the domain of the model, sentences."""

OUTSIDE_SAID = "Outside the model's domain: "
"""What stands before these reasons in the derivation of the series that is exported."""

PHANTOM_KEY = "SyntheticCTPhantom"
"""Metadata key, with the seed, by which the digital phantom's images are known."""


def look_alike_note(name: str, image: sitk.Image) -> str:
    """Return a note where ``image`` is the phantom's MRCAT look-alike, else ""."""
    keys = set(image.GetMetaDataKeys())
    if not {PHANTOM_KEY, "SyntheticCT"} <= keys or "SyntheticCTModel" in keys:
        return ""
    return look_alike_words(name)


def look_alike_words(name: str) -> str:
    """Return the note of a candidate that is the phantom's MRCAT look-alike."""
    return (
        f"{name} is an MRCAT look-alike that this program computed from a digital patient's mDixon "
        "images with published bulk densities; it is not what the vendor's product would give."
    )


def outside_domain_note(name: str, image: sitk.Image) -> str:
    """Return a note where ``image`` was made of an MR outside its model's domain, else ""."""
    if not image.HasMetaDataKey(OUTSIDE_KEY):
        return ""
    reasons = image.GetMetaData(OUTSIDE_KEY)
    return f"{name} was made of an MR outside the domain of its model: {reasons}"


def frame_mark(frame: str) -> str:
    """Return the SHA-256 of the UID of a frame of reference; "" of none."""
    return hashlib.sha256(frame.encode()).hexdigest() if frame else ""


def mark_source(image: sitk.Image, source: sitk.Image) -> sitk.Image:
    """Return ``image`` with the marks of the study and series that ``source`` was read from."""
    for name, key in SOURCE_KEYS.items():
        if source.HasMetaDataKey(name):
            image.SetMetaData(key, frame_mark(source.GetMetaData(name)))
        elif source.HasMetaDataKey(key):
            image.SetMetaData(key, source.GetMetaData(key))
    return image


def keep_marks(image: sitk.Image, source: sitk.Image, *, moved: bool = False) -> sitk.Image:
    """Return ``image`` with the marks of a synthetic CT and of the phantom that ``source`` has.

    Args:
        moved: it was brought onto another image, and lies in its own frame of reference no more.
    """
    for key in source.GetMetaDataKeys():
        if key.startswith("SyntheticCT") and not (moved and key == FRAME_KEY):
            image.SetMetaData(key, source.GetMetaData(key))
    return image


def is_synthetic(image: sitk.Image) -> bool:
    """Whether an image is marked as a synthetic CT."""
    return image.HasMetaDataKey("SyntheticCT")


def marked_as_said(image: sitk.Image) -> sitk.Image:
    """Return an image that was read, marked as a synthetic CT where a text of its file says so.

    NIfTI keeps the mark in its notes, and the DICOM that is exported in its derivation, which is
    taken away.
    """
    texts = ("ITK_FileNotes", "descrip", DERIVATION)
    said = {key: image.GetMetaData(key) for key in texts if image.HasMetaDataKey(key)}
    image.EraseMetaData(DERIVATION)
    if not is_synthetic(image) and any(SYNTHETIC_NOTE in text for text in said.values()):
        image.SetMetaData("SyntheticCT", SYNTHETIC_NOTE)
        if reasons := said.get(DERIVATION, "").partition(OUTSIDE_SAID)[2]:
            image.SetMetaData(OUTSIDE_KEY, reasons)
    return image


def label_synthetic(
    image: sitk.Image, bundle_sha256: str = "", model_name: str = "", frame: str = ""
) -> sitk.Image:
    """Return ``image`` with the metadata that marks it as a synthetic CT, of this version.

    Args:
        frame: UID of the frame of reference of its MR, where that is known.
    """
    image.SetMetaData("SyntheticCT", SYNTHETIC_NOTE)
    image.SetMetaData(VERSION_KEY, __version__)
    if bundle_sha256:
        image.SetMetaData("SyntheticCTModel", bundle_sha256)
    if name := " ".join(model_name.split()):
        image.SetMetaData(MODEL_NAME_KEY, name)
    if frame:
        image.SetMetaData(FRAME_KEY, frame_mark(frame))
    return image
