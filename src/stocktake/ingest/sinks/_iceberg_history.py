"""Which batches an Iceberg table holds: its snapshots, and what it remembers of expired ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from stocktake.errors import SinkError
from stocktake.ingest._sink import Landed, OpenItems
from stocktake.ingest.sinks._landing import decode_seqs, encode_seqs, landed_of, token_time

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

PROPERTY = "stocktake.landed."
REMEMBERED_MAX = 50
_CLOCKS_APART = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Remembered:
    """One batch in the table property: token, numbers as text, when it landed."""

    token: str
    seqs: str
    at_ms: int


def remembering(
    table: Table, batch: OpenItems, seqs: Iterable[int], now: datetime
) -> dict[str, str]:
    """The table property that says the last batches of this consumer, with this one.

    It is set in the commit that appends the batch, so it cannot say more or less than the table
    holds.
    """
    before = _remembered(table, batch.consumer)
    at_ms = int(now.timestamp() * 1000)
    entries = [*before, _Remembered(batch.token, encode_seqs(seqs), at_ms)][-REMEMBERED_MAX:]
    rows = [[entry.token, entry.seqs, entry.at_ms] for entry in entries]
    return {PROPERTY + batch.consumer: json.dumps(rows)}


class TableHistory:
    """One state of a table, asked for batches.

    Args:
        table: As loaded; not refreshed.
        name: For messages.
    """

    def __init__(self, table: Table, name: str) -> None:
        self._table = table
        self._where = f"the Iceberg table `{name}`"

    def landed(self, consumer: str, tokens: Sequence[str]) -> dict[str, Landed]:
        """Those of these batches that the current state of the table descends from.

        Looks at snapshots from the newest back, until all tokens are found or were not given out
        yet, then at the batches that the table remembers.

        Raises:
            SinkError: A token is not found, and it may have been in what was expired.
        """
        missing = set(tokens)
        found: dict[str, Landed] = {}
        stop = _earliest(tokens)
        oldest: Snapshot | None = None
        for snapshot in self._ancestors():
            oldest = snapshot
            landed = landed_of(_summary(snapshot), consumer, self._where)
            if landed is not None and landed.token in missing:
                found[landed.token] = landed
                missing.discard(landed.token)
            if not missing or (stop is not None and _time(snapshot) < stop):
                return found
        if oldest is None or oldest.sequence_number == 1:
            return found
        return found | self._expired(consumer, missing, _time(oldest))

    def _expired(self, consumer: str, missing: set[str], since: datetime) -> dict[str, Landed]:
        """What the table remembers of batches whose snapshots, before `since`, are gone."""
        entries = _remembered(self._table, consumer)
        found = {
            entry.token: Landed(entry.token, decode_seqs(entry.seqs, self._where))
            for entry in entries
            if entry.token in missing
        }
        if len(entries) == REMEMBERED_MAX:
            first = datetime.fromtimestamp(entries[0].at_ms / 1000, UTC)
            for token in sorted(missing - found.keys()):
                given_out = token_time(token)
                if given_out is None or given_out - _CLOCKS_APART < min(first, since):
                    raise self._unknowable(token)
        return found

    def _unknowable(self, token: str) -> SinkError:
        return SinkError(
            f"whether batch {token} landed in {self._where} cannot be known any more: snapshots "
            "of its time were expired",
            hint="compare the table's _stocktake_seq with the batch, then skip or replay it; keep "
            "snapshots for longer than a worker may be silent",
            retryable=False,
            token=token,
        )

    def _ancestors(self) -> Iterator[Snapshot]:
        """The current snapshot, its parent, and so on, as far as they are kept."""
        by_id = {snapshot.snapshot_id: snapshot for snapshot in self._table.metadata.snapshots}
        snapshot = by_id.get(self._table.metadata.current_snapshot_id or -1)
        while snapshot is not None:
            yield snapshot
            snapshot = by_id.pop(snapshot.parent_snapshot_id or -1, None)


def _earliest(tokens: Sequence[str]) -> datetime | None:
    """A time before which none of these batches can have landed; None if it is not known."""
    times = [token_time(token) for token in tokens]
    known = [time for time in times if time is not None]
    return min(known) - _CLOCKS_APART if known and len(known) == len(times) else None


def _time(snapshot: Snapshot) -> datetime:
    return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)


def _summary(snapshot: Snapshot) -> Mapping[str, str]:
    return {} if snapshot.summary is None else snapshot.summary.additional_properties


def _remembered(table: Table, consumer: str) -> list[_Remembered]:
    text = table.metadata.properties.get(PROPERTY + consumer)
    if text is None:
        return []
    try:
        rows: Any = json.loads(text)
        return [_Remembered(str(token), str(seqs), int(at_ms)) for token, seqs, at_ms in rows]
    except (ValueError, TypeError) as error:
        raise SinkError(
            f"the table property `{PROPERTY}{consumer}` is not what stocktake wrote: {error}",
            retryable=False,
        ) from error
