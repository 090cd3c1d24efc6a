"""When a file counts as written: unchanged for a while, and nobody has it open for writing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stocktake.ship._lease import Lease, file_system, probe_lease
from stocktake.ship._scan import Fingerprint, fingerprint

if TYPE_CHECKING:
    from stocktake.ship._settings import ShipSettings


@dataclass(slots=True)
class Waiting:
    """A file that is not at rest: which content, since when, and since when nobody writes."""

    print: Fingerprint
    since_s: float
    quiet_since_s: float | None = None
    busy: bool = False
    asked: bool = True
    """False: the kernel cannot say whether somebody writes."""


class RestJudge:
    """Decides when files are at rest."""

    def __init__(self, settings: ShipSettings) -> None:
        self._settle_s = settings.settle_s
        self._settle_unknown_s = settings.settle_unknown_s
        self._follow_links = settings.follow_links
        self._status = os.stat if settings.follow_links else os.lstat
        self._local: dict[int, bool] = {}

    def first_seen(self, path: bytes, status: os.stat_result, now_s: float) -> Waiting:
        """A file, or a content, that was not there at the last look."""
        local = self._local.get(status.st_dev)
        if local is None:
            local = self._local[status.st_dev] = _is_local(path)
        return Waiting(fingerprint(status), now_s, asked=local)

    def is_due(self, path: bytes, one: Waiting, now_s: float) -> bool:
        """Whether the time is over; asks the kernel until nobody writes, which begins the time.

        Raises:
            OSError: It cannot be opened, or is gone.
        """
        if one.asked and one.quiet_since_s is None and self._is_quiet(path, one):
            one.quiet_since_s = now_s
        if not one.asked:
            return now_s - one.since_s >= self._settle_unknown_s
        return one.quiet_since_s is not None and now_s - one.quiet_since_s >= self._settle_s

    def confirm(self, path: bytes, one: Waiting) -> bool:
        """Whether it can be taken now: quiet still, and unchanged since the look.

        Raises:
            OSError: It cannot be opened, or is gone.
        """
        if one.asked and not self._is_quiet(path, one):
            one.quiet_since_s = None
            return False
        return self._unchanged(path, one)

    def _is_quiet(self, path: bytes, one: Waiting) -> bool:
        lease = probe_lease(path, follow_links=self._follow_links)
        one.busy, one.asked = lease is Lease.BUSY, lease is not Lease.UNKNOWN
        return lease is Lease.QUIET

    def _unchanged(self, path: bytes, one: Waiting) -> bool:
        """It may have been written to between the look and the answer."""
        status = self._status(path)
        return fingerprint(status) == one.print


def _is_local(path: bytes) -> bool:
    try:
        return file_system(path)[1]
    except OSError:
        return False
