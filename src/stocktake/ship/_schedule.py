"""Which work the next free worker gets.

Files are begun in the order in which they became available, per kind of work. Between the kinds:
small files must not wait for hours behind large ones, and large ones not for ever behind small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stocktake.ship._records import SourceJob

BATCH_FILES_MAX = 256
"""Small files in one task: enough to keep sixteen requests busy, few enough to stop quickly."""
BATCH_FILES_MIN = 16
BATCH_BYTES_MAX = 64 << 20


class TaskKind(StrEnum):
    """What a worker is asked to do."""

    PUT = "put"
    PLAN = "plan"
    SHIP = "ship"


@dataclass(slots=True)
class Task:
    """One order to a worker.

    Attributes:
        kind: What to do.
        payload: What goes over the wire.
        open: Its sources that have not ended, by id.
        began_s: When, on the monotonic clock.
    """

    kind: TaskKind
    payload: object
    open: dict[int, SourceJob] = field(default_factory=dict)
    began_s: float = 0.0

    @property
    def is_alone(self) -> bool:
        """True if a worker that dies of this task died of this one file."""
        return len(self.open) == 1


def kinds_in_order(
    busy: Mapping[TaskKind, int], workers: int, last: TaskKind | None
) -> tuple[TaskKind, TaskKind, TaskKind]:
    """The kinds of work to look for, best first, for one free worker.

    What is planned is shipped before more is planned. With two workers or more one of them takes
    small files first; a single worker takes turns.
    """
    heavy_first = (TaskKind.SHIP, TaskKind.PLAN, TaskKind.PUT)
    small_first = (TaskKind.PUT, TaskKind.SHIP, TaskKind.PLAN)
    if workers > 1:
        return heavy_first if busy.get(TaskKind.PUT, 0) else small_first
    return heavy_first if last is TaskKind.PUT else small_first


def batch_files(waiting: int, workers: int, *, suspects: bool) -> int:
    """How many small files the next task takes at most.

    Args:
        waiting: Files that wait, about.
        workers: That share them.
        suspects: A worker died of one of the files that come next: one at a time finds it.
    """
    if suspects:
        return 1
    share = -(-waiting // max(workers, 1))
    return max(BATCH_FILES_MIN, min(BATCH_FILES_MAX, share))


def worker_count(configured: int, available_bytes: int | None, worker_bytes: int) -> int:
    """How many workers fit into memory; one always does."""
    if available_bytes is None:
        return max(1, configured)
    return max(1, min(configured, available_bytes // max(worker_bytes, 1)))


def available_memory_bytes(meminfo: str) -> int | None:
    """`MemAvailable` of /proc/meminfo; None if it does not say."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
