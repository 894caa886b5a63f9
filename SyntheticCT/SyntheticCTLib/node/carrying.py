"""Which associations carry a series, and which series broke off; known while the node runs."""

from __future__ import annotations

import time

from .series import Series

BROKE_OFF = "the association that carried it broke off"


class Association:
    """A caller's association: which series it has carried, and since when it is there.

    It is made when the caller connects, not when the first image comes: what another had still to
    bring when that broke off, this one need not bring.

    Moments are of a clock that nobody sets back, as their order decides what is whole.

    Attributes:
        refused: why an image of it was refused of which no series is known; "" none.
    """

    def __init__(self, caller: str = "") -> None:
        self.caller = caller
        self.began = time.monotonic()
        self.carried: set[str] = set()
        self.ended = False
        self.refused = ""


class Carrying:
    """Who carries which series, by its name, and why it may lack images."""

    def __init__(self) -> None:
        self._carriers: dict[str, set[Association]] = {}
        self._broken: dict[str, tuple[float, str]] = {}

    def begin(self, name: str, by: Association) -> None:
        """The association carries the series from now on.

        One that has ended while its image was read broke off: nothing would end it once more.
        """
        if by.ended:
            self.broke(name, BROKE_OFF)
            return
        by.carried.add(name)
        self._carriers.setdefault(name, set()).add(by)

    def end(self, by: Association, *, in_order: bool) -> None:
        """The association was released, or (not ``in_order``) broke off.

        One that began after what was missing of a series was noticed, and in which all was taken,
        makes the series whole: its sender knows what was acknowledged.
        """
        by.ended = True
        for name in by.carried:
            self._carriers[name].discard(by)
            if not in_order or by.refused:
                self.broke(name, by.refused or self.broken(name) or BROKE_OFF)
            elif by.began > self._broken.get(name, (0.0, ""))[0]:
                self.mend(name)

    def carried(self, name: str) -> bool:
        """Whether an association carries the series."""
        return bool(self._carriers.get(name))

    def broke(self, name: str, why: str) -> None:
        """Images of the series may be missing since now."""
        self._broken[name] = time.monotonic(), why

    def mend(self, name: str) -> None:
        """Nothing of the series counts as missing any more."""
        self._broken.pop(name, None)

    def broken(self, name: str) -> str:
        """Why the series broke off; "" it did not."""
        return self._broken.get(name, (0.0, ""))[1]

    def missing(self, series: Series) -> str:
        """Why images of a series may be missing; "" they are not."""
        if series.refused:
            return "an image was refused for want of room"
        return self.broken(series.id)

    def whole(self, series: Series) -> bool:
        """Whether nothing carries a series any more, and nothing of it may be missing."""
        return not (self.carried(series.id) or self.missing(series))

    def since_broken(self, name: str) -> float:
        """Seconds since the series broke off; without end where it did not."""
        found = self._broken.get(name)
        return time.monotonic() - found[0] if found else float("inf")
