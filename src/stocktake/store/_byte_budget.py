"""A bound on the bytes of bodies that are on their way, for all threads of a worker."""

from __future__ import annotations

import threading
from collections.abc import Callable


class ByteBudget:
    """Takes bytes and gives them back. A body larger than all of it goes alone."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._changed = threading.Condition()
        self._taken = 0

    @property
    def taken_bytes(self) -> int:
        """Bytes on their way now."""
        return self._taken

    def take(self, size_bytes: int, check: Callable[[], None]) -> None:
        """Wait until there is room. `check` is called now and then, and may raise."""
        with self._changed:
            while self._taken and self._taken + size_bytes > self._bytes_max:
                check()
                self._changed.wait(timeout=0.5)
            self._taken += size_bytes

    def give(self, size_bytes: int) -> None:
        """These bytes have arrived, or are not sent any more."""
        with self._changed:
            self._taken -= size_bytes
            self._changed.notify_all()
