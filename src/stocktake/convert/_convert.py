"""The two passes: what each format's module does, and what they have in common."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

import pyarrow as pa

from stocktake.convert._hashed_stream import HashedStream
from stocktake.convert._parquet_out import ParquetOut
from stocktake.convert._plan import (
    ByteSink,
    ByteStream,
    ConversionPlan,
    ConversionResult,
    ConvertOptions,
    TableKind,
)
from stocktake.convert._plan_json import file_metadata, schema_of
from stocktake.errors import ConvertError, InvalidSettingError, SourceChangedError

_VERSION = 1
_MODULES = {
    TableKind.CSV: "stocktake.convert._csv",
    TableKind.TSV: "stocktake.convert._csv",
    TableKind.JSON: "stocktake.convert._json",
    TableKind.JSONL: "stocktake.convert._json",
    TableKind.XML: "stocktake.convert._xml",
}


class _Format(Protocol):
    """What the module of a format provides."""

    def plan(
        self, stream: ByteStream, kind: TableKind, options: ConvertOptions, *, name: str
    ) -> ConversionPlan:
        """Read all of the stream once. `sha256` and `size_bytes` are filled in by the caller.

        `details` has `schema` (see `schema_to_text`), `metadata` (what goes into the file besides
        what all formats have) and whatever pass 2 needs.
        """

    def write(
        self, plan: ConversionPlan, stream: ByteStream, out: ParquetOut, options: ConvertOptions
    ) -> tuple[Mapping[str, Any], ...]:
        """Read the stream again and give batches to `out`; returns the rejected rows."""


def _format(kind: TableKind) -> _Format:
    """Loaded when needed: some formats need optional packages."""
    return cast("_Format", importlib.import_module(_MODULES[kind]))


def plan_conversion(
    stream: ByteStream, kind: TableKind, options: ConvertOptions, *, name: str
) -> ConversionPlan:
    """Pass 1: read the stream once, find out whether and as what it becomes Parquet.

    Memory does not grow with the stream. Nothing is written anywhere.

    Args:
        stream: Bytes of the table; need not seek.
        kind: What they are, see `table_kind`.
        options: How to convert.
        name: Of the source, for messages and for the file's metadata.

    Raises:
        ConvertError: It cannot become Parquet; the message has row and line.
        MissingExtraError: The format needs a package that is not installed.
    """
    if options.compression not in ("zstd", "snappy"):
        raise InvalidSettingError(f"compression {options.compression!r} is not zstd or snappy")
    if options.types not in ("auto", "strings"):
        raise InvalidSettingError(f"types {options.types!r} is not auto or strings")
    hashed = HashedStream(stream)
    plan = _format(kind).plan(hashed, kind, options, name=name)
    hashed.drain()
    return dataclasses.replace(
        plan,
        sha256=hashed.sha256,
        size_bytes=hashed.size_bytes,
        details={"source_name": name, **plan.details},
    )


def write_parquet(
    plan: ConversionPlan, stream: ByteStream, sink: ByteSink, options: ConvertOptions
) -> ConversionResult:
    """Pass 2: read the same bytes again and write the Parquet file into the sink.

    The sink gets the file front to end. Unless this returns, the file has no footer: what came
    before an error is not a Parquet file and must be thrown away.

    Raises:
        SourceChangedError: The stream does not have the bytes that were planned.
    """
    if not plan.columns:
        _check(plan, HashedStream(stream))
        return ConversionResult(rows=0, rejected=(), size_bytes=0, row_groups=0)
    hashed = HashedStream(stream)
    out = ParquetOut(
        sink,
        schema_of(plan),
        file_metadata(plan, version=str(_VERSION)),
        options,
        plain_columns=plan.details.get("plain_columns", ()),
    )
    try:
        try:
            rejected = _format(plan.kind).write(plan, hashed, out, options)
        except (ConvertError, pa.ArrowInvalid) as error:
            _check(plan, hashed, error)
            raise
        _check(plan, hashed)
        size_bytes, row_groups, rows = out.close()
    except BaseException:
        out.abandon()
        raise
    return ConversionResult(rows, rejected, size_bytes, row_groups)


def _check(plan: ConversionPlan, hashed: HashedStream, cause: Exception | None = None) -> None:
    hashed.drain()
    if (hashed.sha256, hashed.size_bytes) != (plan.sha256, plan.size_bytes):
        name = plan.details.get("source_name", "the source")
        raise SourceChangedError(f"{name} changed between the two readings") from cause
