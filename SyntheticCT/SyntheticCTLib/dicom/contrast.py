"""What the header of a slice says of its contrast, echo, b-value and moment.

Slices of one series that lie at one place differ in these: mDixon images in one series, the
echoes of a sequence, b-values of diffusion, moments of a dynamic series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydicom

KEYS = ("stack", "type", "b", "echo", "TE", "time", "trigger", "acquisition")
"""By which slices are told apart, in this order: stacks everywhere, others at one place; "type"
are words of ImageType."""

_PRIVATE_B = ((0x0019, 0x100C), (0x2001, 0x1003), (0x0043, 0x1039))
"""Where Siemens, Philips and GE keep the b-value of images that are not enhanced."""
_CREATORS = ((0x0019, 0x0010), (0x2001, 0x0010), (0x0043, 0x0010))
"""Who wrote these: of implicit files, the kind of their values follows from it."""
_GE_OFFSET = 100_000
"""GE adds multiples of it (1e9) to the b-value, which is far below."""
_COMPONENTS = {
    "phase": ("P", "PHASE", "PHASE_MAP", "VELOCITY"),
    "real": ("R", "REAL"),
    "imaginary": ("I", "IMAGINARY"),
}
"""Words of ImageType, FrameType and ComplexImageComponent: Philips (also P_SE, R_IR, ...), Siemens,
enhanced MR (PS3.3 C.8.13.3.1.1)."""
_ELEMENTS = {
    "echo": "EchoNumbers",
    "TE": "EchoTime",
    "time": "TemporalPositionIdentifier",
    "trigger": "TriggerTime",
    "acquisition": "AcquisitionNumber",
}
CONTRAST_TAGS = ["ImageType", "DiffusionBValue", "ComplexImageComponent", "StackID"]
CONTRAST_TAGS += [*_ELEMENTS.values(), *_PRIVATE_B, *_CREATORS]
"""Elements that are read for it."""


def contrast_of(header: pydicom.Dataset) -> tuple[str, ...]:
    """Return what a header says for each of :data:`KEYS`; "" where it says nothing.

    Args:
        header: of a slice, or of an enhanced frame with the elements of its functional groups.
    """
    said = {"type": " ".join(image_type(header)), "b": _b_value(header)}
    said["stack"] = " ".join(str(header.get("StackID") or "").split())
    said |= {key: _plain(header.get(element)) for key, element in _ELEMENTS.items()}
    return tuple(said[key] for key in KEYS)


def image_type(header: pydicom.Dataset) -> list[str]:
    """Return the words of ImageType (of a frame: FrameType), each once, in capitals.

    The component of a complex image (PHASE, ...) is one of them.
    """
    found = header.get("ImageType") or header.get("FrameType") or []
    words = [found] if isinstance(found, str) else list(found)
    words += [header.get("ComplexImageComponent") or ""]
    return list(dict.fromkeys(str(word).strip().upper() for word in words if str(word).strip()))


def component_of(kind: str) -> str:
    """Return "phase", "real" or "imaginary" of the "type" of :data:`KEYS`; "" of any other."""
    for word in kind.split():
        stem = word.partition("_")[0] if len(word.partition("_")[0]) == 1 else word
        for component, words in _COMPONENTS.items():
            if stem in words or word in words:
                return component
    return ""


def _b_value(header: pydicom.Dataset) -> str:
    for name in ("DiffusionBValue", *_PRIVATE_B):
        if name in header:
            element = header.get(name)
            value = getattr(element, "value", element)
            if isinstance(value, bytes):  # of a writer that the DICOM library does not know
                value = value.decode("ascii", "replace").strip("\0 ").split("\\")
            if not isinstance(value, str) and hasattr(value, "__len__"):
                value = value[0] if len(value) else ""
            if name == _PRIVATE_B[2] and _plain(value):
                value = float(str(value)) % _GE_OFFSET
            if found := _plain(value):
                return found
    return ""


def _plain(value: object) -> str:
    """A number without what does not matter ("80.0" and "80" are one); "" where it is none."""
    try:
        return f"{float(str(value)):.6g}"
    except ValueError:
        return ""
