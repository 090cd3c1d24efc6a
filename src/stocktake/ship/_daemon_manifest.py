"""Puts completed uploads into the bucket's manifest. Shipping never waits for it."""

from __future__ import annotations

import threading

from stocktake.errors import StocktakeError
from stocktake.manifests import SegmentLog
from stocktake.ship._daemon_context import ShipContext
from stocktake.ship._events import EventKind
from stocktake.ship._ledger_segments import RECORDS_MAX, write_segments


class ManifestKeeper:
    """Writes segments every so often, and after every ten thousand completions."""

    def __init__(self, context: ShipContext) -> None:
        self._context = context
        self._log: SegmentLog | None = None
        self._wake = threading.Event()
        self._stopped = False
        self._completed = 0
        self._failing = False
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ship-manifest", daemon=True)

    def start(self, log: SegmentLog) -> None:
        """Begin, when it is known what the store can do."""
        self._log = log
        self._thread.start()

    def completed(self, count: int) -> None:
        """So many more uploads are in the ledger."""
        self._completed += count
        if self._completed >= RECORDS_MAX:
            self._completed = 0
            self._wake.set()

    def stop(self, timeout_s: float) -> None:
        """Write what is left, and end; a store that does not answer is waited for only so long."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def write(self) -> bool:
        """Write all that is not written; True if there is nothing left."""
        context = self._context
        if self._log is None:
            return False
        try:
            with self._writing:
                write_segments(context.ledger, self._log)
        except StocktakeError as error:
            if not self._failing:
                context.tell(EventKind.MANIFEST, None, error.to_dict(), state="behind")
            self._failing = True
            return False
        if self._failing:
            context.tell(EventKind.MANIFEST, None, None, state="caught up")
        self._failing = False
        return True

    def _run(self) -> None:
        try:
            while True:
                self._wake.wait(self._context.settings.manifest_interval_s)
                self._wake.clear()
                last = self._stopped
                self.write()
                if last:
                    return
        except Exception as error:  # noqa: BLE001
            # boundary: a thread that nobody waits for; the daemon ends with this error
            self._context.inbox.put(("broken", error))
