"""incremental_time: a full listing, a set difference, and then a filter by time. Never a cursor.

The filter only decides what is told, not what is known: the snapshot holds every object, so an
object with an old time that appears later is still new to the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.clock import format_utc, parse_utc
from stocktake.listing._strategy_settings import parse_settings
from stocktake.model import escape_key, unescape_key

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeRules:
    """The settings of `incremental_time` as what the runner does.

    Attributes:
        since: Changes of objects last modified before it are not told; None tells all.
        compare_with_known: False: this run takes everything as new once more (`full_refresh`). It
            overrides `since` too, and holds for one run; the listing is the same.
        ask_open_uploads: Hold the watermark before open uploads.
        slack: Subtracted from the watermark.
    """

    since: datetime | None
    compare_with_known: bool
    ask_open_uploads: bool
    slack: timedelta

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> TimeRules:
        """From settings, parsed or raw."""
        parsed = parse_settings("incremental_time", settings)
        refresh = parsed["full_refresh"]
        since = None if refresh or parsed["since"] is None else parse_utc(parsed["since"])
        slack = timedelta(seconds=parsed["slack_s"])
        return cls(since, not refresh, parsed["open_uploads"], slack)

    def keep(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that are told: modified at `since` or later, and those without a time."""
        if self.since is None:
            return batch
        return batch.filter(_at_or_after(batch, self.since))


@dataclass(frozen=True, slots=True)
class TimeBoundary:
    """Which objects a reader by time has had: all before `at`, and of those from `at` on `seen`.

    Times have one second, and open uploads appear in the past; so the boundary is inclusive, and
    what lies on or after it is told apart by (time, key, ETag).

    Attributes:
        at: Everything modified before it was had. None: nothing was.
        seen: (milliseconds since 1970, key, ETag) of what was had from `at` on.
    """

    at: datetime | None = None
    seen: frozenset[tuple[int, str, str]] = frozenset()

    def admit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that were not had."""
        if self.at is None:
            return batch
        rows = batch.filter(_at_or_after(batch, self.at))
        fresh = [identity not in self.seen for identity in _identities(rows)]
        return rows.filter(pa.array(fresh, pa.bool_()))

    def advance(self, watermark: datetime, batches: Iterable[pa.RecordBatch]) -> TimeBoundary:
        """The boundary after these rows were had too, up to a watermark. It never moves back.

        It holds an entry per object modified at the watermark or later.
        """
        at = watermark if self.at is None else max(watermark, self.at)
        first_ms = _ms(at)
        seen = set(self.seen)
        for batch in batches:
            seen.update(_identities(batch))
        return TimeBoundary(at, frozenset(one for one in seen if one[0] >= first_ms))

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        seen = sorted([ms, escape_key(key), etag] for ms, key, etag in self.seen)
        return {"at": None if self.at is None else format_utc(self.at), "seen": seen}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> TimeBoundary:
        """What `to_json` gave."""
        at = None if raw.get("at") is None else parse_utc(raw["at"])
        rows = raw.get("seen", ())
        seen = frozenset((int(ms), unescape_key(key), etag) for ms, key, etag in rows)
        return cls(at, seen)


def _at_or_after(batch: pa.RecordBatch, since: datetime) -> pa.Array:
    stamps = batch.column("last_modified").cast(pa.int64())
    return pc.fill_null(pc.greater_equal(stamps, _ms(since)), fill_value=True)


def _identities(batch: pa.RecordBatch) -> list[tuple[int, str, str]]:
    stamps = pc.fill_null(batch.column("last_modified").cast(pa.int64()), 0).to_pylist()
    keys = batch.column("key").to_pylist()
    etags = pc.fill_null(batch.column("etag"), "").to_pylist()
    return list(zip(stamps, keys, etags, strict=True))


def _ms(when: datetime) -> int:
    """Milliseconds, rounded down: a boundary may only be earlier than asked for."""
    return (when - _EPOCH) // timedelta(milliseconds=1)
