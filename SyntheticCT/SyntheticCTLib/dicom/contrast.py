"""What the header of a slice says of its contrast, echo, b-value and moment.

Slices of one series that lie at one place differ in these: mDixon images in one series, the
echoes of a sequence, b-values of diffusion, moments of a dynamic series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydicom

KEYS = ("type", "b", "echo", "TE", "time", "trigger", "acquisition")
"""By which slices at one place are told apart, in this order; "type" are words of ImageType."""

_PRIVATE_B = ((0x0019, 0x100C), (0x2001, 0x1003))
"""Where Siemens and Philips keep the b-value of images that are not enhanced."""
_ELEMENTS = {
    "echo": "EchoNumbers",
    "TE": "EchoTime",
    "time": "TemporalPositionIdentifier",
    "trigger": "TriggerTime",
    "acquisition": "AcquisitionNumber",
}
CONTRAST_TAGS = ["ImageType", "DiffusionBValue", *_ELEMENTS.values(), *_PRIVATE_B]
"""Elements that are read for it."""


def contrast_of(header: pydicom.Dataset) -> tuple[str, ...]:
    """Return what a header says for each of :data:`KEYS`; "" where it says nothing.

    Args:
        header: of a slice, or of an enhanced frame with the elements of its functional groups.
    """
    said = {"type": " ".join(image_type(header)), "b": _b_value(header)}
    said |= {key: _plain(header.get(element)) for key, element in _ELEMENTS.items()}
    return tuple(said[key] for key in KEYS)


def image_type(header: pydicom.Dataset) -> list[str]:
    """Return the words of ImageType (of a frame: FrameType), each once, in capitals."""
    found = header.get("ImageType") or header.get("FrameType") or []
    words = [found] if isinstance(found, str) else list(found)
    return list(dict.fromkeys(str(word).strip().upper() for word in words if str(word).strip()))


def _b_value(header: pydicom.Dataset) -> str:
    for name in ("DiffusionBValue", *_PRIVATE_B):
        if name in header:
            element = header.get(name)
            value = _plain(getattr(element, "value", element))
            if value:
                return value
    return ""


def _plain(value: object) -> str:
    """A number without what does not matter ("80.0" and "80" are one); "" where it is none."""
    try:
        return f"{float(str(value)):.6g}"
    except ValueError:
        return ""
