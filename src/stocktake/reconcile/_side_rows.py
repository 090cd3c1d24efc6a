"""Object records to rows of a side: relative keys, the columns that are compared, no markers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.reconcile._side import SIDE_ROW, Pair, Proof, Same

ENCRYPTION_COLUMN = "extra_encryption_status"


@dataclass(slots=True)
class RowCount:
    """Rows given out so far, and their bytes."""

    objects: int = 0
    size_bytes: int = 0

    def add(self, rows: pa.RecordBatch) -> None:
        """Count some more."""
        self.objects += rows.num_rows
        self.size_bytes += pc.sum(rows.column("size_bytes"), min_count=0).as_py()


def side_rows(
    batches: Iterable[pa.RecordBatch], prefix: str, count: RowCount
) -> Iterator[pa.RecordBatch]:
    """Batches of the object record below a prefix as rows of a side, counted."""
    for batch in batches:
        if batch.num_rows:
            rows = _side_row(batch, len(prefix))
            count.add(rows)
            yield rows


def _side_row(batch: pa.RecordBatch, skip: int) -> pa.RecordBatch:
    there = set(batch.schema.names)

    def column(name: str, kind: pa.DataType) -> pa.Array:
        source = ENCRYPTION_COLUMN if name == "encryption" else name
        if source not in there:
            return pa.nulls(batch.num_rows, kind)
        found = batch.column(source)
        # the engine of the catalog widens milliseconds
        return found if found.type == kind else found.cast(kind, safe=False)

    columns = [column(field.name, field.type) for field in SIDE_ROW]
    columns[0] = without_beginning(columns[0], skip)
    return pa.RecordBatch.from_arrays(columns, schema=SIDE_ROW)


def without_beginning(keys: pa.StringArray, skip: int) -> pa.StringArray:
    """The keys without their first so many characters."""
    return pc.utf8_slice_codeunits(keys, skip) if skip else keys


def surely(mask: pa.BooleanArray) -> pa.BooleanArray:
    """True where it is true; what is not known is not."""
    return pc.coalesce(mask, pa.scalar(value=False))


def nothing_proven(pairs: Sequence[Pair]) -> list[Proof]:
    """The answer of a side that has nothing but its rows."""
    return [Proof(Same.UNKNOWN, "") for _ in pairs]
