"""CSV and TSV: find the dialect, the encoding and lossless types in pass 1; parse in pass 2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from stocktake.convert._arrow_types import arrow_type
from stocktake.convert._csv_blocks import RecordBlocks
from stocktake.convert._csv_dialect import SAMPLE_BYTES, check_delimiter, find_delimiter, sep_line
from stocktake.convert._csv_parse import BlockParser
from stocktake.convert._csv_reading import CsvReading
from stocktake.convert._csv_records import Dialect
from stocktake.convert._csv_text import BadTextError, Recoder, check_fallback, open_text
from stocktake.convert._lattice import TypeDecision
from stocktake.convert._parquet_bound import bound_bytes
from stocktake.convert._parquet_out import ParquetOut
from stocktake.convert._plan import (
    ByteStream,
    ColumnDecision,
    ConversionPlan,
    ConvertOptions,
    TableKind,
)
from stocktake.convert._plan_json import SCHEMA, schema_of, schema_to_text
from stocktake.convert._typed_text import field_with_format
from stocktake.errors import ConvertError, TextEncodingError

_CSV = "csv"


def plan(
    stream: ByteStream, kind: TableKind, options: ConvertOptions, *, name: str
) -> ConversionPlan:
    """Pass 1; see `plan_conversion`."""
    schema = {column: arrow_type(text) for column, text in options.schema.items()}
    fallback = check_fallback(options.fallback_encoding) if options.fallback_encoding else None
    encoding, marked, pieces = open_text(stream)
    first = _first(pieces, name)
    separator = sep_line(first)
    skip_bytes = separator[1] if separator else 0
    first = first[skip_bytes:]
    delimiter = _delimiter(first, kind, options, separator[0] if separator else None)
    dialect = Dialect(delimiter, quoting=delimiter != "\t")
    line = 2 if separator else 1
    blocks = RecordBlocks(name, dialect, line=line, field_bytes_max=options.field_bytes_max)
    readings = _Readings(
        CsvReading(blocks, encoding, options, schema),
        kind,
        fallback=None if marked else fallback,
    )
    readings.read(first, pieces)
    best, doubts = readings.best()
    details = {"delimiter": delimiter, "encoding": best.encoding, "marked": marked}
    details |= {"quoting": best.dialect.quoting, "header": options.header, "skip": skip_bytes}
    return _planned(kind, best, schema, details, doubts)


def write(
    plan: ConversionPlan, stream: ByteStream, out: ParquetOut, options: ConvertOptions
) -> tuple[Mapping[str, Any], ...]:
    """Pass 2; see `write_parquet`."""
    how: Mapping[str, Any] = plan.details[_CSV]
    name = str(plan.details.get("source_name", ""))
    schema = schema_of(plan)
    dialect = Dialect(how["delimiter"], how["quoting"])
    blocks = RecordBlocks(name, dialect, line=1, field_bytes_max=options.field_bytes_max)
    blocks.expect(len(schema))
    parser = BlockParser(name, schema.names, dialect)
    parser.want({field.name: field.type for field in schema})
    rejected: list[Mapping[str, Any]] = []
    with_header = bool(how["header"])
    for piece, final in _again(stream, how):
        block = blocks.feed(piece, final=final)
        if block is not None and with_header:
            with_header = False
            blocks.split_first(block)
            block = blocks.feed(b"", final=final)
        if block is None:
            continue
        parsed = parser.parse(block, rejects_max=options.bad_rows_max - len(rejected))
        rejected += parsed.rejected
        blocks.passed(parsed.records, block)
        for batch in parsed.table.to_batches():
            out.write(batch)
    return tuple(rejected)


class _Readings:
    """The ways of reading that are still possible."""

    def __init__(self, only: CsvReading, kind: TableKind, *, fallback: str | None) -> None:
        self._alive = [only]
        self._failed: list[tuple[CsvReading, ConvertError]] = []
        self._kind = kind
        self._fallback = fallback
        self._quotes_open = only.dialect.delimiter == "\t"

    def read(self, first: bytes, pieces: Iterator[bytes]) -> None:
        """Read all of it; raises if no way leads to the end."""
        self._feed(first)
        try:
            for piece in pieces:
                self._feed(piece)
        except BadTextError as error:
            raise self._alive[0].bad_text(str(error.args[0])) from error
        self._each(b"", final=True)

    def best(self) -> tuple[CsvReading, list[str]]:
        """The way to take, and what speaks against it."""
        left = [one for one in self._alive if one.encoding == self._alive[0].encoding]
        if len(left) == 1:
            return left[0], []
        quoted = next(one for one in left if one.dialect.quoting)
        literal = next(one for one in left if not one.dialect.quoting)
        if self._kind != TableKind.TSV or quoted.escaped or quoted.header_quoted:
            return quoted, ["quotes were taken for quoting; they could also be text"]
        return literal, ["quotes were taken for text; they could also be quoting"]

    def _feed(self, piece: bytes) -> None:
        if self._quotes_open and b'"' in piece:
            self._quotes_open = False
            self._alive += [one.otherwise(quoting=True) for one in self._alive]
        if self._fallback and not piece.isascii():
            self._alive += [one.otherwise(encoding=self._fallback) for one in self._alive]
            self._fallback = None
        self._each(piece, final=False)

    def _each(self, piece: bytes, *, final: bool) -> None:
        for one in list(self._alive):
            try:
                one.feed(piece, final=final)
            except ConvertError as error:
                self._alive.remove(one)
                self._failed.append((one, error))
        if not self._alive:
            raise self._worst()

    def _worst(self) -> ConvertError:
        """The error of the way that led farthest; of the first one, if they are as far."""
        several = len({one.encoding for one, _ in self._failed}) > 1
        telling = [
            (one, error)
            for one, error in self._failed
            if not (several and one.encoding == "utf-8" and isinstance(error, TextEncodingError))
        ]
        return max(telling or self._failed, key=lambda pair: pair[0].row)[1]


def _first(pieces: Iterator[bytes], name: str) -> bytes:
    try:
        return next(pieces, b"")
    except BadTextError as error:
        raise TextEncodingError(
            f"{name}: row 1 (line 1): {error.args[0]}", row=1, line=1
        ) from error


def _delimiter(first: bytes, kind: TableKind, options: ConvertOptions, named: str | None) -> str:
    if options.delimiter is not None:
        return check_delimiter(options.delimiter)
    if named is not None:
        return check_delimiter(named)
    if kind == TableKind.TSV:
        return "\t"
    return find_delimiter(first[:SAMPLE_BYTES], final=len(first) <= SAMPLE_BYTES)


def _again(stream: ByteStream, how: Mapping[str, Any]) -> Iterator[tuple[bytes, bool]]:
    """The same text again, then once b"" with True."""
    _, marked, pieces = open_text(stream)
    recoder = None if marked or how["encoding"] == "utf-8" else Recoder(how["encoding"])
    skip = how["skip"]
    try:
        for piece in pieces:
            text = recoder.recode(piece, final=False) if recoder else piece
            yield text[skip:], False
            skip = 0
        yield recoder.recode(b"", final=True) if recoder else b"", True
    except BadTextError as error:
        raise TextEncodingError(str(error.args[0])) from error


def _planned(
    kind: TableKind,
    best: CsvReading,
    types: Mapping[str, pa.DataType],
    how: Mapping[str, Any],
    doubts: list[str],
) -> ConversionPlan:
    header = best.header or []
    fields, columns = [], []
    for name, given in zip(best.names, header, strict=True):
        decision = _decision(best, name, types)
        fields.append(field_with_format(name, decision.type, decision.text_format))
        source_name = given if given != name else None
        columns.append(ColumnDecision(name, source_name, str(decision.type), decision.why))
    schema = pa.schema(fields)
    shown = {key: how[key] for key in ("delimiter", "quoting", "header")}
    return ConversionPlan(
        kind=kind,
        sha256="",
        size_bytes=0,
        rows=best.rows if best.names else None,
        columns=tuple(columns),
        details={
            SCHEMA: schema_to_text(schema),
            _CSV: dict(how),
            "plain_columns": best.plain_columns,
            "metadata": {"dialect": shown, "encoding": how["encoding"]},
        },
        warnings=(*best.warnings(), *doubts),
        bound_bytes=bound_bytes(schema, best.rows, best.text_bytes),
    )


def _decision(best: CsvReading, name: str, types: Mapping[str, pa.DataType]) -> TypeDecision:
    if name in types:
        return TypeDecision(types[name], None, "as the schema says")
    if name not in best.lattices:
        return TypeDecision(pa.string(), None, "all columns are text, as asked for")
    return best.lattices[name].decide()
