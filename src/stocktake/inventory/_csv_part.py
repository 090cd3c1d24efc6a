"""The rows of a CSV part, from an inflated stream to blocks of the object record.

The stream is cut into blocks of whole rows, and each block is parsed on its own: a value that the
fast typed parse refuses costs only its own block a second, tolerant parse (`_csv_tolerant`), and a
block never depends on where the network cut the bytes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from stocktake.errors import PartCorruptError
from stocktake.inventory._csv_tolerant import TEXT_TYPES, parse_options, parse_tolerant
from stocktake.inventory._key_decoding import decode_keys
from stocktake.inventory._layout import CsvLayout
from stocktake.model import OBJECT, Block, PartTally, canonical_column, object_schema

BLOCK_BYTES = 1 << 20
ROW_BYTES_MAX = 4 << 20
_BOM = b"\xef\xbb\xbf"
_TRUE = ["true", "TRUE", "True"]
_FALSE = ["false", "FALSE", "False"]
_UTC_MS = pa.timestamp("ms", "UTC")


def read_csv_part(stream: BinaryIO, layout: CsvLayout, tally: PartTally) -> Iterator[Block]:
    """The rows of one inflated CSV part, about 1 MB of text per block, in the part's order.

    Header rows, CRLF, blank lines and a BOM of look-alike stores are understood. Rows that cannot
    be read are counted and sampled in `tally`; rows with an undecodable key come apart. Memory:
    about eight blocks.

    Raises:
        PartCorruptError: A row is longer than 4 MiB, so this is not such a file.
    """
    reader = _BlockReader(layout, tally)
    carry = b""
    while chunk := stream.read(BLOCK_BYTES):
        data = carry + chunk if carry else chunk
        cut = last_row_end(data)
        carry = data[cut:]
        if len(carry) > ROW_BYTES_MAX:
            raise PartCorruptError(
                f"part `{layout.part_name}` has a row of more than {ROW_BYTES_MAX} bytes",
                part=layout.part_name,
                hint="is it really a CSV report? check fileFormat in manifest.json",
            )
        if cut:
            yield from reader.read(data[:cut])
    if carry:
        yield from reader.read(carry)


def last_row_end(data: bytes) -> int:
    """Where the last whole row of this text ends; 0 if there is none.

    A newline ends a row unless it stands inside quotes. `x"` before it can only be a closing quote
    if x is neither a quote nor a comma; in every other case the quotes from the start are counted.
    """
    cut = data.rfind(b"\n")
    if cut < 0:
        return 0
    line_end = cut - 1 if data[cut - 1 : cut] == b"\r" else cut
    before = data[max(line_end - 2, 0) : line_end]
    if len(before) == 2 and before[1:] == b'"' and before[:1] not in (b'"', b",", b"\n"):
        return cut + 1
    while cut >= 0 and data.count(b'"', 0, cut) % 2:
        cut = data.rfind(b"\n", 0, cut)
    return cut + 1


class _BlockReader:
    """Parses blocks of whole rows; knows whether the first row has been looked at."""

    def __init__(self, layout: CsvLayout, tally: PartTally) -> None:
        self._layout = layout
        self._tally = tally
        self._first = True
        self._schema = object_schema(layout.output)
        types: dict[str, pa.DataType] = {
            name: _UTC_MS if name == "last_modified" else self._schema.field(name).type
            for name in layout.output
        }
        types["key"] = pa.binary()
        self._convert = pacsv.ConvertOptions(
            column_types=types,
            include_columns=list(layout.output),
            null_values=[""],
            strings_can_be_null=True,
            true_values=_TRUE,
            false_values=_FALSE,
        )

    def read(self, data: bytes) -> Iterator[Block]:
        if self._first:
            self._first = False
            data = self._without_header(data.removeprefix(_BOM))
        if not data.strip():
            return
        bad: list[tuple[str, str]] = []
        try:
            batch = self._parse(data, bad)
        except pa.ArrowInvalid:
            batch, bad = parse_tolerant(data, self._layout)
        self._count_bad(bad)
        yield from self._blocks(batch)

    def _without_header(self, data: bytes) -> bytes:
        end = data.find(b"\n") + 1 or len(data)
        line = data[:end].decode("utf-8", "replace")
        try:
            names = next(iter(csv.reader([line])), [])
        except csv.Error:
            return data
        if tuple(canonical_column(name) for name in names) == self._layout.columns:
            return data[end:]
        return data

    def _parse(self, data: bytes, bad: list[tuple[str, str]]) -> pa.RecordBatch:
        def refuse(row: pacsv.InvalidRow) -> str:
            reason = f"{row.actual_columns} fields instead of {row.expected_columns}"
            bad.append((row.text, reason))
            return "skip"

        table = pacsv.read_csv(
            pa.BufferReader(data),
            read_options=pacsv.ReadOptions(
                use_threads=False,
                column_names=list(self._layout.columns),
                block_size=len(data) + 1,
            ),
            parse_options=parse_options(data, refuse),
            convert_options=self._convert,
        )
        if table.num_rows == 0:
            return self._empty()
        arrays = {
            name: table.column(name).combine_chunks()
            if table.column(name).num_chunks != 1
            else table.column(name).chunk(0)
            for name in self._layout.output
        }
        if "last_modified" in arrays:
            arrays["last_modified"] = arrays["last_modified"].view(
                OBJECT.field("last_modified").type
            )
        return pa.RecordBatch.from_pydict(arrays)

    def _empty(self) -> pa.RecordBatch:
        types = {
            name: TEXT_TYPES.get(name, self._schema.field(name).type)
            for name in self._layout.output
        }
        return pa.RecordBatch.from_pydict({n: pa.array([], t) for n, t in types.items()})

    def _count_bad(self, bad: list[tuple[str, str]]) -> None:
        for text, reason in bad:
            self._tally.note_bad(self._layout.part_name, text, reason)

    def _blocks(self, batch: pa.RecordBatch) -> Iterator[Block]:
        batch = self._drop_keyless(batch)
        if batch.num_rows == 0:
            return
        decoded = decode_keys(batch.column("key"), self._layout.key_encoding)
        tally = self._tally
        tally.suspicious_keys += decoded.suspicious
        tally.plus_keys += decoded.plus
        tally.percent20_keys += decoded.percent20
        columns = {name: batch.column(name) for name in batch.schema.names}
        columns["key"] = decoded.keys
        rows = pa.RecordBatch.from_arrays(
            list(normalise_columns(columns, self._layout.part_name, tally).values()),
            schema=self._schema,
        )
        if not decoded.undecodable:
            tally.rows += rows.num_rows
            yield Block(rows)
            return
        at = np.zeros(rows.num_rows, dtype=np.bool_)
        at[list(decoded.undecodable)] = True
        flagged = rows.filter(pa.array(at))
        good = rows.filter(pa.array(~at))
        tally.undecodable_keys += flagged.num_rows
        tally.rows += good.num_rows
        yield Block(good, flagged)

    def _drop_keyless(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        key = batch.column("key")
        if not key.null_count:
            return batch
        for row in batch.filter(pc.is_null(key)).to_pylist():
            self._tally.note_bad(self._layout.part_name, repr(row), "no key")
        return batch.filter(pc.is_valid(key))


def normalise_columns(
    columns: dict[str, pa.Array], part_name: str, tally: PartTally
) -> dict[str, pa.Array]:
    """The rules of the object record on typed columns, in place and returned.

    Null version ids become 'null', ETags one spelling, a delete marker has no size, and a size that
    is missing or negative where there must be one is None and counted as a bad row (the object is
    kept: it exists).
    """
    if "version_id" in columns:
        columns["version_id"] = columns["version_id"].fill_null("null")
    if "etag" in columns:
        columns["etag"] = _normalise_etags(columns["etag"])
    if "size_bytes" in columns:
        columns["size_bytes"] = _checked_sizes(columns, part_name, tally)
    return columns


def _normalise_etags(etags: pa.Array) -> pa.Array:
    data = np.frombuffer(etags.buffers()[2] or b"", dtype=np.uint8)
    if ((data - np.uint8(ord("A"))) < 26).any():
        etags = pc.ascii_lower(etags)
    if (data == ord('"')).any():
        bare = pc.ascii_trim(pc.replace_substring_regex(etags, r"^\s*w/", ""), ' "')
        etags = pc.if_else(pc.equal(bare, ""), pa.scalar(None, pa.string()), bare)
    return etags


def _checked_sizes(columns: dict[str, pa.Array], part_name: str, tally: PartTally) -> pa.Array:
    sizes = columns["size_bytes"]
    marker = columns.get("is_delete_marker")
    if marker is not None:
        marker = pc.fill_null(marker, fill_value=False)
        if marker.true_count:
            sizes = pc.if_else(marker, pa.scalar(None, pa.int64()), sizes)
    negative = pc.less(sizes, 0)
    if pc.any(negative).as_py():
        sizes = pc.if_else(
            pc.fill_null(negative, fill_value=False), pa.scalar(None, pa.int64()), sizes
        )
    if sizes.null_count:
        missing = pc.is_null(sizes)
        if marker is not None:
            missing = pc.and_not(missing, marker)
        for key in columns["key"].filter(missing).to_pylist():
            tally.note_bad(part_name, repr(key), "no usable size")
    return sizes
