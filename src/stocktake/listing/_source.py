"""A listing as the source of a snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from stocktake.clock import Clock, SystemClock, format_utc
from stocktake.listing._lister import Lister, PagedLister, listed_columns
from stocktake.model import (
    Block,
    Coverage,
    PartRef,
    PartTally,
    S3Url,
    SourceHeader,
    SourceKind,
)
from stocktake.store import Store


class ListSource:
    """A `SnapshotSource` of one part: everything below an address, listed when it is read.

    It speaks of the instant it was made, before its first request: an object that was there then
    and still is when its page is read is in the listing. Objects written later may be in it too.
    """

    def __init__(
        self,
        store: Store,
        source: S3Url,
        *,
        versions: bool = False,
        clock: Clock | None = None,
        lister: Lister | None = None,
    ) -> None:
        self._store = store
        self._source = source
        self._versions = versions
        self._lister = lister or PagedLister()
        as_of = (clock or SystemClock()).now()
        name = f"{source} {versions} {format_utc(as_of)}"
        self._header = SourceHeader(
            kind=SourceKind.LIST,
            bucket=source.bucket,
            config_id=f"list:{source.key}" if source.key else "list",
            as_of=as_of,
            identity="list-" + hashlib.sha256(name.encode()).hexdigest()[:32],
            location=str(source),
            columns=listed_columns(versions=versions),
            coverage=Coverage(prefix=source.key, versions="all" if versions else "current"),
        )

    @property
    def header(self) -> SourceHeader:
        """What the listing says about itself; its identity is new with every `ListSource`."""
        return self._header

    def parts(self) -> Sequence[PartRef]:
        """The one part."""
        return [PartRef(0, str(self._source), 0, "")]

    def read(self, part: PartRef, tally: PartTally) -> Iterator[Block]:
        """List it, from the start each time this is called; rows in key order."""
        for batch in self._lister.list_objects(self._store, self._source, versions=self._versions):
            tally.rows += batch.num_rows
            yield Block(batch)

    def recheck(self, found: PartTally | None = None) -> None:
        """Nothing to check: a listing does not change after it was read."""
