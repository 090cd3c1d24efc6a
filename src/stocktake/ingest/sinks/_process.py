"""Runs a user's command: input from a stream, output line by line, an end that is always reached.

Output is never collected whole: lines go to a function, of the error output the end is kept.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from stocktake.clock import Clock
from stocktake.errors import InvalidSettingError, SinkError

_POLL_S = 0.05
_GRACE_S = 5.0
_TAIL_BYTES = 2000
_LINE_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `status` as the shell has it, negative for a signal."""

    status: int
    error_tail: str
    timed_out: bool = False

    @property
    def is_good(self) -> bool:
        """True if it says that everything went well."""
        return self.status == 0 and not self.timed_out

    def describe(self) -> str:
        """What went wrong, with the last lines it wrote to standard error."""
        if self.timed_out:
            why = "took too long and was stopped"
        elif self.status < 0:
            why = f"was killed by signal {-self.status}"
        else:
            why = f"ended with status {self.status}"
        return f"{why}: {self.error_tail}" if self.error_tail else why


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command.

    Attributes:
        argv: Program and arguments; no shell is involved.
        environment: Variables besides those of this process.
        feed: Pieces of standard input. If it raises, the command is killed before it can take what
            it has for everything.
        line: Called, from another thread, with every line of standard output up to 1 MiB.
        beat: Called every now and then; what it raises ends the command.
        timeout_s: Longest time; None waits for ever.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    feed: Iterable[bytes]
    line: Callable[[bytes], None]
    beat: Callable[[], None]
    timeout_s: float | None


def run_command(run: Run, clock: Clock) -> Ended:
    """Run a command to its end. Whatever raises here ends it, with all its children, first.

    A command that does not read all of its input is no failure.

    Raises:
        InvalidSettingError: There is no such program, or it may not be run.
        SinkError: An argument cannot be passed (a key with a NUL).
        Exception: What `feed`, `line` or `beat` raised.
    """
    with _started(run) as process:
        feeder = _Feeder(process, run.feed)
        tail = _Tail(process.stderr)
        lines = _Lines(process.stdout, run.line)
        threads = (feeder.thread, tail.thread, lines.thread)
        for thread in threads:
            thread.start()
        deadline_s = None if run.timeout_s is None else clock.monotonic_s() + run.timeout_s
        while True:
            try:
                status = process.wait(_POLL_S)
                break
            except subprocess.TimeoutExpired:
                run.beat()
                if deadline_s is not None and clock.monotonic_s() > deadline_s:
                    _end(process)
                    return Ended(process.wait(), tail.text(), timed_out=True)
        for thread in threads:
            # a child of the command may hold its output open for longer than the command lives
            thread.join(_GRACE_S)
        for error in (feeder.error, lines.error):
            if error is not None:
                raise error
        return Ended(status, tail.text())


@contextmanager
def _started(run: Run) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own command, and never a shell
            list(run.argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **run.environment},
            start_new_session=True,
        )
    except ValueError as error:
        raise SinkError(
            f"`{run.argv[0]}` cannot be given these arguments: {error}", retryable=False
        ) from error
    except OSError as error:
        raise InvalidSettingError(
            f"the command `{run.argv[0]}` cannot be run: {error.strerror}",
            hint="name a program that is in PATH, or its whole path",
            command=run.argv[0],
        ) from error
    try:
        yield process
    finally:
        _end(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError, ValueError):
                    pipe.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the command and its children to end; after a moment, make them."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
    with suppress(ProcessLookupError):  # what is left of the group
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Feeder:
    """Writes standard input from a thread of its own."""

    def __init__(self, process: subprocess.Popen[bytes], feed: Iterable[bytes]) -> None:
        self._process = process
        self._feed = feed
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._write, daemon=True)

    def _write(self) -> None:
        pipe = self._process.stdin
        if pipe is None:
            return
        pieces = iter(self._feed)
        with suppress(OSError, ValueError), pipe:  # it has read what it wanted
            while (piece := self._next(pieces)) is not None:
                pipe.write(piece)

    def _next(self, pieces: Iterator[bytes]) -> bytes | None:
        try:
            return next(pieces, None)
        except Exception as error:  # noqa: BLE001
            # boundary: told by the thread that waits for the command
            self.error = error
            if self._process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            return None


class _Lines:
    """Hands every line of a pipe to a function, from a thread of its own."""

    def __init__(self, pipe: IO[bytes] | None, line: Callable[[bytes], None]) -> None:
        self._pipe = pipe
        self._line = line
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        if self._pipe is None:
            return
        try:
            while text := self._pipe.readline(_LINE_BYTES_MAX):
                if self.error is None:
                    self._take(text)
        except ValueError:  # closed at the end
            return

    def _take(self, text: bytes) -> None:
        try:
            self._line(text)
        except Exception as error:  # noqa: BLE001
            # boundary: told by the thread that waits; the pipe must be read on
            self.error = error


class _Tail:
    """Reads a pipe to its end and keeps the last of it."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._pipe = pipe
        self._kept = b""
        self.thread = threading.Thread(target=self._read, daemon=True)

    def text(self) -> str:
        """The end of what was written, on one line."""
        return " ".join(self._kept.decode(errors="replace").split())

    def _read(self) -> None:
        if self._pipe is None:
            return
        with suppress(ValueError, OSError):
            while piece := os.read(self._pipe.fileno(), 1 << 16):
                self._kept = (self._kept + piece)[-_TAIL_BYTES:]
