"""A listing as the source of a snapshot, in parts, so that a killed scan goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from stocktake.clock import Clock, SystemClock, format_utc
from stocktake.listing._choose_lister import choose_lister
from stocktake.listing._lister import Lister, listed_columns
from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._shared_listing import SharedListing
from stocktake.listing._slots import SLOT_ROWS, SLOTS, KeyBounds, stretches
from stocktake.model import (
    Block,
    Coverage,
    PartRef,
    PartTally,
    S3Url,
    SourceHeader,
    SourceKind,
)
from stocktake.store import Store, listed_schema

_PARTS_READ = "parts_read"


@dataclass(frozen=True, slots=True)
class InterruptedScan:
    """A scan that did not come to its end.

    Attributes:
        identity: Of its source.
        as_of: The instant before its first request: what it proves does not get newer by going on.
        finished: Its finished parts: index -> smallest and greatest key, None without rows.
    """

    identity: str
    as_of: datetime
    finished: Mapping[int, KeyBounds | None] = field(default_factory=dict)


class ListSource:
    """A `SnapshotSource`: everything below an address, listed once while its parts are read.

    It speaks of the instant it was made, before its first request: an object that was there then
    and still is when its page is read is in the listing. Objects written later may be in it too.
    When each part was read is in `header.attrs["parts_read"]`: part -> [not before, not after].

    All parts come from one listing: read them in the order of their index, several at a time if you
    like; a part that is read much later than the next one waits in memory. The unit of resume is a
    part (see `_slots`). Memory: that of the lister and up to 100,000 rows for each reader.
    """

    def __init__(
        self,
        store: Store,
        source: S3Url,
        *,
        versions: bool = False,
        clock: Clock | None = None,
        lister: Lister | None = None,
        interrupted: InterruptedScan | None = None,
        part_rows: int = SLOT_ROWS,
    ) -> None:
        """Take note of the instant; nothing is requested yet.

        Args:
            store: Where the bucket is.
            source: Bucket and prefix.
            versions: Also noncurrent versions and delete markers.
            clock: For the instant, and when parts were read.
            lister: How to list; None chooses by the name of the bucket.
            interrupted: The scan to go on with.
            part_rows: Rows of the first parts.
        """
        self._store = store
        self._source = source
        self._versions = versions
        self._clock = clock or SystemClock()
        self._lister = lister or choose_lister(store, source.bucket, clock=self._clock)
        self._interrupted = interrupted
        self._part_rows = part_rows
        self._began_at = self._clock.now()
        self._header = self._make_header()
        self._shared: SharedListing | None = None

    @property
    def header(self) -> SourceHeader:
        """What the listing says about itself; its identity is new with every `ListSource`."""
        return self._header

    @property
    def metrics(self) -> ListingMetrics:
        """What listing cost; complete once every part was read."""
        return self._lister.metrics

    def resume(self, interrupted: InterruptedScan) -> ListSource:
        """The same, going on with an interrupted scan: its identity, its instant, its parts."""
        return ListSource(
            self._store,
            self._source,
            versions=self._versions,
            clock=self._clock,
            lister=self._lister,
            interrupted=interrupted,
            part_rows=self._part_rows,
        )

    def parts(self) -> Sequence[PartRef]:
        """One part for a small bucket, else all slots, of which the last ones may stay empty.

        To know which, the rows of the first part are listed; they are kept for `read`.
        """
        shared = self._listing()
        count = 1 if self._interrupted is None and shared.fits_one_slot() else SLOTS
        return [PartRef(index, f"{self._source} #{index}", 0, "") for index in range(count)]

    def read(self, part: PartRef, tally: PartTally) -> Iterator[Block]:
        """The rows of one part, in key order. Reading it again lists it again."""
        empty = pa.RecordBatch.from_arrays(
            [pa.array([], kind.type) for kind in listed_schema(versions=self._versions)],
            schema=listed_schema(versions=self._versions),
        )
        for batch in self._listing().read(part.index):
            tally.rows += batch.num_rows if batch is not None else 0
            yield Block(empty if batch is None else batch)
        period = [format_utc(self._began_at), format_utc(self._clock.now())]
        self._header.attrs[_PARTS_READ][str(part.index)] = period

    def recheck(self, found: PartTally | None = None) -> None:
        """Nothing to check: a listing does not change after it was read."""

    def close(self) -> None:
        """Send no more requests."""
        if self._shared is not None:
            self._shared.close()

    def _listing(self) -> SharedListing:
        if self._shared is None:
            finished = self._interrupted.finished if self._interrupted else {}
            self._shared = SharedListing(
                lambda span: self._lister.list_objects(
                    self._store, self._source, versions=self._versions, span=span
                ),
                stretches(finished),
                self._part_rows,
            )
        return self._shared

    def _make_header(self) -> SourceHeader:
        source, interrupted = self._source, self._interrupted
        as_of = interrupted.as_of if interrupted else self._began_at
        name = f"{source} {self._versions} {format_utc(as_of)}"
        identity = "list-" + hashlib.sha256(name.encode()).hexdigest()[:32]
        periods: dict[str, list[str]] = {}
        if interrupted:
            earlier = [format_utc(as_of), format_utc(self._began_at)]
            periods = {str(index): earlier for index in interrupted.finished}
        return SourceHeader(
            kind=SourceKind.LIST,
            bucket=source.bucket,
            config_id=f"list:{source.key}" if source.key else "list",
            as_of=as_of,
            identity=interrupted.identity if interrupted else identity,
            location=str(source),
            columns=listed_columns(versions=self._versions),
            coverage=Coverage(prefix=source.key, versions="all" if self._versions else "current"),
            attrs={_PARTS_READ: periods},
        )
