"""One run's hand on a feed: what it saw becomes numbered changes, exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._feed_append import Append, NewBase, append
from stocktake.catalog._feed_event_rows import changes_of_events, event_rows, known_facts
from stocktake.catalog._feed_events import Fact, fact_of
from stocktake.catalog._feed_known import (
    CLOCK_SKEW,
    REPORT_MARGIN,
    Knowledge,
    read_cursor,
    use_knowledge,
)
from stocktake.catalog._feed_lease import FeedLease
from stocktake.catalog._feed_passed import pack_cursor
from stocktake.catalog._feed_segments import (
    FEEDS_FOLDER,
    SEGMENT,
    RowFile,
    carried_rows,
    segment_rows,
)
from stocktake.catalog._feed_sight import (
    Look,
    Sight,
    aware_rows,
    change_between,
    fact_of_head,
    known_rows,
    look_at,
    net_rows,
    seen_fact,
)
from stocktake.catalog._feed_tally import Tally
from stocktake.catalog._guard import check_feed_deletions
from stocktake.catalog._renewal import LostLease
from stocktake.catalog._snapshot_uses import use_snapshot
from stocktake.catalog._snapshots import Snapshot, describe_snapshot
from stocktake.catalog.engines._protocol import KNOWN, Witness
from stocktake.errors import CoverageMismatchError
from stocktake.events import ObjectEvent, drop_held
from stocktake.faults import reached
from stocktake.listing import ListingMetrics
from stocktake.model import S3Url, SourceKind


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What an absorption came to.

    Attributes:
        run_id: The run.
        first_seq: Number of the first change; None without changes.
        last_seq: Number of the last one.
        new: Keys that were not there before.
        modified: Keys with another object than before.
        deleted: Keys that are gone.
        late: Of the new and modified: those that a partial strategy had passed by.
        missed: The same by strategy.
    """

    run_id: str
    first_seq: int | None
    last_seq: int | None
    new: int = 0
    modified: int = 0
    deleted: int = 0
    late: int = 0
    missed: dict[str, int] = field(default_factory=dict)


