"""An ingestion, opened: discover, take batches, feed a sink, ask and correct.

>>> ingestion = open_ingestion(catalog, store, "photos")
>>> ingestion.discover()
>>> for batch in ingestion.batches():
...     with batch:                             # commits at the end of the block
...         for item in batch.items:
...             with batch.open(item) as body:  # exactly the version that was discovered
...                 ...
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from stocktake.catalog import Catalog, Feed, open_feed
from stocktake.errors import DiscoveryRunningError, InvalidSettingError, StocktakeError
from stocktake.events import EventQueue
from stocktake.ingest._batch import Batch
from stocktake.ingest._claiming import Claimer
from stocktake.ingest._corrections import (
    DeadItem,
    Range,
    dead_items,
    dead_seqs,
    given_out,
    newest_of_keys,
    open_seqs_of_key,
    reopen,
    rewound,
    skip_seqs,
)
from stocktake.ingest._discover import discover
from stocktake.ingest._discover_job import DiscoveryReport
from stocktake.ingest._explain import Explanation, explain_key
from stocktake.ingest._heartbeat import Heartbeat
from stocktake.ingest._ledger import Consumer
from stocktake.ingest._reading import VersionReader
from stocktake.ingest._registry import (
    IngestionRow,
    add_ingestion,
    begin_after,
    find_ingestion,
    set_paused,
)
from stocktake.ingest._run import IngestResult, Loader
from stocktake.ingest._sink import Sink
from stocktake.ingest._spec import IngestionSpec
from stocktake.ingest._status import IngestionStatus, status_of
from stocktake.listing import StrategyName
from stocktake.store import Store
from stocktake.telemetry import NoProgress, Progress

POLL_S = 30.0
_STEP_S = 0.2


class Ingestion:
    """One consumer of a feed. Safe to share between threads.

    Attributes:
        id: Its id.
        spec: What its creator decided.
        feed: What it reads.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: Store | None,
        row: IngestionRow,
        queue: EventQueue | None = None,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._queue = queue
        self.id = row.id
        self.spec = row.spec
        self.feed: Feed = open_feed(catalog, row.spec.source)
        self._consumer = Consumer(row.id, row.spec, catalog.state)
        self._claimer: Claimer | None = None
        self._lock = threading.Lock()

    def discover(
        self,
        *,
        audit: bool = False,
        accept_deletions: bool = False,
        progress: Progress = NoProgress(),
    ) -> DiscoveryReport:
        """Find out what is new, by the strategy of the ingestion; other consumers see it too.

        An ingestion with `include_existing=False` begins when its first discovery has ended: what
        the feed holds then was there before, and is not loaded.

        Args:
            audit: A full scan now, whatever the strategy.
            accept_deletions: Also a full scan that looks like a mass deletion.
            progress: Told what goes on.

        Raises:
            DiscoveryRunningError: Another process discovers this prefix.
            ConfirmationNeededError: It looks like a mass deletion, without `accept_deletions`.
            StocktakeError: What listing met.
        """
        report = discover(
            self._catalog,
            self._opened_store(),
            self.spec,
            audit=audit,
            accept_deletions=accept_deletions,
            queue=self._queue,
            progress=progress,
        )
        begin_after(self._consumer, self.feed)
        return report

    def next_batch(self, worker: str | None = None) -> Batch | None:
        """The next batch of objects; None if there is nothing to do now.

        Abandoned batches come first, whole and under their own token, then items whose next
        attempt is due, then what is new.
        """
        claimed = self._claims().next_claim(worker or _worker_name())
        if claimed is None:
            return None
        return Batch(self._consumer, claimed, VersionReader(self._store, self.feed.bucket))

    def batches(
        self,
        *,
        worker: str | None = None,
        follow: bool = False,
        stop: threading.Event | None = None,
        poll_s: float = POLL_S,
    ) -> Iterator[Batch]:
        """Batches until there are none; with `follow` it waits for more until `stop` is set.

        Leases are renewed by a thread as long as the generator is open. When it is closed, batches
        that are neither committed nor given back are given back. Discovers nothing.

        Args:
            worker: Who takes them, for people who look at the status.
            follow: Wait for more.
            stop: Ends the waiting, and the batches.
            poll_s: How often to look for more.
        """
        stop = stop or threading.Event()
        heartbeat = Heartbeat(self.spec.lease)
        open_batches: list[Batch] = []
        try:
            while not stop.is_set():
                batch = self.next_batch(worker)
                if batch is not None:
                    open_batches = [b for b in open_batches if b.outcome is None]
                    open_batches.append(batch)
                    heartbeat.add(batch)
                    yield batch
                    heartbeat.drop_finished()
                elif not follow:
                    return
                else:
                    self._wait(stop, poll_s)
        finally:
            heartbeat.stop()
            for batch in open_batches:
                batch.release()

    def run(
        self,
        sink: Sink,
        *,
        workers: int = 1,
        discover_first: bool = True,
        full_refresh: bool = False,
        follow: bool = False,
        stop: threading.Event | None = None,
        poll_s: float = POLL_S,
        progress: Progress = NoProgress(),
    ) -> IngestResult:
        """Discover, and load into a sink until there is nothing left to do.

        A discovery that somebody else makes at the moment is not waited for. A batch that was
        abandoned is loaded only if the sink does not hold its token. A batch that fails as a whole
        comes again later and does not stop the others. A sink, store or database that is away
        does, except with `follow`, which goes on when it is back.

        Args:
            sink: Where batches go. It is not closed.
            workers: Threads of this process. Others may run elsewhere at the same time.
            discover_first: Discover before loading; with `follow` before every round.
            full_refresh: First a full scan, then everything there is once more, also what the
                `since` of incremental_time holds back. Only this object lifts `since`: run no
                other worker meanwhile.
            follow: Go on until `stop` is set.
            stop: When it is set, batches under way are finished and no more are taken.
            poll_s: With `follow`: how often to discover.
            progress: Told of every batch.

        Raises:
            StocktakeError: The sink, the store or the database is away; nothing is lost.
        """
        if workers < 1:
            raise InvalidSettingError(f"{workers} workers cannot load anything")
        stop = stop or threading.Event()
        loader = Loader(self.next_batch, sink, Heartbeat(self.spec.lease), stop, progress=progress)
        progress.phase("loading", None, "objects")
        try:
            if full_refresh:
                loader.result.discovered(self._refresh(progress))
            skipped = self._claims().skipped_files
            due = discover_first and not full_refresh
            while True:
                self._round(loader, workers, discover_first=due, keep_on=follow)
                due = discover_first
                if not follow or stop.is_set():
                    break
                self._wait(stop, poll_s)
        finally:
            loader.heartbeat.stop()
        loader.result.skipped = self._claims().skipped_files - skipped
        loader.result.stopped = stop.is_set()
        return loader.result

    def _round(self, loader: Loader, workers: int, *, discover_first: bool, keep_on: bool) -> None:
        """Discover and load until nothing is left; `keep_on` when something is away for now."""
        try:
            if discover_first:
                loader.result.discovered(self._discovered(loader.progress))
            loader.drain(_worker_name(), workers)
        except StocktakeError as error:
            if not (keep_on and error.retryable):
                raise
            loader.result.errors.append(error.message)
            loader.progress.note(f"waiting: {error.message}")

    def pause(self) -> None:
        """Hand out no more batches, here or elsewhere, until `resume`."""
        set_paused(self._consumer, paused=True)

    def resume(self) -> None:
        """Hand out batches again."""
        set_paused(self._consumer, paused=False)

    def status(self) -> IngestionStatus:
        """What is left, in flight and wrong. Reads what is outstanding, up to 200,000 changes."""
        return status_of(self._consumer, self.feed, self._claim())

    def explain(self, key: str) -> Explanation:
        """Why this key was loaded or not: who saw it, which rule, attempts, state, batch.

        Raises:
            ItemNotFoundError: It was never seen; the hint says more.
        """
        return explain_key(self._consumer, self.feed, key, self._claim())

    def dead(self, limit: int | None = None) -> list[DeadItem]:
        """What failed for the last time, in order of number."""
        return dead_items(self._consumer, limit)

    def replay(
        self,
        *,
        dead: bool = False,
        keys: Iterable[str] = (),
        seqs: Iterable[int] = (),
        prefix: str | None = None,
    ) -> int:
        """Load again; how many objects were taken back.

        They come in new batches with new tokens. Filters and overwrite policy hold for them, and an
        object that was replaced since is superseded. Batches in flight are not touched.

        Args:
            dead: Everything dead; with `prefix` only below it.
            keys: The newest change of each of these keys.
            seqs: These numbers.
            prefix: Without `dead`: everything settled below it.

        Raises:
            ItemNotFoundError: A key was never seen, or a number never given out.
            InvalidSettingError: Nothing was named.
        """
        chosen = newest_of_keys(self.feed, keys) | given_out(self.feed, seqs)
        if dead:
            chosen |= dead_seqs(self._consumer, prefix or "")
        elif prefix is not None:
            chosen |= rewound(self.feed, Range(prefix=prefix))
        elif not chosen:
            raise InvalidSettingError("a replay needs to know of what", hint="name dead, keys, ...")
        return reopen(self._consumer, chosen, "replayed")

    def rewind(
        self, *, seq: int | None = None, time: datetime | None = None, prefix: str | None = None
    ) -> int:
        """Load again everything from a number or a time of discovery on, or below a prefix.

        Conditions that are given together must all hold. How many objects were taken back. As with
        `replay`, what is in flight is not touched, and sinks see new tokens.

        Raises:
            InvalidSettingError: No condition.
        """
        return reopen(self._consumer, rewound(self.feed, Range(seq, time, prefix)), "rewound")

    def skip(self, *, keys: Iterable[str] = (), seqs: Iterable[int] = (), reason: str) -> int:
        """Never load these: all changes of the keys so far, and these numbers; how many were open.

        Raises:
            ItemNotFoundError: A key was never seen, or a number never given out.
            IngestError: A worker has one of them in its hands.
        """
        chosen = {*seqs, *(seq for key in keys for seq in open_seqs_of_key(self.feed, key))}
        return skip_seqs(self._consumer, self.feed, sorted(chosen), reason)

    def _claim(self) -> str:
        claim = self.feed.claim()
        every = self.spec.audit_every
        if every is None or claim.complete_through is None:
            return claim.sentence()
        return claim.sentence(claim.complete_through + every)

    def _discovered(self, progress: Progress) -> DiscoveryReport | None:
        try:
            return self.discover(progress=progress)
        except DiscoveryRunningError as error:
            progress.note(f"not discovering: {error.message}")
            return None

    def _refresh(self, progress: Progress) -> DiscoveryReport:
        """Forget what was settled, and the `since` of the strategy, after a full scan."""
        report = self.discover(audit=True, progress=progress)
        if self.spec.strategy is StrategyName.INCREMENTAL_TIME:
            settings = {**self.spec.strategy_settings, "full_refresh": True}
            self.spec = replace(self.spec, strategy_settings=settings)
            self._consumer = replace(self._consumer, spec=self.spec)
            with self._lock:
                self._claimer = None
        self.rewind(seq=1)
        return report

    def _claims(self) -> Claimer:
        with self._lock:
            if self._claimer is None:
                self._claimer = Claimer(self._consumer, self.feed)
            return self._claimer

    def _opened_store(self) -> Store:
        if self._store is None:
            raise InvalidSettingError("an ingestion that discovers must be opened with a store")
        return self._store

    def _wait(self, stop: threading.Event, poll_s: float) -> None:
        """Sleep until there may be more, in steps so short that a stop is noticed."""
        clock = self._catalog.clock
        next_at = self._claims().next_at()
        left_s = poll_s
        if next_at is not None:
            left_s = min(poll_s, max(0.05, (next_at - clock.now()).total_seconds()))
        while left_s > 0 and not stop.is_set():
            clock.sleep(min(left_s, _STEP_S))
            left_s -= _STEP_S


def create_ingestion(
    catalog: Catalog, spec: IngestionSpec, store: Store | None = None
) -> Ingestion:
    """A new ingestion, and the feed of its prefix if nobody discovered there before.

    Raises:
        InvalidSettingError: The specification cannot work.
        IngestionExistsError: The name is taken.
    """
    feed = open_feed(catalog, spec.source)
    return Ingestion(catalog, store, add_ingestion(catalog, spec, feed.id))


def open_ingestion(
    catalog: Catalog, store: Store | None, name: str, *, queue: EventQueue | None = None
) -> Ingestion:
    """The ingestion of that name. Without a store it answers questions but reads no objects.

    Args:
        catalog: Where it was made.
        store: Where the bucket is.
        name: Its name.
        queue: Where `event_driven` finds its events; None opens the queue that the settings name
            with the identity of the environment.

    Raises:
        IngestionNotFoundError: There is none.
    """
    return Ingestion(catalog, store, find_ingestion(catalog, name), queue)


def _worker_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"
