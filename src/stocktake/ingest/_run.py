"""The loop that feeds a sink: recover what has landed, claim, load, commit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any

from pyroaring import BitMap64

from stocktake.errors import IngestError, LeaseLostError, SinkError, StocktakeError
from stocktake.faults import reached
from stocktake.ingest._batch import Batch
from stocktake.ingest._discover_job import DiscoveryReport
from stocktake.ingest._heartbeat import Heartbeat
from stocktake.ingest._settling import Outcome
from stocktake.ingest._sink import Landed, Sink
from stocktake.ingest._spec import ItemState
from stocktake.telemetry import NoProgress, Progress

_SILENT_MAX = 10
"""So many workers may fall silent with a batch, for whatever reason, before it is given up."""


@dataclass(slots=True)
class IngestResult:
    """What a run did.

    Attributes:
        files: Objects loaded and committed.
        size_bytes: Their bytes.
        batches: Batches committed.
        recovered: Objects of batches that the sink held already: settled, not loaded again.
        skipped: Objects that the filters or the policy left out.
        failed: Failures that will be tried again.
        dead: Objects that failed for the last time.
        superseded: Objects that were replaced before they were read.
        vanished: Objects that were gone before they were read.
        lost: Batches that another worker took over.
        errors: Why batches failed as a whole; they come again later, or are dead.
        stopped: True if it ended because it was told to.
        report: The newest discovery of the run; None if it made none.
    """

    files: int = 0
    size_bytes: int = 0
    batches: int = 0
    recovered: int = 0
    skipped: int = 0
    failed: int = 0
    dead: int = 0
    superseded: int = 0
    vanished: int = 0
    lost: int = 0
    errors: list[str] = field(default_factory=list)
    stopped: bool = False
    report: DiscoveryReport | None = None

    def discovered(self, report: DiscoveryReport | None) -> None:
        """Remember the newest discovery; None leaves the one before."""
        self.report = report or self.report

    def count(self, outcome: Outcome, *, recovered: bool) -> None:
        """Add what came of a batch."""
        self.batches += bool(outcome.done)
        if recovered:
            self.recovered += len(outcome.done)
        else:
            self.files += len(outcome.done)
            self.size_bytes += outcome.size_bytes
        self.failed += outcome.count(ItemState.RETRY)
        self.dead += outcome.count(ItemState.DEAD)
        self.superseded += outcome.count(ItemState.SUPERSEDED)
        self.vanished += outcome.count(ItemState.VANISHED)

    def to_dict(self) -> dict[str, Any]:
        """Every count by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return values | {"report": None if self.report is None else self.report.to_dict()}


@dataclass(slots=True)
class Loader:
    """Loads batches into a sink with several threads until there are none.

    Attributes:
        next_batch: The next batch for that worker; None if there is nothing to do now.
        sink: Where they go.
        heartbeat: Keeps leases alive.
        stop: Set to end after the batches that are under way.
        progress: Told of every batch.
    """

    next_batch: Callable[[str], Batch | None]
    sink: Sink
    heartbeat: Heartbeat
    stop: threading.Event
    progress: Progress = field(default_factory=NoProgress)
    result: IngestResult = field(default_factory=IngestResult)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _failed: threading.Event = field(default_factory=threading.Event)

    def drain(self, worker: str, workers: int) -> None:
        """Load until nobody finds a batch. The first failure stops all of them and is raised.

        Raises:
            SinkError: The sink did not take a batch, which is given back under its token.
            StocktakeError: Whatever else the sink or the database met.
        """
        self._failed.clear()
        if workers == 1:
            self._work(worker)
            return
        with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="ingest") as pool:
            jobs = [pool.submit(self._guarded, f"{worker}-{n}") for n in range(1, workers + 1)]
        for job in jobs:
            job.result()

    def _guarded(self, worker: str) -> None:
        try:
            self._work(worker)
        except BaseException:
            self._failed.set()
            raise

    def _work(self, worker: str) -> None:
        while not (self.stop.is_set() or self._failed.is_set()):
            batch = self.next_batch(worker)
            if batch is None:
                return
            try:
                with self.heartbeat.keeping(batch):
                    outcome, recovered = self._settle(batch)
            except LeaseLostError:
                with self._lock:
                    self.result.lost += 1
                continue
            with self._lock:
                self.result.count(outcome, recovered=recovered)
            self.progress.advance(len(outcome.done))

    def _settle(self, batch: Batch) -> tuple[Outcome, bool]:
        try:
            return self._load(batch)
        except LeaseLostError:
            raise
        except Exception as error:  # boundary: what a sink raises is the failure of its batch
            if isinstance(error, StocktakeError) and error.retryable:
                # the sink, the store or the database is away: no fault of this batch
                batch.release()
                raise
            return self._failed_load(batch, error)
        except BaseException:
            batch.release()
            raise

    def _failed_load(self, batch: Batch, error: Exception) -> tuple[Outcome, bool]:
        """The batch comes again later, unless the sink holds it although it complained."""
        held = self._held(batch) if self.sink.keeps_tokens else None
        if held is not None:
            return batch.commit(held.seqs), False
        return self._postponed(batch, error), False

    def _held(self, batch: Batch) -> Landed | None:
        return self.sink.landed(batch.consumer, [batch.token]).get(batch.token)

    def _load(self, batch: Batch) -> tuple[Outcome, bool]:
        """Load a batch unless the sink holds it already. True: it did."""
        asks = batch.is_repeated and self.sink.keeps_tokens
        held = self._held(batch) if asks else None
        if held is not None:
            return batch.commit(held.seqs, recovered=True), True
        if batch.attempt > max(batch.attempts_max, _SILENT_MAX):
            # it may be what kills its workers: the others cannot wait for it for ever
            silent = IngestError(f"{batch.attempt - 1} workers fell silent with the batch")
            return self._postponed(batch, silent), False
        self.sink.load(batch)
        reached("ingest.loaded")
        if not asks:
            return batch.commit(), False
        # the worker that held it before may have loaded it in this very moment, and without what
        # failed there: then our load changed nothing, and only the sink knows what it holds
        held = self._held(batch)
        if held is not None:
            return batch.commit(held.seqs), False
        if batch.items:
            raise SinkError(
                f"the sink does not know the batch `{batch.token}` that it has just loaded",
                token=batch.token,
            )
        # nothing could be loaded, so the token is not taken: what failed must stay under it as long
        # as the worker before may still load it
        return self._postponed(batch, IngestError("nothing of the batch could be loaded")), False

    def _postponed(self, batch: Batch, error: Exception) -> Outcome:
        batch.postpone(error)
        with self._lock:
            self.result.errors.append(f"{batch.token}: {_said(error)}")
        return batch.outcome or Outcome(BitMap64())


def _said(error: Exception) -> str:
    return (
        error.message if isinstance(error, StocktakeError) else f"{type(error).__name__}: {error}"
    )
