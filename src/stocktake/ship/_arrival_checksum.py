"""Shipped files read again, slowly: a change that kept size and times is found by its checksum.

On a file system that keeps ctime no such change exists, short of a clock set back; network and FAT
file systems are another matter. What is read per second is bounded, so a large folder takes long.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from stocktake.clock import Clock
from stocktake.errors import StocktakeError
from stocktake.ship._folder import identity_of, open_source
from stocktake.ship._kinds import kind_of
from stocktake.ship._lease import Lease, probe_lease
from stocktake.ship._records import Identity, ReadySource

if TYPE_CHECKING:
    from stocktake.ship._settings import ShipSettings

BYTES_PER_S = 16 << 20
_BURST_BYTES = 64 << 20
_FILES_PER_STEP = 2000
_ROUND_S = 60.0
_BLOCK_BYTES = 1 << 20


class Rereader:
    """Reads known files in rounds, some of them at each step.

    Args:
        paths: The files to look at, anew for each round.
        sha256_of: Hex digest of what was shipped of a path; None if it is not shipped (yet).
    """

    def __init__(
        self,
        settings: ShipSettings,
        *,
        clock: Clock,
        paths: Callable[[], Iterator[bytes]],
        sha256_of: Callable[[bytes], str | None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._paths = paths
        self._sha256_of = sha256_of
        self._round: Iterator[bytes] | None = None
        self._round_at_s = clock.monotonic_s()
        self._stepped_s = clock.monotonic_s()
        self._open: _HalfRead | None = None

    def step(self) -> list[ReadySource]:
        """Read on for as many bytes as the time since the last step allows."""
        now_s = self._clock.monotonic_s()
        left_bytes = min(_BURST_BYTES, int((now_s - self._stepped_s) * BYTES_PER_S))
        self._stepped_s = now_s
        altered = []
        for _ in range(_FILES_PER_STEP):
            if left_bytes <= 0 or not self._next(now_s) or self._open is None:
                break
            try:
                left_bytes -= self._open.read(left_bytes)
            except OSError:  # the scan will tell
                self._close()
                continue
            if self._open.ended:
                altered += self._judged(self._open)
                self._close()
        return altered

    def close(self) -> None:
        """Close the file that is half read."""
        self._close()

    def _next(self, now_s: float) -> bool:
        """Open the next file of this round, if none is open."""
        while self._open is None:
            if self._round is None:
                if now_s < self._round_at_s:
                    return False
                self._round, self._round_at_s = self._paths(), now_s + _ROUND_S
            path = next(self._round, None)
            if path is None:
                self._round = None
                return False
            wanted = self._sha256_of(path)
            if wanted is not None:
                self._open = self._opened(path, wanted)
        return True

    def _opened(self, path: bytes, wanted: str) -> _HalfRead | None:
        try:
            return _HalfRead(path, wanted, open_source(self._settings, path))
        except StocktakeError:  # the scan will tell
            return None

    def _judged(self, one: _HalfRead) -> list[ReadySource]:
        if one.identity is None or one.digest.hexdigest() == one.wanted:
            return []
        where = os.fsencode(self._settings.folder) + b"/" + one.path
        try:
            busy = probe_lease(where, follow_links=self._settings.follow_links) is Lease.BUSY
        except OSError:
            busy = True
        if busy:  # the next round finds it again
            return []
        kind = kind_of(self._settings, one.path, one.identity.size_bytes)
        return [ReadySource(one.path, one.identity, kind)]

    def _close(self) -> None:
        if self._open is not None:
            self._open.file.close()
            self._open = None


class _HalfRead:
    """One file on its way through the hash."""

    def __init__(self, path: bytes, wanted: str, file: BinaryIO) -> None:
        self.path = path
        self.wanted = wanted
        self.file = file
        self.identity: Identity | None = identity_of(os.fstat(file.fileno()))
        self.digest = hashlib.sha256()
        self.ended = False

    def read(self, most_bytes: int) -> int:
        """Hash some; sets `ended`, and forgets the identity if it changed meanwhile."""
        done = 0
        while done < most_bytes:
            block = self.file.read(_BLOCK_BYTES)
            if not block:
                self.ended = True
                if identity_of(os.fstat(self.file.fileno())) != self.identity:
                    self.identity = None
                break
            self.digest.update(block)
            done += len(block)
        return max(done, 1)
