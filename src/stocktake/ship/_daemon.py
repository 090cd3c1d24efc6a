"""Shipping a folder: everything opened, the loop run, everything closed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from stocktake.clock import Clock, SystemClock
from stocktake.errors import WatchedFolderError
from stocktake.ship._daemon_context import ShipContext
from stocktake.ship._daemon_crew import Crew
from stocktake.ship._daemon_loop import ShipLoop
from stocktake.ship._daemon_manifest import ManifestKeeper
from stocktake.ship._daemon_outcomes import move_left_behind
from stocktake.ship._daemon_recovery import Recovery
from stocktake.ship._daemon_start import open_ledger
from stocktake.ship._events import EventKind, NoListener, ShipListener
from stocktake.ship._figures import FigureBook, ShipFigures
from stocktake.ship._ledger import Ledger
from stocktake.ship._records import SourceState
from stocktake.ship._schedule import available_memory_bytes, worker_count
from stocktake.ship._settings import ShipSettings
from stocktake.store import Store, open_store

MANIFEST_LAST_S = 60.0
"""At the end the manifest gets so long; what is not written then is written by the next run."""
MANIFEST_AT_STOP_S = 5.0
_UNFINISHED = frozenset(SourceState) - {
    SourceState.COMPLETED,
    SourceState.FAILED,
    SourceState.VANISHED,
}


@dataclass(frozen=True, slots=True)
class ShipSummary:
    """How a run went.

    Attributes:
        figures: What this process did.
        states: What the ledger holds.
        waiting: Files that had not come to rest.
        stopped_by: What ended it (`SIGTERM`); None if there was nothing left to do.
    """

    figures: ShipFigures
    states: Mapping[SourceState, int] = field(default_factory=dict)
    waiting: int = 0
    stopped_by: str | None = None

    @property
    def is_complete(self) -> bool:
        """True if every file that was there is shipped now."""
        unfinished = sum(self.states.get(state, 0) for state in _UNFINISHED)
        figures = self.figures
        return not (figures.files_failed or figures.unreadable or self.waiting or unfinished)


class Daemon:
    """Ships one folder. One per folder: a second one finds the ledger locked.

    Args:
        settings: What, where from, where to.
        clock: Tells the time and waits.
        listener: Is told what happens.
        reload: Reads the settings again, for `reload`.
    """

    def __init__(
        self,
        settings: ShipSettings,
        *,
        clock: Clock | None = None,
        listener: ShipListener | None = None,
        reload: Callable[[], ShipSettings] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._listener = listener or NoListener()
        self._reload = reload
        self._context: ShipContext | None = None
        self._figures = FigureBook(self._clock.monotonic_s)
        self._early: list[tuple[str, ...]] = []

    @property
    def settings(self) -> ShipSettings:
        """What is in force; `reload` changes it."""
        return self._settings if self._context is None else self._context.settings

    def figures(self) -> ShipFigures:
        """How far it is. From any thread."""
        return self._figures.snapshot()

    def run(self, *, once: bool = False) -> ShipSummary:
        """Ship until `stop`; with `once`, until everything that is there is shipped or failed.

        Call it in the main thread: worker processes end with the thread that started them.

        Raises:
            ShipRunningError: Another process ships this folder.
            WatchedFolderError: The folder is not there (`once`).
            StoreError: The store refuses the bucket (`once`).
            LedgerError: Nothing can be recorded any more.
        """
        settings = self._settings
        if once and not settings.folder.is_dir():
            raise WatchedFolderError(f"the folder {settings.folder} is not there")
        ledger, is_new = open_ledger(settings, self._clock, self._listener)
        try:
            ledger.release_all()
            with closing(open_store(settings.store, clock=self._clock)) as store:
                return self._run(ledger, store, once=once, is_new=is_new)
        finally:
            self._context = None
            ledger.close()

    def stop(self, why: str = "stop") -> None:
        """End soon: tasks get `stop_grace_s`. A second call ends at once. From anywhere."""
        self._put(("stop", why))

    def reload(self) -> None:
        """Read the settings again and take over what a running daemon can. From anywhere."""
        self._put(("reload",))

    def _put(self, message: tuple[str, ...]) -> None:
        if self._context is None:
            self._early.append(message)
        else:
            self._context.inbox.put(message)

    def _run(self, ledger: Ledger, store: Store, *, once: bool, is_new: bool) -> ShipSummary:
        settings, clock = self._settings, self._clock
        context = ShipContext(settings, clock, ledger, self._listener, self._figures)
        size = worker_count(settings.workers, _available_bytes(), settings.worker_memory_bytes)
        crew, recovery = Crew(context, size), Recovery(context, store)
        keeper = ManifestKeeper(context)
        loop = ShipLoop(
            context, crew, recovery, keeper, once=once, is_new=is_new, reload=self._reload
        )
        move_left_behind(context)
        self._context = context
        for message in self._early:
            context.inbox.put(message)
        context.tell(EventKind.BEGUN, folder=str(settings.folder), workers=size)
        try:
            loop.run()
        finally:
            crew.close()
            recovery.stop(1.0)
        keeper.stop(MANIFEST_LAST_S if loop.stopped_by is None else MANIFEST_AT_STOP_S)
        summary = ShipSummary(
            self._figures.snapshot(), ledger.counts(), loop.left_waiting, loop.stopped_by
        )
        context.tell(EventKind.ENDED, stopped_by=loop.stopped_by)
        return summary


def _available_bytes() -> int | None:
    try:
        return available_memory_bytes(Path("/proc/meminfo").read_text(encoding="ascii"))
    except OSError:
        return None
