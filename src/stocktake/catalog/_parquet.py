"""Parquet files that are finished, or given up without a word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq


@contextmanager
def parquet_writer(sink: BinaryIO, schema: pa.Schema, **options: Any) -> Iterator[pq.ParquetWriter]:
    """A writer that writes its footer when the block ends normally. The sink stays open."""
    writer = pq.ParquetWriter(sink, schema, **options)
    try:
        yield writer
        writer.close()
    finally:
        give_up(writer)


def give_up(writer: pq.ParquetWriter) -> None:
    """Keep a writer from finishing its file; nothing happens to one that is closed.

    Its finaliser would write a footer into a sink that is closed by then, and complain about it on
    standard error.
    """
    writer.is_open = False
