"""A worker process as the daemon sees it: started, spoken to, heard, and noticed when it dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any, Protocol

from stocktake.ship._ledger import Ledger
from stocktake.ship._schedule import Task
from stocktake.ship._wire_link import Link
from stocktake.telemetry import logger

LINE_BYTES_MAX = 4096
CALLS = frozenset(
    {
        "add_planned",
        "end_plan",
        "next_objects",
        "record",
        "complete",
        "end_source",
        "knows_token",
    }
)
"""What a worker may ask of the ledger."""
_ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "1",
    # memory that threads free comes back only from the arena that it was taken of
    "MALLOC_ARENA_MAX": "2",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "OMP_NUM_THREADS": "2",
    "ARROW_IO_THREADS": "1",
}


class WorkerHost(Protocol):
    """Who hears what workers say. Called from the threads that read; must not wait."""

    def heard(self, worker: WorkerProcess, name: str, args: list[Any]) -> None:
        """A worker said something; `died` comes last."""


class WorkerProcess:
    """One worker process.

    Start it from a thread that lives as long as the daemon: the kernel ends the worker with it.

    Args:
        number: Of this worker, for people.
        ledger: Answers its calls. It holds the ledger's lock, too, so that no other daemon starts
            while it lives.
        threads: Calls that are answered at the same time.
        host: Who hears what it says.
    """

    def __init__(self, number: int, ledger: Ledger, threads: int, host: WorkerHost) -> None:
        self.number = number
        self.task: Task | None = None
        self.is_ready = False
        self.is_briefed = False
        self.is_retired = False
        self._host = host
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _start(theirs.fileno(), ledger.lock_fd)
        self._link = Link(
            ours,
            on_call=_answering(ledger),
            on_note=lambda name, args: host.heard(self, name, args),
            threads=threads,
        )
        self._said = threading.Thread(target=self._pass_on, name=f"ship-said-{number}", daemon=True)
        self._said.start()
        self._reader = threading.Thread(target=self._read, name=f"ship-line-{number}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_free(self) -> bool:
        """True if it can take a task."""
        return self.is_ready and self.task is None and not self.is_retired

    def brief(self, orders: Mapping[str, Any]) -> None:
        """Tell it what it needs before its first task; it is `idle` when it has understood."""
        self.is_briefed = True
        self._link.note("orders", dict(orders))

    def give(self, task: Task) -> None:
        """Give it a task; it has none."""
        self.task = task
        self._link.note(task.kind.value, task.payload)

    def stop_task(self) -> None:
        """Ask it to end its task soon; what is done is recorded."""
        self._link.note("stop")

    def retire(self) -> None:
        """Hang up: it ends at once. It is told of as `died`, too."""
        self.is_retired = True
        self._link.close()

    def kill(self) -> None:
        """End it as by `kill -9`."""
        self._process.kill()

    def wait(self, timeout_s: float) -> None:
        """Until both threads have ended, at most so long."""
        self._reader.join(timeout_s)
        self._said.join(timeout_s)

    def _read(self) -> None:
        self._link.run()
        # the line is cut, so it ends by itself; one that hangs is of no use any more
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._link.release()
        self._host.heard(self, "died", [code])

    def _pass_on(self) -> None:
        """Its last words go to the log: a file could not take them under its limits."""
        said: IO[bytes] | None = self._process.stdout
        if said is None:
            return
        with said:
            while line := said.readline(LINE_BYTES_MAX):
                text = line.decode("utf-8", "replace").rstrip()
                logger.warning("worker %d: %s", self.number, text)


def death_text(code: int) -> str:
    """How a process ended, for people."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _answering(ledger: Ledger) -> Callable[[str, list[Any]], Any]:
    def answer(method: str, args: list[Any]) -> Any:
        if method not in CALLS:
            raise TypeError(f"`{method}` is no call that a worker may make")
        return getattr(ledger, method)(*args)

    return answer


def _start(line_fd: int, lock_fd: int) -> subprocess.Popen[bytes]:
    # -P: the directory that the daemon was started in is no place for modules
    command = [sys.executable, "-P", "-m", "stocktake.ship._worker_main"]
    return subprocess.Popen(  # noqa: S603 - our own program
        [*command, str(line_fd), str(os.getpid())],
        pass_fds=[fd for fd in (line_fd, lock_fd) if fd >= 0],
        env={**os.environ, **_ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
