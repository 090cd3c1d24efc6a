r"""CSV parts as AWS writes them: no header, every field quoted, keys form-encoded, gzip.

>>> form_encode(pa.array(["2020/a b=1.jpg", "1+1"])).to_pylist()
['2020/a+b%3D1.jpg', '1%2B1']
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from isal import isal_zlib

from stocktake.errors import ReportWriteError
from stocktake.inventory._write_columns import ReportColumn

_KEPT = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*/ ")
_ESCAPED = np.array([byte not in _KEPT for byte in range(256)])
_HEX = np.frombuffer(b"0123456789ABCDEF", np.uint8)
_SPACE, _PLUS, _PERCENT = (np.uint8(ord(char)) for char in " +%")
_ROWS_MAX = 16_384
_GZIP_LEVEL = 3
_GZIP_WBITS = 31
_TIME_WIDTH = 23


class ByteSink(Protocol):
    """Where encoded bytes go."""

    def write(self, data: bytes) -> int:
        """Take all of these bytes."""


@dataclass(frozen=True, slots=True)
class CsvStyle:
    r"""How a CSV part looks. The default is AWS; look-alike stores differ.

    Attributes:
        header: Write the column names as the first row of every part.
        line_end: `\n` or `\r\n`.
    """

    header: bool = False
    line_end: str = "\n"


class CsvPart:
    """Encodes object-record batches into one gzipped CSV part, a block at a time."""

    def __init__(
        self,
        sink: ByteSink,
        columns: Sequence[ReportColumn],
        bucket: str,
        style: CsvStyle = CsvStyle(),
    ) -> None:
        self._sink = sink
        self._columns = columns
        self._bucket = bucket
        self._style = style
        self._gzip = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WBITS)
        if style.header:
            names = '","'.join(column.csv_name for column in columns)
            self._put(f'"{names}"{style.line_end}'.encode())

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows, in their order."""
        for start in range(0, batch.num_rows, _ROWS_MAX):
            self._put(self._render(batch.slice(start, _ROWS_MAX)))

    def finish(self) -> None:
        """Write what is left; nothing may follow."""
        self._sink.write(self._gzip.flush())

    def abandon(self) -> None:
        """Nothing is held that needs to be freed."""

    def _put(self, data: bytes | memoryview) -> None:
        packed = self._gzip.compress(data)
        if packed:
            self._sink.write(packed)

    def _render(self, rows: pa.RecordBatch) -> memoryview:
        fields = [
            pa.scalar(_quoted_text(self._bucket))
            if column.name == "bucket"
            else csv_field(rows.column(column.name), column.name)
            for column in self._columns
        ]
        joined = pc.binary_join_element_wise(*fields, '","')
        return _text_bytes(pc.binary_join_element_wise('"', joined, f'"{self._style.line_end}', ""))


def csv_field(values: pa.Array, name: str) -> pa.Array:
    """One column as the texts between the quotes: no nulls, quotes doubled, keys encoded."""
    if name == "key":
        return form_encode(values)
    if pa.types.is_timestamp(values.type):
        return _times(values)
    text = pc.fill_null(pc.cast(values, pa.string()), "")
    if name == "version_id":
        return pc.if_else(pc.equal(text, "null"), "", text)
    if not pa.types.is_primitive(values.type) and pc.any(pc.match_substring(text, '"')).as_py():
        return pc.replace_substring(text, '"', '""')
    return text


def form_encode(keys: pa.Array) -> pa.Array:
    """Keys in form encoding: space is `+`; all but letters, digits and `-_.*/` is %XX of UTF-8.

    Works on the concatenated bytes of all keys, so the cost is that of the bytes, not of the rows.
    """
    keys = pc.cast(keys, pa.string())
    count = len(keys)
    offsets, data = _string_parts(keys)
    escapes = np.flatnonzero(_ESCAPED[data])
    data = np.where(data == _SPACE, _PLUS, data)
    if len(escapes) == 0:
        return _strings(count, offsets, data)
    # an escape at i lands at i plus two bytes for each escape before it
    landing = escapes + 2 * np.arange(len(escapes))
    out = np.empty(len(data) + 2 * len(escapes), np.uint8)
    plain = np.ones(len(out), np.bool_)
    plain[landing] = plain[landing + 1] = plain[landing + 2] = False
    escaped = data[escapes]
    out[landing] = _PERCENT
    out[landing + 1] = _HEX[escaped >> 4]
    out[landing + 2] = _HEX[escaped & 15]
    kept = np.ones(len(data), np.bool_)
    kept[escapes] = False
    out[plain] = data[kept]
    if len(out) > np.iinfo(np.int32).max:
        raise ReportWriteError("one batch holds more than 2 GB of encoded keys", rows=count)
    moved = offsets + 2 * np.searchsorted(escapes, offsets).astype(np.int32)
    return _strings(count, moved.astype(np.int32), out)


def _times(values: pa.Array) -> pa.Array:
    """`2024-05-06T22:38:00.000Z`, or '' for a null."""
    if values.type.tz is not None:
        values = pc.cast(values, pa.timestamp("ms", tz="UTC"), safe=False)
    naive = pc.cast(values, pa.timestamp("ms"), safe=False)
    text = pc.cast(pc.fill_null(naive, pa.scalar(0, pa.timestamp("ms"))), pa.string())
    _, data = _string_parts(text)
    count = len(text)
    if len(data) != count * _TIME_WIDTH:
        raise ReportWriteError("a modification time is outside the years 0 to 9999")
    cells = np.empty((count, _TIME_WIDTH + 1), np.uint8)
    cells[:, :_TIME_WIDTH] = data.reshape(count, _TIME_WIDTH)
    cells[:, 10] = ord("T")
    cells[:, _TIME_WIDTH] = ord("Z")
    ends = np.arange(count + 1, dtype=np.int32) * np.int32(_TIME_WIDTH + 1)
    stamped = _strings(count, ends, cells)
    return pc.if_else(naive.is_valid(), stamped, "") if naive.null_count else stamped


def _quoted_text(text: str) -> str:
    return text.replace('"', '""')


def _string_parts(text: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Offsets (starting at 0) and bytes of a string array without nulls, as views."""
    _, offset_buffer, data_buffer = text.buffers()
    if len(text) == 0 or data_buffer is None:
        return np.zeros(len(text) + 1, np.int32), np.zeros(0, np.uint8)
    offsets = np.frombuffer(offset_buffer, np.int32)[text.offset : text.offset + len(text) + 1]
    data = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    return offsets - offsets[0], data


def _strings(count: int, offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8]) -> pa.Array:
    return pa.StringArray.from_buffers(
        count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))
    )


def _text_bytes(text: pa.Array) -> memoryview:
    _, data = _string_parts(text)
    return data.data
