"""The live view of a shipper: queue, throughput, what workers are at, what failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stocktake.cli._output import Output
from stocktake.cli._ship_settings import target_text
from stocktake.cli._text import cell_width, count_text, duration_text, shorten, size_text
from stocktake.ship import ActiveFile, Daemon, ShipFigures, ShipSettings, SourceState, path_text

if TYPE_CHECKING:
    from rich.live import Live

_REFRESHES_PER_S = 4
_FILES_SHOWN = 12
_FAILURES_SHOWN = 5
_BAR_CHARS = 16
_QUEUE = (
    (SourceState.PENDING, "pending"),
    (SourceState.PLANNING, "planning"),
    (SourceState.PLANNED, "planned"),
    (SourceState.SHIPPING, "shipping"),
    (SourceState.RETRY, "again later"),
    (SourceState.FAILED, "failed"),
)


class LiveView:
    """Draws on stderr while a daemon runs; log lines stand above."""

    def __init__(self, out: Output, settings: ShipSettings) -> None:
        self._out = out
        self._title = f"{settings.folder} -> {target_text(settings)}"
        self._live: Live | None = None

    @property
    def is_up(self) -> bool:
        """True while it draws."""
        return self._live is not None

    @contextmanager
    def of(self, daemon: Daemon) -> Iterator[None]:
        """Draw this daemon while the block runs."""
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console = Console(file=self._out.stderr, no_color=self._out.no_color or None)

        def drawn() -> Any:
            return Text("\n".join(view_lines(self._title, daemon.figures(), console.width)))

        live = Live(get_renderable=drawn, console=console, refresh_per_second=_REFRESHES_PER_S)
        with live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def line(self, text: str) -> None:
        """A line above the view."""
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False)


def view_lines(title: str, figures: ShipFigures, width: int) -> list[str]:
    """The view as lines of at most that many columns."""
    lines = [
        title,
        f"shipped {count_text(figures.files_done)} ({size_text(figures.bytes_done)})"
        f"  {figures.files_per_s:.1f} files/s  {size_text(int(figures.bytes_per_s))}/s"
        f"  failed {count_text(figures.files_failed)}"
        f"  {duration_text(figures.elapsed_s)}",
        _queue_line(figures),
    ]
    if figures.notice:
        lines.append(f"! {figures.notice}")
    lines += [_file_line(file, width) for file in figures.active[:_FILES_SHOWN]]
    hidden = len(figures.active) - _FILES_SHOWN
    if hidden > 0:
        lines.append(f"  and {hidden} more")
    lines += [
        f"failed  {path_text(path)}: {reason}"
        for path, reason in figures.failures[-_FAILURES_SHOWN:]
    ]
    return [shorten(line, width) for line in lines]


def _queue_line(figures: ShipFigures) -> str:
    waiting = [
        f"{count_text(figures.states[state])} {name}"
        for state, name in _QUEUE
        if figures.states.get(state)
    ]
    if figures.waiting:
        waiting.insert(0, f"{count_text(figures.waiting)} not at rest")
    workers = f"{figures.workers} worker{'s' if figures.workers != 1 else ''}"
    if figures.workers_died:
        workers += f" ({figures.workers_died} died)"
    return f"queue   {', '.join(waiting) or 'empty'}  [{workers}]"


def _file_line(file: ActiveFile, width: int) -> str:
    share = min(1.0, file.done_bytes / file.total_bytes) if file.total_bytes else 0.0
    filled = round(share * _BAR_CHARS)
    bar = "#" * filled + "-" * (_BAR_CHARS - filled)
    tail = f" [{bar}] {share:4.0%} {size_text(file.total_bytes):>9}"
    name = shorten(path_text(file.path), max(8, width - len(tail) - 9))
    padding = " " * max(0, width - len(tail) - 8 - cell_width(name))
    return f"{file.phase:<7} {name}{padding}{tail}"
