"""Synthetic inventory reports: a synthetic bucket, written by the real report writer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
import pyarrow as pa

from stocktake.inventory import (
    CsvStyle,
    ReportFormat,
    ReportSpec,
    ReportStore,
    ReportWriter,
    WrittenReport,
    aws_order,
)
from stocktake.model import S3Url
from stocktake.testing._buckets import BATCH_ROWS, SyntheticBucket
from stocktake.testing._chance import shuffled

_SLICES_PER_PART = 4


class ReportOrder(StrEnum):
    """In which order the rows of a synthetic report come."""

    SORTED = "sorted"
    """Ascending through all parts."""
    RUNS = "runs"
    """Each part is four sorted slices of random key ranges; parts do not overlap."""
    SHUFFLED = "shuffled"
    """Every row anywhere."""


@dataclass(frozen=True, slots=True)
class ReportLook:
    """How a synthetic report looks.

    Attributes:
        file_format: Of its parts.
        parts: How many; fewer if there are not so many rows.
        order: Of the rows.
        config_id: The name of its configuration.
        columns: Our column names in file order (`bucket` among them); empty: AWS's order.
        csv_style: Header row and line ends of CSV parts.
    """

    file_format: ReportFormat = ReportFormat.CSV
    parts: int = 4
    order: ReportOrder = ReportOrder.RUNS
    config_id: str = "daily"
    columns: tuple[str, ...] = ()
    csv_style: CsvStyle = CsvStyle()


def write_synthetic_report(
    bucket: SyntheticBucket,
    store: ReportStore,
    destination: S3Url,
    look: ReportLook = ReportLook(),
    *,
    threads: int = 1,
) -> WrittenReport:
    """Write the report of this generation; the same bucket and look give the same bytes.

    Replaces a report of the same generation. Memory is that of the writer, times `threads`.
    """
    spec = ReportSpec(
        destination=destination,
        source_bucket=bucket.name,
        config_id=look.config_id,
        stamp=bucket.stamp,
        file_format=look.file_format,
        columns=look.columns or aws_order(bucket.columns),
        csv_style=look.csv_style,
    )
    seed = _naming_seed(bucket, look)
    plans = [plan for plan in _plans(bucket, look) if plan.rows]
    with ReportWriter(store, spec, overwrite=True, seed=seed) as writer:
        with ThreadPoolExecutor(max_workers=threads) as pool:
            running = [
                pool.submit(writer.write_part, index, plan.batches(bucket, look.order))
                for index, plan in enumerate(plans)
            ]
            for part in running:
                part.result()
        return writer.finish()


def _naming_seed(bucket: SyntheticBucket, look: ReportLook) -> int:
    """The number that names the parts: another one for each bucket, generation and look."""
    return random.Random(f"{bucket!r} {look!r}").getrandbits(64)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The base rows of one part, as ranges of rows or, if shuffled, of shuffled positions."""

    ranges: tuple[range, ...]

    @property
    def rows(self) -> int:
        return sum(len(rows) for rows in self.ranges)

    def batches(self, bucket: SyntheticBucket, order: ReportOrder) -> Iterator[pa.RecordBatch]:
        for rows in self.ranges:
            if order is not ReportOrder.SHUFFLED:
                yield from bucket.batches(rows.start, rows.stop)
                continue
            for start in range(rows.start, rows.stop, BATCH_ROWS):
                spots = np.arange(start, min(start + BATCH_ROWS, rows.stop), dtype=np.int64)
                yield bucket.records(shuffled(spots, bucket.rows, bucket.seed))


def _plans(bucket: SyntheticBucket, look: ReportLook) -> list[_Plan]:
    parts = max(1, look.parts)
    if look.order is not ReportOrder.RUNS:
        return [_Plan((rows,)) for rows in _cut(bucket.rows, parts, None)]
    chance = random.Random(bucket.seed)
    slices = _cut(bucket.rows, parts * _SLICES_PER_PART, chance)
    chance.shuffle(slices)
    return [
        _Plan(tuple(slices[start : start + _SLICES_PER_PART]))
        for start in range(0, len(slices), _SLICES_PER_PART)
    ]


def _cut(rows: int, pieces: int, chance: random.Random | None) -> list[range]:
    """`rows` in that many ranges: of one length, or of random lengths around it."""
    shifts = [0.0 if chance is None else chance.uniform(-0.4, 0.4) for _ in range(1, pieces)]
    inner = [int((piece + shift) * rows / pieces) for piece, shift in enumerate(shifts, 1)]
    cuts = [0, *inner, rows]
    return [range(start, stop) for start, stop in pairwise(cuts)]
