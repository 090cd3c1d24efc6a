"""The thread that looks at the folder and puts what has come to rest into the ledger."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from functools import partial

from stocktake import faults
from stocktake.errors import SourceUnreadableError, WatchedFolderError
from stocktake.ship._arrival import Arrival, Sighting
from stocktake.ship._daemon_context import ShipContext
from stocktake.ship._events import EventKind
from stocktake.ship._ledger import forget_vanished
from stocktake.ship._ledger_view import shipped_sha256
from stocktake.ship._records import ReadySource
from stocktake.ship._watch import FolderWatch

ADD_TOGETHER = 5_000
WHILE_WAITING_S = 0.5
FOLDER_GONE_S = 2.0
UNREADABLE_MAX = 10_000


class Arrivals:
    """Scans until it is stopped; tells the daemon's inbox `seen` after each scan."""

    def __init__(self, context: ShipContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._forgotten: deque[bytes] = deque()
        self._stopped = threading.Event()
        self._unreadable: set[bytes] = set()
        self._away = False
        self._scans = 0
        self._thread = threading.Thread(target=self._run, name="ship-arrivals", daemon=True)
        self._watch: FolderWatch | None = None

    def start(self) -> None:
        """Begin to scan."""
        self._thread.start()

    def forget(self, path: bytes) -> int:
        """Look at this file as a new one in the next scan, whose number is returned."""
        with self._lock:
            self._forgotten.append(path)
            return self._scans + 1

    def stop(self) -> None:
        """End; a scan that is under way ends first."""
        self._stopped.set()
        if self._watch is not None:
            self._watch.close()

    def join(self, timeout_s: float) -> None:
        """Wait for the end."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        context = self._context
        try:
            settings = context.settings
            arrival = Arrival(
                settings,
                clock=context.clock,
                known=context.ledger.identities(),
                sha256_of=partial(shipped_sha256, context.ledger),
            )
            self._watch = FolderWatch(settings)
            while not self._stopped.is_set():
                self._wait(self._look(arrival))
        except Exception as error:  # noqa: BLE001
            # boundary: a thread that nobody waits for; the daemon ends with this error
            context.inbox.put(("broken", error))
        finally:
            if self._watch is not None:
                self._watch.close()

    def _wait(self, delay_s: float) -> None:
        """Sleep until something moves in the folder, in short turns, so that a stop is heard."""
        until_s = self._context.clock.monotonic_s() + delay_s
        while not self._stopped.is_set() and self._watch is not None:
            left_s = until_s - self._context.clock.monotonic_s()
            if left_s <= 0 or self._watch.wait(min(left_s, 0.5)):
                return

    def _look(self, arrival: Arrival) -> float:
        """One scan; returns how long to wait for the next."""
        context = self._context
        with self._lock:
            self._scans += 1
            while self._forgotten:
                arrival.forget(self._forgotten.popleft())
        began_s = context.clock.monotonic_s()
        try:
            sighting = arrival.poll()
        except WatchedFolderError as error:
            self._folder_gone(error)
            return FOLDER_GONE_S
        if self._away:
            self._away = False
            context.figures.notice("folder", "")
            context.tell(EventKind.FOLDER, state="back", folder=str(context.settings.folder))
        self._take(sighting)
        took_s = context.clock.monotonic_s() - began_s
        longest_s = context.settings.scan_interval_s
        if sighting.waiting:
            return min(longest_s, max(WHILE_WAITING_S, context.settings.settle_s / 4, 3 * took_s))
        return longest_s

    def _take(self, sighting: Sighting) -> None:
        context = self._context
        for path in sighting.detected:
            context.tell(EventKind.DETECTED, path)
        self._add(sighting.ready, force=False)
        self._add(sighting.altered, force=True)
        for path in forget_vanished(context.ledger, sighting.vanished):
            context.tell(EventKind.VANISHED, path)
        self._report(sighting)
        context.figures.put("waiting", sighting.waiting)
        context.inbox.put(("seen", 0, sighting.waiting, self._scans))

    def _add(self, ready: Sequence[ReadySource], *, force: bool) -> None:
        """Into the ledger, in order, then tell; `force`: although size and times are known."""
        context = self._context
        for start in range(0, len(ready), ADD_TOGETHER):
            some = ready[start : start + ADD_TOGETHER]
            context.ledger.add_sources(some, force=force)
            faults.reached("ship.seen")
            for source in some:
                context.tell(
                    EventKind.SETTLED,
                    source.path,
                    becomes=source.kind.value,
                    size_bytes=source.identity.size_bytes,
                )
            context.inbox.put(("seen", len(some), None, 0))

    def _report(self, sighting: Sighting) -> None:
        """What cannot be read is told when it is found, and counts until it was shipped."""
        for path, error in sighting.problems:
            self._context.tell(EventKind.POSTPONED, path, error.to_dict())
            if error.code == SourceUnreadableError.code and len(self._unreadable) < UNREADABLE_MAX:
                self._unreadable.add(path)
        if self._unreadable:
            self._unreadable.difference_update(one.path for one in sighting.ready)
            self._unreadable.difference_update(sighting.vanished)
        self._context.figures.put("unreadable", len(self._unreadable))

    def _folder_gone(self, error: WatchedFolderError) -> None:
        if not self._away:
            self._away = True
            self._context.figures.notice("folder", error.message)
            self._context.tell(EventKind.FOLDER, None, error.to_dict(), state="away")
        self._context.inbox.put(("folder-gone", error))
