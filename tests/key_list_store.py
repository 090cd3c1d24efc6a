"""A bucket of sorted keys that lists fast: for runs by the hundred over many keys."""

from __future__ import annotations

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa

from stocktake.model import successor
from stocktake.store import KeyPage, ListQuery, listed_schema
from stocktake.testing import MemoryStore

_EPOCH = datetime(2025, 10, 9, tzinfo=UTC)
CLASSES = ("STANDARD", "STANDARD", "STANDARD", "GLACIER")


class KeyListStore(MemoryStore):
    """Every bucket holds the keys given, `per_page` per page; sizes and classes follow the key."""

    def __init__(
        self,
        keys: list[str],
        *,
        per_page: int = 1000,
        sizes: list[int] | None = None,
        modified: Callable[[str], datetime] | None = None,
    ):
        super().__init__()
        self.keys = sorted(keys)
        times = [_EPOCH if modified is None else modified(key) for key in self.keys]
        self.per_page = per_page
        self.calls = 0
        chance = [hash_of(key) for key in self.keys]
        self.sizes = sizes or [1000 + one % 9000 for one in chance]
        self.classes = [CLASSES[(one >> 20) % 4] for one in chance]
        count = len(self.keys)
        self._rows = pa.RecordBatch.from_arrays(
            [
                pa.array(self.keys, pa.string()),
                pa.array(self.sizes, pa.int64()),
                pa.array([when.replace(tzinfo=None) for when in times], pa.timestamp("ms")),
                pa.array(["e"] * count, pa.string()),
                pa.array(self.classes, pa.string()),
                pa.nulls(count, pa.string()),
            ],
            schema=listed_schema(versions=False),
        )

    def list_columns(self, query: ListQuery) -> KeyPage:
        self.calls += 1
        limit = min(self.per_page, query.keys_max)
        after = query.token or query.start_after
        start = max(bisect_left(self.keys, query.prefix), bisect_right(self.keys, after))
        end = successor(query.prefix)
        stop = len(self.keys) if end is None else bisect_left(self.keys, end)
        if query.delimiter:
            return self._rolled_up(query, after, start, stop, limit)
        last = min(start + limit, stop)
        token = self.keys[last - 1] if last < stop else None
        return KeyPage(self._rows.slice(start, max(0, last - start)), (), token)

    def _rolled_up(self, query, after, start, stop, limit) -> KeyPage:
        rows, prefixes, last = [], [], None
        at = start
        while at < stop and len(rows) + len(prefixes) < limit:
            key = self.keys[at]
            cut = key.find(query.delimiter, len(query.prefix))
            if cut < 0:
                rows.append(at)
                last, at = key, at + 1
                continue
            folder = key[: cut + 1]
            at = bisect_left(self.keys, successor(folder))
            if folder > after:
                prefixes.append(folder)
                last = folder + "\U0010ffff"
        token = last if at < stop else None
        return KeyPage(self._rows.take(pa.array(rows, pa.int64())), tuple(prefixes), token)


def hash_of(key: str) -> int:
    """The same for a key in every process."""
    return zlib.crc32(key.encode("utf-8", "surrogatepass"))
