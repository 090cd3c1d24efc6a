"""Keeps the leases of batches alive while somebody works on them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from stocktake.errors import IngestionNotFoundError, LeaseLostError, StateError
from stocktake.ingest._batch import Batch
from stocktake.telemetry import logger

_BEATS_PER_LEASE = 4


class Heartbeat:
    """Renews every batch it is shown, four times per lease, from one thread.

    A lease that is lost is not renewed any more; whoever works on the batch learns it at the
    latest when committing, which is refused.
    """

    def __init__(self, lease: timedelta) -> None:
        self._wait_s = lease.total_seconds() / _BEATS_PER_LEASE
        self._lock = threading.Lock()
        self._batches: dict[str, Batch] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def keeping(self, batch: Batch) -> Iterator[None]:
        """Renew this batch while the block runs."""
        self.add(batch)
        try:
            yield
        finally:
            self.drop(batch)

    def add(self, batch: Batch) -> None:
        """Renew this batch from now on."""
        with self._lock:
            self._batches[batch.token] = batch
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
                self._thread.start()

    def drop(self, batch: Batch) -> None:
        """Renew it no more."""
        with self._lock:
            self._batches.pop(batch.token, None)

    def drop_finished(self) -> None:
        """Renew those no more that were committed or given back."""
        with self._lock:
            self._batches = {t: b for t, b in self._batches.items() if b.outcome is None}

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        while not self._stopped.wait(self._wait_s):
            with self._lock:
                batches = list(self._batches.values())
            for batch in batches:
                try:
                    batch.renew()
                except (LeaseLostError, IngestionNotFoundError):
                    self.drop(batch)
                except StateError as error:  # a busy database: the next beat may succeed
                    logger.warning("the lease of %s was not renewed: %s", batch.token, error)
