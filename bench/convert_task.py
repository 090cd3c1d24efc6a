"""One conversion as a process of its own, on one core, for `bench convert`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path


class Repeated:
    """A file whose rows come again until there are so many bytes; the header comes once."""

    def __init__(self, path: str, size_bytes: int) -> None:
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115
        self._left = size_bytes

    def read(self, size_bytes: int = -1, /) -> bytes:
        data = self._file.read(size_bytes)
        if not data and self._left > 0:  # only whole rounds: the last row is a whole one
            self._file.seek(0)
            while self._file.read(1) != b"\n":
                pass
            data = self._file.read(size_bytes)
        self._left -= len(data)
        return data


def stocktake(source: str, target: str) -> None:
    """Both passes, SHA-256 twice."""
    from stocktake.convert import ConvertOptions, plan_conversion, table_kind, write_parquet

    kind = table_kind(source)
    assert kind
    options = ConvertOptions()
    with Path(source).open("rb", buffering=0) as stream, Path(target).open("wb") as sink:
        plan = plan_conversion(stream, kind, options, name=source)
        stream.seek(0)
        write_parquet(plan, stream, sink, options)


def stocktake_repeated(source: str, target: str) -> None:
    """A file of `target` bytes, which exists nowhere; the result goes nowhere."""
    from stocktake.convert import ConvertOptions, TableKind, plan_conversion, write_parquet

    class Nowhere:
        def write(self, data: bytes, /) -> None:
            pass

    options, size_bytes = ConvertOptions(), int(target)
    plan = plan_conversion(Repeated(source, size_bytes), TableKind.CSV, options, name=source)
    write_parquet(plan, Repeated(source, size_bytes), Nowhere(), options)


def pyarrow(source: str, target: str) -> None:
    """One pass: types of the first block, a row group per block."""
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    options = pacsv.ReadOptions(use_threads=False)
    parse = pacsv.ParseOptions(newlines_in_values=True)
    reader = pacsv.open_csv(source, options, parse)
    with reader, pq.ParquetWriter(target, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)


def duckdb(source: str, target: str) -> None:
    """Types from a sample."""
    _duckdb(source, target, "")


def duckdb_all_rows(source: str, target: str) -> None:
    """Types from all rows."""
    _duckdb(source, target, ", sample_size=-1")


def _duckdb(source: str, target: str, more: str) -> None:
    import duckdb as db

    with db.connect(config={"threads": 1}) as connection:
        connection.execute(
            f"copy (select * from read_csv('{source}'{more}))"
            f" to '{target}' (format parquet, compression zstd)"
        )


def polars(source: str, target: str) -> None:
    """Streaming; types from the first 100 rows."""
    import polars as pl

    pl.scan_csv(source).sink_parquet(target, compression="zstd")


WORKS: dict[str, Callable[[str, str], None]] = {
    work.__name__: work
    for work in (stocktake, stocktake_repeated, pyarrow, duckdb, duckdb_all_rows, polars)
}


def main() -> None:
    work, source, target, core = sys.argv[1:]
    os.environ["POLARS_MAX_THREADS"] = "1"
    os.sched_setaffinity(0, {int(core)})
    WORKS[work](source, target)
    # not ru_maxrss: that of a child begins with what its parent had
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    main()
