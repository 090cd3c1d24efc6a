"""Uploads that a killed daemon or a dead worker left open: ended before anything new begins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

from stocktake.errors import StocktakeError
from stocktake.manifests import SegmentLog, manifest_prefix
from stocktake.ship._daemon_context import ShipContext
from stocktake.ship._daemon_profile import upload_profile
from stocktake.ship._daemon_start import rebuild_ended
from stocktake.ship._ledger import Ledger
from stocktake.ship._ledger_rows import OpenUpload
from stocktake.ship._rebuild import rebuild_ledger
from stocktake.ship._records import ObjectResult, UploadStep
from stocktake.ship._recover import recover_uploads
from stocktake.ship._schedule import Task
from stocktake.store import Store


class OpenUploadsOf:
    """A ledger that knows of the open uploads of some sources only: the others are being made."""

    def __init__(self, ledger: Ledger, source_ids: Collection[int]) -> None:
        self._ledger = ledger
        self._source_ids = source_ids

    def open_uploads(self) -> list[OpenUpload]:
        """Those of these sources."""
        return [u for u in self._ledger.open_uploads() if u.source_id in self._source_ids]

    def record(self, step: UploadStep) -> None:
        """As the ledger does."""
        self._ledger.record(step)

    def complete(self, results: Sequence[ObjectResult]) -> None:
        """As the ledger does."""
        self._ledger.complete(results)


class Recovery:
    """Talks to the store in threads of its own, until it has answered.

    Tells the daemon's inbox `rebuilt` (report), `prepared` (profile, report), `cleared` (task)
    and, with each failure, `not-ready` (error).
    """

    def __init__(self, context: ShipContext, store: Store) -> None:
        self._context = context
        self._store = store
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._rebuild = False

    def prepare(self, *, rebuild: bool) -> None:
        """Fill a new ledger, find out what the store can, end what the last process left open."""
        self._rebuild = rebuild
        self._start(self._prepare_once)

    def clear(self, task: Task) -> None:
        """A worker died at this task: end the uploads that it had open."""
        self._start(lambda: self._clear_once(task))

    def stop(self, timeout_s: float) -> None:
        """Give up; the next start finds the same."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout_s)

    def _start(self, attempt: Callable[[], tuple[Any, ...]]) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(
            target=self._until_done, args=[attempt], name="ship-recovery", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _until_done(self, attempt: Callable[[], tuple[Any, ...]]) -> None:
        tries = 0
        try:
            while not self._stopped.is_set():
                try:
                    done = attempt()
                except StocktakeError as error:
                    done = None
                    self._context.inbox.put(("not-ready", error))
                if done is not None:
                    self._context.inbox.put(done)
                    return
                tries += 1
                self._stopped.wait(0.2 + self._context.backoff_s(tries))
        except Exception as error:  # noqa: BLE001
            # boundary: a thread that nobody waits for; the daemon ends with this error
            self._context.inbox.put(("broken", error))

    def _prepare_once(self) -> tuple[Any, ...]:
        settings = self._context.settings
        if self._rebuild:
            self._fill_ledger()
        context = self._context
        profile = upload_profile(self._store, settings, context.clock, context.ledger.ship_id)
        report = recover_uploads(context.ledger, self._store, settings, clock=context.clock)
        prefix = manifest_prefix(settings.prefix, settings.dataset)
        log = SegmentLog(self._store, settings.bucket, prefix, checksum=profile.crc64nvme)
        return "prepared", profile, report, log

    def _fill_ledger(self) -> None:
        context = self._context
        report = rebuild_ledger(context.ledger, self._store, context.settings)
        rebuild_ended(context.settings)
        self._rebuild = False
        context.inbox.put(("rebuilt", report))

    def _clear_once(self, task: Task) -> tuple[Any, ...]:
        context = self._context
        mine = OpenUploadsOf(context.ledger, set(task.open))
        recover_uploads(mine, self._store, context.settings, clock=context.clock)
        return "cleared", task
