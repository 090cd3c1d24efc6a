"""A worker process: takes one task at a time from the daemon and tells how it goes.

Run by the daemon as `python -m stocktake.ship._worker_main SOCKET PARENT`. Settings, secrets among
them, come over the socket and stand neither in arguments nor in the environment. The process ends
with the socket, whatever it is at: the ledger knows how far that was.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from stocktake.clock import Clock, SystemClock
from stocktake.errors import StocktakeError, WorkerDiedError
from stocktake.ship import _sandbox
from stocktake.ship._records import FileJob, Outcome, SourceJob, TaskEnd
from stocktake.ship._tasks import Tasks
from stocktake.ship._wire_link import Link
from stocktake.ship._worker_recorder import RemoteRecorder
from stocktake.store import open_store

ENDS_TOGETHER = 64
ENDS_EVERY_S = 0.1
PROGRESS_EVERY_S = 0.25


class _Teller:
    """Tells the daemon how tasks go, not more often than anybody can read."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._lock = threading.Lock()
        self._told_s: dict[int, float] = {}

    def progress(self, source_id: int, phase: str, bytes_done: int, bytes_total: int) -> None:
        """A task is so far."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            if now_s - self._told_s.get(source_id, 0.0) < PROGRESS_EVERY_S:
                return
            self._told_s[source_id] = now_s
        self._link.note("progress", source_id, phase, bytes_done, bytes_total)

    def outage(self, error: StocktakeError) -> None:
        """The store is away."""
        self._link.note("outage", error)

    def recovered(self) -> None:
        """It is back."""
        self._link.note("recovered")

    def ends(self, ends: Iterable[TaskEnd]) -> None:
        """Tell them as they come, many in one message."""
        together: list[TaskEnd] = []
        told_s = self._clock.monotonic_s()
        for end in ends:
            together.append(end)
            now_s = self._clock.monotonic_s()
            if len(together) >= ENDS_TOGETHER or now_s - told_s >= ENDS_EVERY_S:
                self._link.note("ends", together)
                together, told_s = [], now_s
        self._link.note("ends", together)
        with self._lock:
            self._told_s.clear()


class _Worker:
    """Runs the tasks of one daemon."""

    def __init__(self, link: Link, orders: dict[str, Any], clock: Clock) -> None:
        self._teller = _Teller(link, clock)
        self._link = link
        recorder = RemoteRecorder(link)
        settings = orders["settings"]
        self._tasks = Tasks(
            settings,
            open_store(settings.store, clock=clock),
            recorder,
            ship_id=orders["ship_id"],
            knows_token=recorder.knows_token,
            profile=orders["profile"],
            clock=clock,
            listener=self._teller,
        )
        self._orders: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def take(self, name: str, args: list[Any]) -> None:
        """A note of the daemon. In the thread that reads."""
        if name == "stop":
            self._tasks.stop()
        else:
            self._orders.put((name, args[0]))

    def work(self) -> None:
        """Run tasks, for ever: the process ends with the line."""
        self._link.note("idle")
        while True:
            name, payload = self._orders.get()
            self._teller.ends(self._run(name, payload))
            self._link.note("idle")

    def _run(self, name: str, payload: Any) -> Iterator[TaskEnd]:
        if name == "put":
            jobs: list[FileJob] = payload
            yield from self._tasks.put_files(jobs)
            return
        job: SourceJob = payload
        try:
            yield self._tasks.plan(job) if name == "plan" else self._tasks.ship(job)
        except MemoryError:
            error = StocktakeError("out of memory", hint="give the workers more memory")
            yield TaskEnd(job.source_id, Outcome.FAILED, error.to_dict())


def main() -> None:
    """The process."""
    line, parent = (int(text) for text in sys.argv[1:3])
    _sandbox.enter(parent)
    clock = SystemClock()
    workers: list[_Worker] = []
    link = Link(
        socket.socket(fileno=line),
        on_call=_refuse,
        on_note=lambda name, args: workers[0].take(name, args),
        threads=1,
    )
    try:
        _, args = link.read_note()
    except WorkerDiedError:
        return  # the daemon ended before it knew what to say
    workers.append(_Worker(link, args[0], clock))
    threading.Thread(target=_read, args=[link], name="ship-line", daemon=True).start()
    workers[0].work()


def _read(link: Link) -> None:
    try:
        link.run()
    finally:
        os._exit(0)


def _refuse(method: str, args: list[Any]) -> Any:
    raise StocktakeError(f"a worker answers no calls, and got `{method}`")


if __name__ == "__main__":
    main()
