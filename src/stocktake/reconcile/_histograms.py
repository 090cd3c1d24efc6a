"""How large and how old the objects are: two histograms of HAVE, counted while rows go by."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stocktake.reconcile._report import Bar

_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30
_SIZES = (
    ("empty", 0),
    ("to 1 KiB", 1),
    ("to 64 KiB", _KIB),
    ("to 1 MiB", 64 * _KIB),
    ("to 16 MiB", _MIB),
    ("to 256 MiB", 16 * _MIB),
    ("to 5 GiB", 256 * _MIB),
    ("larger", 5 * _GIB),
)
_AGES_DAYS = (
    ("to 1 day", 0),
    ("to 7 days", 1),
    ("to 30 days", 7),
    ("to 90 days", 30),
    ("to 1 year", 90),
    ("to 3 years", 365),
    ("older", 3 * 365),
)
_MS_PER_DAY = 86_400_000


class Histograms:
    """Sizes and ages of objects. Memory: a few numbers."""

    def __init__(self, now: datetime) -> None:
        self._now_ms = int(now.astimezone(UTC).timestamp() * 1000)
        self._sizes = _Bins([low for _, low in _SIZES])
        self._ages = _Bins([low for _, low in _AGES_DAYS])

    def add(self, rows: pa.RecordBatch) -> None:
        """Count rows; those whose size or time is unknown are not in that histogram."""
        sizes = rows.column("size_bytes")
        times = rows.column("last_modified")
        if sizes.null_count:
            sizes = pc.fill_null(sizes, -1)
        known = np.asarray(sizes)
        self._sizes.add(known[known >= 0], known[known >= 0])
        there = np.asarray(pc.is_valid(times)) & (known >= 0)
        if there.any():
            stamps = np.asarray(pc.fill_null(times.cast(pa.int64()), 0))
            days = (self._now_ms - stamps[there]) / _MS_PER_DAY
            self._ages.add(np.maximum(days, 0), known[there])

    def sizes(self) -> tuple[Bar, ...]:
        """Bars by size in bytes."""
        return self._sizes.bars([label for label, _ in _SIZES])

    def ages(self) -> tuple[Bar, ...]:
        """Bars by age in days."""
        return self._ages.bars([label for label, _ in _AGES_DAYS])


class _Bins:
    def __init__(self, lows: list[int]) -> None:
        self._lows = lows
        self._objects = np.zeros(len(lows), dtype=np.int64)
        self._bytes = np.zeros(len(lows), dtype=np.int64)

    def add(self, values: np.ndarray, sizes: np.ndarray) -> None:
        if not len(values):
            return
        bins = np.searchsorted(self._lows, values, side="right") - 1
        count = len(self._lows)
        self._objects += np.bincount(bins, minlength=count)
        # exact up to 2^53 bytes for each batch
        self._bytes += np.bincount(bins, weights=sizes, minlength=count).astype(np.int64)

    def bars(self, labels: list[str]) -> tuple[Bar, ...]:
        highs = [*self._lows[1:], None]
        return tuple(
            Bar(label, low, high, int(objects), int(size))
            for label, low, high, objects, size in zip(
                labels, self._lows, highs, self._objects, self._bytes, strict=True
            )
        )
