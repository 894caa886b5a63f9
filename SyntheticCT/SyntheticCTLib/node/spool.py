"""The spool: a folder of series, on the disk before anything is acknowledged.

``received`` of a series holds its images as they came, ``made`` the files of its synthetic CT,
``series.json`` where it stands. Nothing is known that does not stand there, so that a node that was
killed goes on where it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import require_writable_folder
from SyntheticCTLib.basics.stages import IN_USE, lock

from .carrying import Association, Carrying
from .same import same_instance
from .sending import LONGEST_PAUSE_S
from .series import (
    ACCEPTED,
    AGAIN,
    ANSWERED,
    GENERATING,
    KEPT,
    MADE,
    RECEIVED,
    RECEIVING,
    SENDING,
    SENT,
    SERIES,
    WAITING,
    Series,
    load_all,
    series_id,
    write_through,
)


class Spool:
    """The series in a folder; safe to be used by several threads of the one node that holds it.

    Args:
        folder: of the spool; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.series: dict[str, Series] = {}
        self._carrying = Carrying()
        self._unwritten: dict[str, list[str]] = {}

    @contextlib.contextmanager
    def held(self) -> Iterator[Spool]:
        """Hold the spool for this node alone, and read what an earlier one left.

        Raises:
            SyntheticCTError: another node holds it, or it cannot be written.
        """
        require_writable_folder(self.folder / SERIES)
        with (self.folder / IN_USE).open("wb") as file:
            if not lock(file, wait=False):
                raise SyntheticCTError(
                    f"Another node serves the folder {self.folder}: stop it, or give another."
                )
            self._recover()
            yield self

    def _recover(self) -> None:
        self.series = {one.id: one for one in load_all(self.folder)}
        for series in self.series.values():
            for part in series.folder.glob("**/*.part"):
                part.unlink(missing_ok=True)
            if series.may_lack_images:
                series.become(RECEIVING)
            elif series.state == GENERATING:
                series.become(WAITING)
            if series.state == RECEIVING and series.open:
                self._carrying.broke(series.id, "the node ended while it came")
            if series.state == SENDING:
                series.next_try = 0.0

    def take(self, encoded: bytes, uids: tuple[str, str, str], by: Association) -> bool:
        """Keep an image; it is on the disk when this returns. Whether it is new.

        Args:
            encoded: the whole DICOM file.
            uids: of study, series and instance.

        Raises:
            SyntheticCTError: another image of the same instance UID lies here.
            OSError: there is no room.
        """
        study, name, instance = uids
        name = series_id(study, name)
        file = f"{hashlib.sha256(instance.encode()).hexdigest()[:24]}.dcm"
        path = self.folder / SERIES / name / RECEIVED / file
        with self.lock:
            known = path.exists() and not self._is_missing(name, file)
            if known and not same_instance(path, encoded):
                raise self._changed(name, by)
            try:  # also what is written before the first image is lost for want of room
                series = self._of(name, by)
                if not known:
                    write_through(path, encoded)
            except OSError:
                if not known:
                    self._refused(name, file)
                raise
            if known:
                self._came_again(series)
                return False
            if file in series.refused:
                series.refused.remove(file)
            series.files += 1
            series.arrived = time.time()
            if series.state not in (RECEIVING, GENERATING):
                series.become(RECEIVING)
            return True

    def _changed(self, name: str, by: Association) -> SyntheticCTError:
        """An image came again as another: what lies here of the series may not be the whole of it.

        Of a series that is whole already that is told to the sender alone: its record stays.
        """
        why = "an image came again with the same UID and another content"
        self._carrying.broke(name, why)
        series = self.series.get(name)
        if series is not None and series.state == RECEIVING:
            self._of(name, by)
        return SyntheticCTError(why)

    def _is_missing(self, name: str, file: str) -> bool:
        series = self.series.get(name)
        return series is not None and file in series.refused

    def _refused(self, name: str, file: str) -> None:
        """Remember an image that found no room: without it the series is not whole.

        Where there is no room for the record either, the next that is taken writes it.
        """
        series = self.series.get(name)
        here = series is not None and not series.removed
        missing = series.refused if here else self._unwritten.setdefault(name, [])
        if file not in missing:
            missing.append(file)
        if here:
            series.arrived = time.time()
            with contextlib.suppress(OSError):
                if series.state in (RECEIVING, GENERATING):
                    series.save()
                else:
                    series.become(RECEIVING)

    def _came_again(self, series: Series) -> None:
        """Let a series of which an image came once more be whole when its sender ends in order."""
        if series.state == RECEIVING or series.incomplete:
            series.arrived = time.time()  # its sender may go on with those that are missing
        if series.incomplete:
            series.become(RECEIVING)

    def _of(self, name: str, by: Association) -> Series:
        """The series ``name``, on the disk as one that the association carries."""
        series = self.series.get(name)
        if series is None or series.removed:
            series = Series(self.folder / SERIES / name, since=time.time(), caller=by.caller)
            series.received.mkdir(parents=True, exist_ok=True)
            series.open, series.refused = True, list(self._unwritten.get(name, ()))
            series.save()
            self._unwritten.pop(name, None)
            self.series[name] = series
        self._carrying.begin(name, by)
        if not (series.open and series.written):
            series.open = True
            series.save()
        return series

    def ended(self, by: Association, *, in_order: bool) -> None:
        """An association was released, or (not ``in_order``) broke off; see :class:`Carrying`.

        Raises:
            OSError: no room for a record: a node that was killed now would wait for the rest.
        """
        with self.lock:
            if by.ended:
                return
            self._carrying.end(by, in_order=in_order)
            failed: list[OSError] = []
            for name in by.carried:
                series = self.series[name]
                if self._carrying.whole(series) and series.open:
                    series.open = False
                    try:
                        series.save()
                    except OSError as error:  # the others have records of their own
                        failed.append(error)
            if failed:
                raise failed[0]

    def settle(self, quiet_s: float, patience_s: float) -> list[Series]:
        """Let series that are whole wait for their CT, keep those that broke off; which changed."""
        now, changed = time.time(), []
        with self.lock:
            for series in list(self.series.values()):
                if series.arrived > now and series.state != GENERATING:
                    series.arrived = now  # the clock was set back: quiet and days count from here
                if series.state != RECEIVING or self._carrying.carried(series.id):
                    continue
                if not series.files:  # none could be written, nor was acknowledged
                    shutil.rmtree(series.folder, ignore_errors=True)
                    if series.refused:
                        self._unwritten[series.id] = series.refused
                    del self.series[series.id]
                    continue
                missing = self._carrying.missing(series)
                quiet = min(now - series.arrived, self._carrying.since_broken(series.id))
                if missing and quiet > patience_s:
                    series.become(
                        KEPT,
                        f"{missing}, {series.files} images are here, and nothing shows that "
                        "these are all: send the series again",
                        incomplete=True,
                    )
                elif not missing and quiet > quiet_s:
                    self._whole(series)
                else:
                    continue
                changed.append(series)
        return changed

    def _whole(self, series: Series) -> None:
        if series.sent:
            more = series.files - series.made_of
            series.become(
                KEPT,
                f"{more} more image{'s' * (more > 1)} came after its synthetic CT, which is of "
                f"the first {series.made_of}, was sent: put it back by --again, and remove the "
                "earlier CT at the receiver",
            )
        else:
            self._discard(series)
            series.become(WAITING)

    def _discard(self, series: Series) -> None:
        """Forget a result; the next is of all images."""
        shutil.rmtree(series.result, ignore_errors=True)
        series.made, series.sent, series.attempts, series.next_try = [], [], 0, 0.0
        series.warnings, series.domain, series.facts, series.made_from = [], [], {}, 0.0

    def next_waiting(self) -> Series | None:
        """The series that has waited longest, which is being generated from now on."""
        with self.lock:
            now = time.time()
            found = [s for s in self.series.values() if s.state == WAITING and _due(s, now)]
            series = min(found, key=lambda one: one.since, default=None)
            if series is not None:
                shutil.rmtree(series.result, ignore_errors=True)
                series.made_of, series.made_from = series.files, series.arrived
                try:
                    series.become(GENERATING)
                except OSError:
                    self.not_generated(series)
                    raise
            return series

    def not_generated(self, series: Series) -> None:
        """No CT could be begun, or what became of it not be written: from its images, anew.

        Only in memory, as the disk may be full: of a series that is being made a record tells
        the next node the same.
        """
        with self.lock:
            if series.state == GENERATING:
                series.state = WAITING if series.arrived == series.made_from else RECEIVING

    def generated(self, series: Series, made: list[str], to_send: bool) -> bool:
        """The files of the result are on the disk; whether they are of all images."""
        with self.lock:
            if self._more_came(series):
                return False
            series.made, series.sent, series.attempts, series.next_try = made, [], 0, 0.0
            series.become(SENDING if to_send else MADE)
            return True

    def keep(self, series: Series, reason: str) -> None:
        with self.lock:
            if not self._more_came(series):
                series.become(KEPT, reason)

    def again_later(self, series: Series, reason: str, pause_s: float) -> None:
        """Let a series wait for another attempt at its synthetic CT."""
        with self.lock:
            if not self._more_came(series):
                series.attempts += 1
                series.next_try = time.time() + pause_s
                series.become(WAITING, reason)

    def _more_came(self, series: Series) -> bool:
        if series.arrived == series.made_from:
            return False
        self._discard(series)
        series.become(RECEIVING)
        return True

    def next_to_send(self) -> Series | None:
        with self.lock:
            now = time.time()
            due = [s for s in self.series.values() if s.state == SENDING and _due(s, now)]
            return min(due, key=lambda one: (one.attempts, one.since), default=None)

    def has_sent(self, series: Series, name: str, made_from: float) -> bool:
        """The receiver has acknowledged a file; whether it is one of the CT that is being sent.

        Args:
            made_from: of the CT that the file is of.
        """
        with self.lock:
            if series.made_from != made_from:
                return False
            if name not in series.sent:
                series.sent.append(name)
            if series.state == SENDING and set(series.sent) >= set(series.made):
                series.become(SENT)
            else:
                series.save()
            return True

    def not_sent(self, series: Series, reason: str, pause_s: float, made_from: float) -> bool:
        """The receiver is away, or refuses: tried again after a pause, if it is still this CT."""
        with self.lock:
            if series.state != SENDING or series.made_from != made_from:
                return False
            series.attempts += 1
            series.next_try = time.time() + pause_s
            series.reason = reason
            with contextlib.suppress(OSError):  # it would only tell people
                series.save()
            return True

    def put_back(self) -> list[Series]:
        """Take up the series that were put back by hand (see :mod:`status`)."""
        found = []
        with self.lock:
            for path in (self.folder / AGAIN).glob("*"):
                if path.suffix:  # it is just being written
                    continue
                series = self.series.get(path.name)
                if series is not None and series.state in ANSWERED and not series.removed:
                    self._discard(series)
                    self._carrying.mend(series.id)
                    series.refused = []
                    series.open = False
                    series.accepted = path.read_bytes() == ACCEPTED
                    series.become(WAITING)
                    found.append(series)
                path.unlink(missing_ok=True)
        return found

    def remove_older(self, days: float) -> list[Series]:
        """Remove the data of series whose last image came more than ``days`` ago."""
        limit, found = time.time() - days * 86400, []
        with self.lock:
            for series in self.series.values():
                if series.removed or series.arrived > limit or self._carrying.carried(series.id):
                    continue
                if series.state == GENERATING:
                    continue
                for part in (series.received, series.result):
                    shutil.rmtree(part, ignore_errors=True)
                series.picture.unlink(missing_ok=True)
                series.removed = True
                if series.state in ANSWERED:
                    series.save()
                else:
                    told = f"{series.state} for {days:g} days"
                    told += f" ({series.reason})" if series.reason else ""
                    series.become(KEPT, f"{told}, and then removed: send it again")
                found.append(series)
        return found


def _due(series: Series, now: float) -> bool:
    """Whether the next attempt is due; a pause longer than any is of a clock that was set back."""
    return not now < series.next_try <= now + LONGEST_PAUSE_S
