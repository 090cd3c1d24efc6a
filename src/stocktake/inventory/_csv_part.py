"""The rows of a CSV part, from an inflated stream to blocks of the object record.

The stream is cut into blocks of whole rows, and each block is parsed on its own: a value that the
fast typed parse refuses costs only its own block a second, tolerant parse (`_csv_tolerant`), and a
block never depends on where the network cut the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from stocktake.errors import PartCorruptError
from stocktake.inventory._csv_rows import last_row_end, read_row
from stocktake.inventory._csv_tolerant import BadRows, Refuse, parse_tolerant, rows_refused
from stocktake.inventory._key_decoding import decode_keys
from stocktake.inventory._layout import CsvLayout
from stocktake.model import OBJECT, Block, PartTally, canonical_column, object_schema

BLOCK_BYTES = 2 << 20
"""Twice as much parses a fifth faster: pyarrow starts its quick scan only after some 5,000 rows."""
ROW_BYTES_MAX = 4 << 20
_BOM = b"\xef\xbb\xbf"
_LINE_ENDS = b"\r\n"
_TYPED = frozenset({"size_bytes", "last_modified", "is_latest", "is_delete_marker"})
_TRUE = ["true", "TRUE", "True"]
_FALSE = ["false", "FALSE", "False"]
_UTC_MS = pa.timestamp("ms", "UTC")
_FIRST_MS = -62_135_596_800_000
_LAST_MS = 253_402_300_799_999

Columns: TypeAlias = dict[str, pa.Array]


def read_csv_part(stream: BinaryIO, layout: CsvLayout, tally: PartTally) -> Iterator[Block]:
    """The rows of one inflated CSV part, about 2 MB of text per block, in the part's order.

    Header rows, CRLF, blank lines and a BOM of look-alike stores are understood. Rows that cannot
    be read are counted and sampled in `tally`; rows with an undecodable key come apart. Memory:
    about eight blocks.

    Raises:
        PartCorruptError: A row is longer than 4 MiB, so this is not such a file.
    """
    reader = _BlockReader(layout, tally)
    carry = stream.read(len(_BOM)).removeprefix(_BOM)
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
            yield from reader.read(data, cut)
    if carry:
        # an open quote would make one row, or one value, of all that is left
        open_quote = read_row(carry, 0, len(carry)) is None
        yield from reader.read(carry, len(carry), broken=open_quote)


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

    def read(self, data: bytes, stop: int, *, broken: bool = False) -> Iterator[Block]:
        """The block, if there is any row, of the text before `stop`.

        `broken` text is read row by row at once.
        """
        start = self._past_header(data, stop) if self._first else _past_blank(data, 0, stop)
        if start == stop:
            return
        if data.startswith(_BOM, start):  # pyarrow would drop it, but here it belongs to a value
            data = b"\n" + data[start:stop]
            start, stop = 0, len(data)
        try:
            if broken:
                columns = self._tolerate(data[start:stop], by_row=True)
            else:
                columns = self._parse(pa.py_buffer(data).slice(start, stop - start))
        except pa.ArrowInvalid:
            columns = self._parse_patiently(data[start:stop])
        yield from self._blocks(columns)

    def _past_header(self, data: bytes, stop: int) -> int:
        start = _past_blank(data, 0, stop)
        self._first = start == stop
        row = read_row(data, start, stop)
        if row is None or not self._is_header(row.fields):
            return start
        return _past_blank(data, row.end, stop)

    def _is_header(self, fields: list[bytes]) -> bool:
        names = [field.decode("utf-8", "replace") for field in fields]
        columns = self._layout.columns
        if tuple(canonical_column(name) for name in names) != columns:
            return False
        # an object `key` of a bucket `bucket` looks the same, if there is no column with a form
        return (
            not _TYPED.isdisjoint(columns)
            or "bucket" not in columns
            or names[columns.index("bucket")] != self._layout.bucket
        )

    def _parse(self, text: pa.Buffer, refuse: Refuse | None = None) -> Columns:
        table = pacsv.read_csv(
            pa.BufferReader(text),
            read_options=pacsv.ReadOptions(
                use_threads=False,
                column_names=list(self._layout.columns),
                block_size=text.size + 1,
            ),
            parse_options=pacsv.ParseOptions(invalid_row_handler=refuse),
            convert_options=self._convert,
        )
        if table.num_rows == 0:
            return {}
        columns = {name: table.column(name).combine_chunks() for name in self._layout.output}
        if "last_modified" in columns:
            columns["last_modified"] = columns["last_modified"].view(
                OBJECT.field("last_modified").type
            )
        return columns

    def _parse_patiently(self, data: bytes) -> Columns:
        """First with rows of another width left out; if that is not enough, value by value."""
        bad: BadRows = []
        try:
            columns = self._parse(pa.py_buffer(data), rows_refused(data, bad))
        except pa.ArrowInvalid:
            return self._tolerate(data)
        self._note(bad)
        return columns

    def _tolerate(self, data: bytes, *, by_row: bool = False) -> Columns:
        columns, bad = parse_tolerant(data, self._layout, by_row=by_row)
        self._note(bad)
        return columns

    def _note(self, bad: BadRows) -> None:
        for text, reason in bad:
            self._tally.note_bad(self._layout.part_name, text, reason)

    def _blocks(self, columns: Columns) -> Iterator[Block]:
        columns = self._drop_keyless(columns)
        if not columns or not len(columns["key"]):
            return
        decoded = decode_keys(columns["key"], self._layout.key_encoding)
        tally = self._tally
        tally.suspicious_keys += decoded.suspicious
        tally.plus_keys += decoded.plus
        tally.percent20_keys += decoded.percent20
        columns["key"] = decoded.keys
        normalise_columns(columns, self._layout.part_name, tally)
        rows = pa.RecordBatch.from_arrays(list(columns.values()), schema=self._schema)
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

    def _drop_keyless(self, columns: Columns) -> Columns:
        key = columns.get("key")
        if key is None or not key.null_count:
            return columns
        # as text: Python cannot show every time that Arrow can hold
        texts = {
            name: column.filter(pc.is_null(key)).cast(pa.string()).to_pylist()
            for name, column in columns.items()
            if name != "key"
        }
        for at in range(key.null_count):
            row = {name: values[at] for name, values in texts.items()}
            self._tally.note_bad(self._layout.part_name, repr(row), "no key")
        return {name: column.filter(pc.is_valid(key)) for name, column in columns.items()}


def _past_blank(data: bytes, start: int, stop: int) -> int:
    """Where the first line that is not empty starts."""
    if start < stop and data[start] in _LINE_ENDS:
        return stop - len(data[start:stop].lstrip(_LINE_ENDS))
    return start


def normalise_columns(
    columns: dict[str, pa.Array], part_name: str, tally: PartTally
) -> dict[str, pa.Array]:
    """The rules of the object record on typed columns, in place and returned.

    Null version ids become 'null', ETags one spelling, a delete marker has no size, and a size that
    is missing or negative where there must be one is None and counted as a bad row (the object is
    kept: it exists). So is a time outside the years 1 to 9999, which nothing downstream could show.
    """
    if "version_id" in columns:
        columns["version_id"] = columns["version_id"].fill_null("null")
    if "etag" in columns:
        columns["etag"] = _normalise_etags(columns["etag"])
    if "size_bytes" in columns:
        columns["size_bytes"] = _checked_sizes(columns, part_name, tally)
    if "last_modified" in columns:
        columns["last_modified"] = _checked_times(columns, part_name, tally)
    return columns


def _normalise_etags(etags: pa.Array) -> pa.Array:
    data = np.frombuffer(etags.buffers()[2] or b"", dtype=np.uint8)
    if ((data - np.uint8(ord("A"))) < 26).any():
        etags = pc.ascii_lower(etags)
    if (data == ord('"')).any():
        bare = pc.ascii_trim(pc.replace_substring_regex(etags, r"^\s*w/", ""), ' "')
        bare = pc.if_else(pc.equal(bare, ""), pa.scalar(None, pa.string()), bare)
        # only these: what an ETag becomes must not depend on the others of its block
        etags = pc.if_else(pc.match_substring(etags, '"'), bare, etags)
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


def _checked_times(columns: dict[str, pa.Array], part_name: str, tally: PartTally) -> pa.Array:
    times = columns["last_modified"]
    epochs = times.view(pa.int64())
    span = pc.min_max(epochs)
    first, last = span["min"].as_py(), span["max"].as_py()
    if first is None or (first >= _FIRST_MS and last <= _LAST_MS):
        return times
    beyond = pc.or_(pc.less(epochs, _FIRST_MS), pc.greater(epochs, _LAST_MS)).fill_null(
        fill_value=False
    )
    for key in columns["key"].filter(beyond).to_pylist():
        tally.note_bad(part_name, repr(key), "last_modified is outside the years 1 to 9999")
    return pc.if_else(beyond, pa.scalar(None, times.type), times)
