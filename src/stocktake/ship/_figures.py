"""How far shipping is: counters and what is under way, for whoever asks from another thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stocktake.ship._records import SourceState

_WINDOW_S = 10.0
_FAILURES_KEPT = 50
_COUNTED = "done failed retried bytes died outages waiting unreadable workers"


@dataclass(frozen=True, slots=True)
class ActiveFile:
    """A file that a worker is at.

    Attributes:
        path: Relative to the folder.
        phase: `plan`, `ship`, ...
        done_bytes: Of this phase.
        total_bytes: Of this phase; 0 if unknown.
        since_s: When it was begun, on the monotonic clock.
    """

    path: bytes
    phase: str
    done_bytes: int
    total_bytes: int
    since_s: float


@dataclass(frozen=True, slots=True)
class ShipFigures:
    """Everything at one instant. Bytes are those of source files.

    Attributes:
        files_done: Shipped by this process.
        files_failed: Given up by this process.
        files_retried: Put off to be tried again.
        bytes_done: Of the files that were shipped.
        files_per_s: Over the last ten seconds.
        bytes_per_s: Over the last ten seconds.
        states: Sources in the ledger by state.
        waiting: Files that have not come to rest.
        unreadable: Files and folders that this user may not read.
        active: What workers are at.
        failures: The last files that failed, with the reason.
        workers: Processes that are up.
        workers_died: How often one died.
        outages: How often the store was away.
        notice: What is wrong at the moment (the store is away, the folder is gone); "" if nothing.
        elapsed_s: Since the start.
    """

    files_done: int = 0
    files_failed: int = 0
    files_retried: int = 0
    bytes_done: int = 0
    files_per_s: float = 0.0
    bytes_per_s: float = 0.0
    states: Mapping[SourceState, int] = field(default_factory=dict)
    waiting: int = 0
    unreadable: int = 0
    active: tuple[ActiveFile, ...] = ()
    failures: tuple[tuple[bytes, str], ...] = ()
    workers: int = 0
    workers_died: int = 0
    outages: int = 0
    notice: str = ""
    elapsed_s: float = 0.0


class FigureBook:
    """Where the daemon writes them down. Safe to share between threads; memory is bounded."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._began_s = monotonic_s()
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(_COUNTED.split(), 0)
        self._recent: deque[tuple[float, int, int]] = deque()
        self._active: dict[int, ActiveFile] = {}
        self._failures: deque[tuple[bytes, str]] = deque(maxlen=_FAILURES_KEPT)
        self._states: Mapping[SourceState, int] = {}
        self._notices: dict[str, str] = {}

    def begun(self, source_id: int, path: bytes, phase: str, total_bytes: int) -> None:
        """A worker was given this file."""
        with self._lock:
            now_s = self._monotonic_s()
            self._active[source_id] = ActiveFile(path, phase, 0, total_bytes, now_s)

    def moved(
        self, source_id: int, phase: str, done_bytes: int, total_bytes: int
    ) -> ActiveFile | None:
        """It is so far; None if no worker is at it."""
        with self._lock:
            known = self._active.get(source_id)
            if known is None:
                return None
            moved = ActiveFile(known.path, phase, done_bytes, total_bytes, known.since_s)
            self._active[source_id] = moved
        return moved

    def left(self, source_id: int) -> None:
        """No worker is at it any more."""
        with self._lock:
            self._active.pop(source_id, None)

    def done(self, size_bytes: int) -> None:
        """A file is in the store."""
        with self._lock:
            self._counts["done"] += 1
            self._counts["bytes"] += size_bytes
            now_s = int(self._monotonic_s())
            if self._recent and self._recent[-1][0] == now_s:
                _, files, total = self._recent.pop()
                self._recent.append((now_s, files + 1, total + size_bytes))
            else:
                self._recent.append((now_s, 1, size_bytes))
                self._forget_old()

    def failed(self, path: bytes, reason: str) -> None:
        """A file was given up."""
        with self._lock:
            self._counts["failed"] += 1
            self._failures.append((path, reason))

    def count(self, name: str, amount: int = 1) -> None:
        """Add to `retried`, `died` or `outages`."""
        with self._lock:
            self._counts[name] += amount

    def put(self, name: str, value: int) -> None:
        """Set `waiting`, `unreadable` or `workers`."""
        with self._lock:
            self._counts[name] = value

    def put_states(self, states: Mapping[SourceState, int]) -> None:
        """What the ledger holds."""
        with self._lock:
            self._states = dict(states)

    def notice(self, about: str, text: str) -> None:
        """Something is wrong with this until it is taken back by an empty text."""
        with self._lock:
            self._notices.pop(about, None)
            if text:
                self._notices[about] = text

    def snapshot(self) -> ShipFigures:
        """All of it at this instant."""
        with self._lock:
            self._forget_old()
            elapsed_s = self._monotonic_s() - self._began_s
            window_s = max(1.0, min(_WINDOW_S, elapsed_s))
            counts = self._counts
            return ShipFigures(
                files_done=counts["done"],
                files_failed=counts["failed"],
                files_retried=counts["retried"],
                bytes_done=counts["bytes"],
                files_per_s=sum(files for _, files, _ in self._recent) / window_s,
                bytes_per_s=sum(size for _, _, size in self._recent) / window_s,
                states=self._states,
                waiting=counts["waiting"],
                unreadable=counts["unreadable"],
                active=tuple(sorted(self._active.values(), key=lambda file: file.since_s)),
                failures=tuple(self._failures),
                workers=counts["workers"],
                workers_died=counts["died"],
                outages=counts["outages"],
                notice="; ".join(self._notices.values()),
                elapsed_s=elapsed_s,
            )

    def _forget_old(self) -> None:
        oldest_s = self._monotonic_s() - _WINDOW_S
        while self._recent and self._recent[0][0] < oldest_s:
            self._recent.popleft()