class FeedWriter:
    """Appends to a feed while its lease is held; made by `Feed.discovering`.

    Attributes:
        run_id: Of this run.
        started_at: When it began.
    """

    def __init__(self, catalog: Catalog, source: S3Url, lease: FeedLease, lost: LostLease) -> None:
        self._catalog = catalog
        self._source = source
        self._lease = lease
        self._lost = lost
        self._files = 0
        self._began_s = catalog.clock.monotonic_s()
        self.run_id = lease.run_id
        self.started_at = lease.started_at

    @property
    def cursor(self) -> dict[str, Any]:
        """What the last committed run of this strategy left; empty at first."""
        return read_cursor(self._catalog, self._lease.feed_id, self._lease.strategy)

    def absorb(
        self,
        batches: Iterable[pa.RecordBatch],
        *,
        cursor: dict[str, Any] | Callable[[], dict[str, Any]],
        metrics: ListingMetrics,
        fresh_to: datetime | None = None,
        passed: Callable[[], Iterable[tuple[str, datetime]]] | None = None,
    ) -> Absorbed:
        """Append what a partial strategy saw and nobody had seen before; never a deletion.

        Args:
            batches: Current objects (the object record), any order. Of a key that comes twice the
                last one counts; keys outside the prefix do not.
            cursor: Where the strategy goes on from, kept in the same transaction; or what gives it,
                asked when `batches` has ended.
            metrics: Of the run; what was found is filled in.
            fresh_to: The newest instant that the observations speak of; default the run's start.
            passed: Gives the keys that the strategy has passed (`StrategyRun.passed`): audits
                measure by them how late an object came.

        Memory: the observations spill to disk; one range of the base.
        """
        watch = _Watch(self._catalog, batches)
        with use_knowledge(self._catalog, self._lease.feed_id) as known:
            tally = Tally()
            with self._new_file(SEGMENT) as file:
                for net in self._catalog.engine.observe(known.objects, watch):
                    self._add(file, net, tally, self.started_at)
        metrics.new = metrics.changed = 0  # a strategy counts what is new to itself
        change = Append(
            file.path,
            file.rows,
            self._measured(metrics, tally, watch.ended_s),
            cursor=pack_cursor(
                cursor() if callable(cursor) else cursor, passed() if passed else ()
            ),
            fresh_to=fresh_to or self.started_at,
        )
        return self._append(change, tally)

    def absorb_snapshot(
        self,
        snapshot: Snapshot,
        *,
        started_at: datetime,
        proves_complete: bool,
        metrics: ListingMetrics,
        look: Look | None = None,
        accept_deletions: bool = False,
        cursor: dict[str, Any] | None = None,
    ) -> Absorbed:
        """Append all that a snapshot says otherwise; it becomes the base of what is known.

        What was learnt after a listing began, or after a report's stamp, is newer than it and
        stays. A report that is older than the base changes nothing.

        Args:
            snapshot: A listing or report that covers the feed's prefix.
            started_at: When its listing began, or the report's stamp.
            proves_complete: True for a finished listing of a consistent store: the claim moves to
                `started_at`. A report never proves it.
            metrics: Of the run; what was found is added.
            look: Asks the store about keys that only it can decide.
            accept_deletions: Also a mass deletion.
            cursor: Of the strategy, kept in the same transaction; for `incremental_time` with its
                `watermark`.

        Raises:
            CoverageMismatchError: It does not cover the prefix.
            ConfirmationNeededError: It looks like a mass deletion.
            DiscoveryError: Keys must be looked at, and `look` is not given.
        """
        self._check_covers(snapshot)
        started_s = self._catalog.clock.monotonic_s()
        with (
            use_snapshot(self._catalog, snapshot),
            use_knowledge(self._catalog, self._lease.feed_id) as known,
        ):
            if known.base is not None and started_at < known.base.as_of:
                return self._append(Append(None, 0, metrics), Tally())
            tally = Tally(known.passed if proves_complete else {})
            with self._new_file(SEGMENT) as file, self._new_file(KNOWN) as carried:
                doubtful: list[pa.RecordBatch] = []
                witness = self._witness(snapshot, started_at)
                for net in self._catalog.engine.rescan(known.objects, snapshot.view, witness):
                    kept = pc.equal(net.column("verdict"), "carried")
                    carried.add(carried_rows(net.filter(kept), known.objects.base_seen))
                    unsure = pc.equal(net.column("verdict"), "doubtful")
                    doubtful.append(net.filter(unsure))
                    rest = pc.invert(pc.or_(kept, unsure))
                    self._add(file, net.filter(rest), tally, started_at)
                self._settle_doubts(doubtful, known, look, (file, carried, tally, metrics))
                if not accept_deletions:
                    check_feed_deletions(str(self._source), snapshot.objects, tally.kinds)
        proven = proves_complete and snapshot.kind != SourceKind.AWS_INVENTORY
        change = Append(
            file.path,
            file.rows,
            self._measured(metrics, tally, started_s),
            cursor=None if cursor is None else pack_cursor(cursor, ()),
            fresh_to=started_at,
            base=NewBase(snapshot, carried.path, started_at if proven else None),
            missed=tally.missed,
        )
        return self._append(change, tally)

    def absorb_events(
        self,
        events: Iterable[ObjectEvent],
        *,
        metrics: ListingMetrics,
        look: Look | None = None,
        cursor: dict[str, Any] | None = None,
    ) -> Absorbed:
        """Append what events tell and nobody had seen before; they are taken from hold with it.

        Args:
            events: Events on hold below the prefix, those of one key from old to new and together;
                about 10,000 at a time. Others are left alone.
            metrics: Of the run; what was found is added.
            look: Asks the store about keys whose events do not say what is there.
            cursor: Of the receiver, kept in the same transaction; None leaves it.

        Raises:
            DiscoveryError: Keys must be looked at, and `look` is not given.
        """
        started_s = self._catalog.clock.monotonic_s()
        taken = [event for event in events if self._is_ours(event)]
        by_key: dict[str, list[ObjectEvent]] = {}
        for event in taken:
            by_key.setdefault(event.key, []).append(event)
        with use_knowledge(self._catalog, self._lease.feed_id) as known:
            facts = known_facts(self._catalog, known, by_key)
        changes = changes_of_events(
            facts, by_key, self._counted(look, metrics), self._catalog.clock
        )
        tally = Tally()
        with self._new_file(SEGMENT) as file:
            for change in changes:
                tally.kinds[change.kind] += 1
            now = self._catalog.clock.now()
            file.add(event_rows(changes, self._lease.strategy.value, self.run_id, now))
        happened = [event.occurred_at for event in taken if event.occurred_at is not None]
        return self._append(
            Append(
                file.path,
                file.rows,
                self._measured(metrics, tally, started_s),
                cursor=pack_cursor(self.cursor if cursor is None else cursor, ()),
                fresh_to=min(max(happened), self._catalog.clock.now()) if happened else None,
                settle=lambda connection: drop_held(connection, taken),
            ),
            tally,
        )

    def _settle_doubts(
        self,
        doubtful: list[pa.RecordBatch],
        known: Knowledge,
        look: Look | None,
        into: tuple[RowFile, RowFile, Tally, ListingMetrics],
    ) -> None:
        """Ask the store about the keys of which the snapshot or what is known may be right."""
        file, carried, tally, metrics = into
        rows = [row for batch in doubtful for row in aware_rows(batch)]
        at = self._catalog.clock.now()
        found = look_at(self._counted(look, metrics), [row["key"] for row in rows])
        changed, kept = [], []
        for row in rows:
            key = row["key"]
            now = fact_of_head(found[key], at)
            verdict = change_between(fact_of(row, Fact(present=False)), now)
            if verdict is not None:
                changed.append((key, verdict, found[key]))
            if change_between(seen_fact(row), now) is not None:
                kept.append((key, found[key]))
        self._add(file, net_rows(changed), tally, at)
        carried.add(known_rows(kept, at))

    def _add(self, file: RowFile, net: pa.RecordBatch, tally: Tally, observed_at: datetime) -> None:
        self._lost.check()
        late = tally.add(net)
        file.add(
            segment_rows(
                net,
                origin=self._lease.strategy.value,
                run_id=self.run_id,
                observed_at=observed_at,
                seen_to=self._catalog.clock.now(),
                late=late,
            )
        )

    def _append(self, change: Append, tally: Tally) -> Absorbed:
        reached("feed.segment-written")
        self._lost.check()
        numbers = append(self._catalog, self._lease, change)
        first, last = numbers or (None, None)
        return Absorbed(
            self.run_id, first, last, **tally.kinds, late=tally.late, missed=tally.missed
        )

    def _measured(self, metrics: ListingMetrics, tally: Tally, started_s: float) -> ListingMetrics:
        now_s = self._catalog.clock.monotonic_s()
        metrics.new += tally.kinds["new"]
        metrics.changed += tally.kinds["modified"]
        metrics.deleted += tally.kinds["deleted"]
        metrics.late += tally.late
        if tally.lateness is not None:
            metrics.lateness_max_s = max(
                metrics.lateness_max_s or 0.0, tally.lateness.total_seconds()
            )
        metrics.diff_s += now_s - started_s
        metrics.wall_s = now_s - self._began_s
        return metrics

    def _witness(self, snapshot: Snapshot, started_at: datetime) -> Witness:
        report = snapshot.kind == SourceKind.AWS_INVENTORY
        return Witness(
            started_at,
            max(snapshot.published_at, started_at),
            CLOCK_SKEW,
            REPORT_MARGIN if report else None,
        )

    def _check_covers(self, snapshot: Snapshot) -> None:
        prefix = snapshot.coverage.prefix
        if snapshot.bucket == self._source.bucket and self._source.key.startswith(prefix or ""):
            return
        raise CoverageMismatchError(
            f"{describe_snapshot(snapshot)} does not cover {self._source}",
            hint="list the prefix itself: stocktake scan",
        )

    def _is_ours(self, event: ObjectEvent) -> bool:
        return event.bucket == self._source.bucket and event.key.startswith(self._source.key)

    def _counted(self, look: Look | None, metrics: ListingMetrics) -> Look | None:
        """The same look, its requests counted."""
        if look is None:
            return None

        def counted(keys: Sequence[str]) -> Iterable[Sight]:
            metrics.calls["head"] = metrics.calls.get("head", 0) + len(keys)
            return look(keys)

        return counted

    def _new_file(self, schema: pa.Schema) -> RowFile:
        self._files += 1
        name = f"{self.run_id}-{self._files}.parquet"
        return RowFile(self._catalog, f"{FEEDS_FOLDER}/{self._lease.feed_id}/{name}", schema)


class _Watch:
    """Batches on their way; remembers when they ended."""

    def __init__(self, catalog: Catalog, batches: Iterable[pa.RecordBatch]) -> None:
        self._clock = catalog.clock
        self._batches = batches
        self.ended_s = self._clock.monotonic_s()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from self._batches
        self.ended_s = self._clock.monotonic_s()
