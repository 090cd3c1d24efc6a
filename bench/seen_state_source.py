"""The keys of `seen_state`: what was processed, what is listed now, and both as catalog sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stocktake.model import Block, PartRef, PartTally, SourceHeader, SourceKind, object_schema

COLUMNS = ("key", "size_bytes", "last_modified", "etag")
_CHUNK = 1_000_000


def make_keys(folder: Path, processed: int) -> dict[str, int]:
    """Writes `processed.parquet` and `listed.parquet`, sorted by key; returns what differs.

    Of 1,010 keys 10 are new, one was deleted, and two have another ETag. Keys have 80 bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total = processed // 1000 * 1010
    schema = object_schema(COLUMNS)
    options = {"compression": "zstd", "compression_level": 1}
    with (
        pq.ParquetWriter(folder / "processed.parquet", schema, **options) as before,
        pq.ParquetWriter(folder / "listed.parquet", schema, **options) as now,
    ):
        for start in range(0, total, _CHUNK):
            numbers = np.arange(start, min(total, start + _CHUNK))
            rows = _rows(numbers, schema)
            place = numbers % 1010
            before.write_table(rows.filter(pa.array(place % 101 != 50)), row_group_size=122_880)
            etags = rows.column("etag")
            modified = pa.array((place == 7) | (place == 700))
            changed = pc.if_else(modified, pc.utf8_reverse(etags), etags)
            fresh = rows.set_column(rows.column_names.index("etag"), "etag", changed)
            now.write_table(fresh.filter(pa.array(place != 3)), row_group_size=122_880)
    groups = total // 1010
    return {"new": 10 * groups, "changed": 2 * groups, "deleted": groups}


def _rows(numbers: np.ndarray, schema: pa.Schema) -> pa.Table:
    chance = np.random.default_rng(int(numbers[0]))
    noise = chance.integers(0, 256, (len(numbers), 18), dtype=np.uint8).tobytes().hex()
    width = 36
    names = [
        f"warehouse/events/part={n // 10_000:06}/{n % 10_000:04}-"
        f"{noise[i * width : (i + 1) * width]}.json.gz"
        for i, n in enumerate(numbers.tolist())
    ]
    etags = [noise[i * width : i * width + 32] for i in range(len(numbers))]
    times = pa.array(1_767_225_600_000 + numbers, pa.timestamp("ms"))
    return pa.table([pa.array(names), pa.array(numbers % 99_991), times, pa.array(etags)], schema)


class TableSource:
    """A sorted Parquet file as a `SnapshotSource`, one part per 500,000 rows."""

    def __init__(self, path: Path, day: int) -> None:
        self._path = path
        self._groups = pq.read_metadata(path).num_row_groups
        self.header = SourceHeader(
            kind=SourceKind.LIST,
            bucket="bench",
            config_id="seen",
            as_of=datetime(2026, 1, day, tzinfo=UTC),
            identity=path.name,
            location=f"file://{path}",
            columns=tuple(object_schema(COLUMNS).names),
        )

    def parts(self) -> Sequence[PartRef]:
        return [PartRef(n, f"part-{n}", 0, "") for n in range(0, self._groups, 4)]

    def read(self, part: PartRef, tally: PartTally) -> Iterator[Block]:
        first = int(part.name.removeprefix("part-"))
        groups = range(first, min(first + 4, self._groups))
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(100_000, row_groups=list(groups)):
                tally.rows += batch.num_rows
                yield Block(batch)

    def recheck(self, found: PartTally | None = None) -> None:
        """The file is ours."""
