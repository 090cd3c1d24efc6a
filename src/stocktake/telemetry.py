"""Counters, progress and receipts: what a job did, what it cost, how far it is.

>>> meter = Meter()
>>> meter.call("ListObjectsV2"); meter.receive(1000)
>>> meter.calls
{'ListObjectsV2': 1}
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Protocol

logger = logging.getLogger("stocktake")


class Meter:
    """Counts store calls by operation and bytes by direction. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._retries: Counter[str] = Counter()
        self._received_bytes = 0
        self._sent_bytes = 0

    def call(self, operation: str) -> None:
        """Count one request (each retry is a request)."""
        with self._lock:
            self._calls[operation] += 1

    def retry(self, reason: str) -> None:
        """Count one retry and why."""
        with self._lock:
            self._retries[reason] += 1

    def receive(self, size_bytes: int) -> None:
        """Add bytes of a body that came in."""
        with self._lock:
            self._received_bytes += size_bytes

    def send(self, size_bytes: int) -> None:
        """Add bytes of a body that went out."""
        with self._lock:
            self._sent_bytes += size_bytes

    @property
    def calls(self) -> dict[str, int]:
        """Requests so far, by S3 operation name."""
        with self._lock:
            return dict(self._calls)

    @property
    def retries(self) -> dict[str, int]:
        """Retries so far, by reason."""
        with self._lock:
            return dict(self._retries)

    @property
    def received_bytes(self) -> int:
        """Bytes of bodies received so far."""
        return self._received_bytes

    @property
    def sent_bytes(self) -> int:
        """Bytes of bodies sent so far."""
        return self._sent_bytes


class Progress(Protocol):
    """What a long job tells whoever watches. Calls may come from several threads."""

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """A new phase begins; `unit` is 'bytes', 'rows' or a plural noun."""

    def advance(self, amount: int) -> None:
        """That much more of the current phase is done."""

    def note(self, text: str) -> None:
        """Something worth a line (a warning, a resumed part)."""


class NoProgress:
    """Nobody watches."""

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """Ignore it."""

    def advance(self, amount: int) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""
