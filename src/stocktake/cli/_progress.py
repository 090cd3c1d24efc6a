"""Progress of long jobs: bars on a terminal, a plain line per ten seconds and phase elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from stocktake.cli._output import Output
from stocktake.cli._text import count_text, duration_text, size_text
from stocktake.clock import Clock
from stocktake.telemetry import NoProgress, Progress

PLAIN_EVERY_S = 10.0
_BAR_EVERY_S = 0.1
_WORTH_A_LINE_S = 0.5


class Watched(Progress, Protocol):
    """Progress that knows how long each phase took."""

    seconds: dict[str, float]


@contextmanager
def watch(out: Output, clock: Clock) -> Iterator[Watched]:
    """Show a job's progress on stderr while the block runs."""
    shown: _Bars | _Lines | _Silent
    if out.quiet:
        shown = _Silent(clock)
    elif out.is_live:
        shown = _Bars(out, clock)
    else:
        shown = _Lines(out, clock)
    try:
        yield shown
    except BaseException:
        shown.abandon()
        raise
    shown.end()


def amount_text(amount: int, unit: str) -> str:
    """So many bytes, rows or other things."""
    return size_text(amount) if unit == "bytes" else f"{count_text(amount)} {unit}".rstrip()


class _Phases:
    """Keeps the current phase and the seconds of those that ended."""

    def __init__(self, clock: Clock) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._lock = threading.RLock()
        self._name = ""
        self._total: int | None = None
        self._unit = ""
        self._done = 0
        self._since_s = clock.monotonic_s()

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """End the current phase and begin another."""
        with self._lock:
            self._finish()
            self._name, self._total, self._unit, self._done = name, total, unit, 0
            self._since_s = self._clock.monotonic_s()
            self._started()

    def advance(self, amount: int) -> None:
        """Count it."""
        with self._lock:
            self._done += amount
            self._moved()

    def end(self) -> None:
        """End the last phase."""
        with self._lock:
            self._finish()
            self._name = ""

    def abandon(self) -> None:
        """The job failed: its last phase did not end."""
        with self._lock:
            self._name = ""
        self.end()

    def note(self, text: str) -> None:
        """Say it."""

    def _elapsed_s(self) -> float:
        return self._clock.monotonic_s() - self._since_s

    def _finish(self) -> None:
        if self._name:
            elapsed = self._elapsed_s()
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + elapsed
            self._finished(elapsed)

    def _started(self) -> None: ...

    def _moved(self) -> None: ...

    def _finished(self, elapsed_s: float) -> None: ...


class _Silent(_Phases, NoProgress):
    """Shows nothing; only the seconds are kept."""


class _Lines(_Phases):
    """One line per phase, and one per ten seconds of a long one."""

    def __init__(self, out: Output, clock: Clock) -> None:
        super().__init__(clock)
        self._out = out
        self._next_s = 0.0

    def note(self, text: str) -> None:
        """A line of its own."""
        self._out.note(text)

    def _started(self) -> None:
        self._next_s = PLAIN_EVERY_S

    def _moved(self) -> None:
        elapsed = self._elapsed_s()
        if elapsed >= self._next_s:
            self._next_s = elapsed + PLAIN_EVERY_S
            self._out.note(f"{self._name}: {self._state(elapsed)}")

    def _state(self, elapsed_s: float) -> str:
        done = amount_text(self._done, self._unit)
        rate = amount_text(int(self._done / elapsed_s), self._unit) + "/s"
        if not self._total:
            return f"{done}, {rate}"
        share = self._done / self._total
        left = duration_text(elapsed_s * (1 - share) / share) if self._done else UNKNOWN_TIME
        return (
            f"{share:.0%} ({done} of {amount_text(self._total, self._unit)}), {rate}, {left} left"
        )

    def _finished(self, elapsed_s: float) -> None:
        if not self._done:
            if elapsed_s >= _WORTH_A_LINE_S:
                self._out.note(f"{self._name}: {duration_text(elapsed_s)}")
            return
        rate = ""
        if elapsed_s >= 1:
            rate = f" ({amount_text(int(self._done / elapsed_s), self._unit)}/s)"
        done = amount_text(self._done, self._unit)
        self._out.note(f"{self._name}: {done} in {duration_text(elapsed_s)}{rate}")


UNKNOWN_TIME = "? s"


class _Bars(_Phases):
    """A live bar per phase, drawn by rich."""

    def __init__(self, out: Output, clock: Clock) -> None:
        super().__init__(clock)
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._out = out
        self._drawn_s = 0.0
        console = Console(file=out.stderr, no_color=out.no_color or None, highlight=False)
        self._bars = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[state]}", markup=False),
            console=console,
            refresh_per_second=10,
        )
        self._task: Any = None
        self._bars.start()

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._bars.console.print(text, markup=False, style="dim")

    def end(self) -> None:
        """End the last phase and give the terminal back."""
        super().end()
        self._bars.stop()

    def _started(self) -> None:
        self._drawn_s = 0.0
        self._task = self._bars.add_task(self._name, total=self._total, state="")

    def _moved(self) -> None:
        elapsed = self._elapsed_s()
        if elapsed - self._drawn_s >= _BAR_EVERY_S:
            self._drawn_s = elapsed
            self._bars.update(self._task, completed=self._done, state=self._state(elapsed))

    def _state(self, elapsed_s: float) -> str:
        pieces = [amount_text(self._done, self._unit)]
        if self._total:
            share = self._done / self._total
            pieces = [f"{share:4.0%}", amount_text(self._total, self._unit)]
        if elapsed_s > 0:
            pieces.append(f"{amount_text(int(self._done / elapsed_s), self._unit)}/s")
        if self._total and self._done:
            pieces.append(f"{duration_text(elapsed_s * (1 - share) / share)} left")
        return "  ".join(pieces)

    def _finished(self, elapsed_s: float) -> None:
        state = duration_text(elapsed_s)
        if not self._done and elapsed_s < _WORTH_A_LINE_S:
            self._bars.remove_task(self._task)
            return
        if self._done:
            state = f"{amount_text(self._done, self._unit)} in {state}"
        total = max(self._done, 1)
        self._bars.update(self._task, total=total, completed=total, state=state)
