"""Renewing a lease from a thread, as long as the work under it goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from stocktake.errors import StateError, StocktakeError

logger = logging.getLogger("stocktake.catalog")


class LostLease:
    """Remembers that the lease could not be renewed; the work stops at its next step."""

    def __init__(self) -> None:
        self._error: StocktakeError | None = None

    def set(self, error: StocktakeError) -> None:
        """The lease is another process's."""
        self._error = error

    def check(self) -> None:
        """Raise if the lease is lost."""
        if self._error is not None:
            raise self._error


@contextmanager
def renewing(
    renew: Callable[[], None], lease: timedelta, name: str, lost_by: type[StocktakeError]
) -> Iterator[LostLease]:
    """Call `renew` six times per lease while the block runs; `lost_by` says that it is lost."""
    done = threading.Event()
    lost = LostLease()

    def beat() -> None:
        while not done.wait(lease.total_seconds() / 6):
            try:
                renew()
            except lost_by as error:
                lost.set(error)
                return
            except StateError as error:  # a busy or absent database: the next beat may succeed
                logger.warning("the lease of %s was not renewed: %s", name, error.message)

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join()
