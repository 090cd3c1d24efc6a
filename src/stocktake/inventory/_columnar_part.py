"""The rows of an ORC or Parquet part, verified, as blocks of the object record.

Both formats need random access, and no byte may count before the part's MD5 is known. Parts are
never written to disk, and a real one can have 180 MB, so two of them in memory would break the
memory bound. Hence:

* up to `buffer_bytes_max` (32 MB) the part is read once into memory, verified, then parsed;
* a bigger one is streamed once through MD5 and dropped, then parsed by ranged reads that are pinned
  (If-Match) to the ETag of the bytes that were verified, and held to the CRC-32 of each 2 MiB of
  them. It travels twice: the price, about two seconds for 180 MB inside the store's region, buys a
  bound of about 100 MB per worker at any size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from isal import isal_zlib

from stocktake.errors import ManifestInvalidError, PartCorruptError
from stocktake.inventory._columnar_file import Footer, read_batches, read_footer
from stocktake.inventory._columnar_values import (
    to_boolean,
    to_instant,
    to_key,
    to_size,
    to_text,
)
from stocktake.inventory._csv_part import normalise_columns
from stocktake.inventory._layout import ACL_COLUMN, canonical_columns
from stocktake.inventory._manifest import ReportFormat
from stocktake.inventory._part_access import PartAccess
from stocktake.inventory._part_stream import verify_digest
from stocktake.inventory._ranged_file import BLOCK_BYTES, FOOTER_BLOCK_BYTES, RangedFile
from stocktake.model import Block, PartRef, PartTally, object_schema
from stocktake.store import ObjectBody

_CONVERTERS = {
    "is_latest": to_boolean,
    "is_delete_marker": to_boolean,
    "size_bytes": to_size,
    "last_modified": to_instant,
}


def peek_footer(access: PartAccess, file_format: ReportFormat) -> Footer:
    """The columns of a part from its last bytes, unverified: two or three small requests.

    Raises:
        ReportExpiredError: The part is gone.
        PartCorruptError: Its size is not what the manifest says, or it has no footer.
    """
    file = RangedFile(access, access.head().etag, block_bytes=FOOTER_BLOCK_BYTES)
    return read_footer(file, file_format, access.part)


def read_columnar_part(
    access: PartAccess,
    file_format: ReportFormat,
    output: tuple[str, ...],
    tally: PartTally,
    *,
    buffer_bytes_max: int,
) -> Iterator[Block]:
    """The rows of one part, in its order, at most 65,536 per block; see above for the memory.

    Args:
        access: The part.
        file_format: ORC or Parquet.
        output: Our names of the columns to deliver. A column that this part lacks is null.
        tally: Rows, bad rows (no key, impossible size) and bytes are counted here.
        buffer_bytes_max: Up to this size the part is held in memory.

    Raises:
        PartCorruptError: Size, MD5 or structure is wrong; nothing was given then.
        PartBombError: It claims far more rows than its size can hold.
        ReportExpiredError: It is gone.
    """
    with access.open() as body:
        source = _verified(body, access, tally, buffer_bytes_max)
    part = access.part
    footer = read_footer(source, file_format, part)
    names = _columns_of(footer, part)
    _warn_of_others(names, output, part, tally)
    shaper = _Shaper(names, output, part, tally)
    if footer.rows:
        for batch in read_batches(source, file_format, part, shaper.wanted):
            yield from shaper.blocks(batch)


def _verified(body: ObjectBody, access: PartAccess, tally: PartTally, buffer_bytes_max: int) -> Any:
    """Something pyarrow can seek in, whose bytes have the MD5 that the manifest says."""
    part = access.part
    md5 = hashlib.md5(usedforsecurity=False)
    # one buffer of the right size: joining pieces would hold the part twice
    kept = bytearray(part.size_bytes) if part.size_bytes <= buffer_bytes_max else None
    checksums = []
    size_bytes = 0
    while piece := body.read(BLOCK_BYTES):
        md5.update(piece)
        if kept is None:
            checksums.append(isal_zlib.crc32(piece))
        else:
            kept[size_bytes : size_bytes + len(piece)] = piece
        size_bytes += len(piece)
        tally.bytes_read += len(piece)
    verify_digest(part, size_bytes, md5.hexdigest())
    if kept is not None:
        return pa.BufferReader(pa.py_buffer(kept))
    return RangedFile(access, body.head.etag, checksums=checksums)


def _columns_of(footer: Footer, part: PartRef) -> dict[str, str]:
    """The part's own column names by ours."""
    if not footer.rows and "key" not in {name.lower() for name in footer.columns}:
        return {}
    try:
        ours = canonical_columns(footer.columns)
    except ManifestInvalidError as error:
        raise PartCorruptError(
            f"part {part.name} has a schema that cannot be used: {error.message}",
            retryable=False,
            part=part.name,
        ) from error
    return dict(zip(ours, footer.columns, strict=True))


def _warn_of_others(
    names: dict[str, str], output: tuple[str, ...], part: PartRef, tally: PartTally
) -> None:
    """Parts of one report should have one schema; columns that only later ones have are lost."""
    others = sorted(set(names) - {*output, "bucket", ACL_COLUMN})
    if others:
        tally.warnings.append(
            f"part {part.name} has columns that the report's first part lacks, they are left out: "
            + ", ".join(names[name] for name in others)
        )


class _Shaper:
    """Makes blocks of one part's batches."""

    def __init__(
        self, names: dict[str, str], output: tuple[str, ...], part: PartRef, tally: PartTally
    ) -> None:
        self._names = {ours: theirs for ours, theirs in names.items() if ours in output}
        self._schema = object_schema(output)
        self._part = part
        self._tally = tally
        self.wanted = list(self._names.values())

    def blocks(self, batch: pa.RecordBatch) -> Iterator[Block]:
        """The good rows of a batch, and apart from them those whose key is not UTF-8."""
        keys, undecodable = to_key(batch.column(self._names["key"]))
        columns = {"key": keys}
        for ours, theirs in self._names.items():
            if ours != "key":
                columns[ours] = _CONVERTERS.get(ours, to_text)(batch.column(theirs))
        flagged = np.zeros(batch.num_rows, dtype=np.bool_)
        flagged[undecodable] = True
        if keys.null_count:
            kept = pc.is_valid(keys)
            self._note_keyless(batch.filter(pc.invert(kept)))
            columns = {name: column.filter(kept) for name, column in columns.items()}
            flagged = flagged[kept.to_numpy(zero_copy_only=False)]
        columns = normalise_columns(columns, self._part.name, self._tally)
        arrays = [self._aligned(columns, field, len(flagged)) for field in self._schema]
        yield from self._split(pa.RecordBatch.from_arrays(arrays, schema=self._schema), flagged)

    def _aligned(self, columns: dict[str, pa.Array], field: pa.Field, rows: int) -> pa.Array:
        """The column, or what stands for one that other parts have and this one lacks."""
        if field.name in columns:
            return columns[field.name]
        if field.name == "version_id":
            return pa.repeat(pa.scalar("null", pa.string()), rows)
        return pa.nulls(rows, field.type)

    def _split(
        self, rows: pa.RecordBatch, flagged: np.ndarray[Any, np.dtype[np.bool_]]
    ) -> Iterator[Block]:
        apart = None
        if flagged.any():
            apart = rows.filter(pa.array(flagged))
            rows = rows.filter(pa.array(~flagged))
            self._tally.undecodable_keys += apart.num_rows
        self._tally.rows += rows.num_rows
        if rows.num_rows or apart is not None:
            yield Block(rows, apart)

    def _note_keyless(self, rows: pa.RecordBatch) -> None:
        for row in rows.to_pylist():
            self._tally.note_bad(self._part.name, repr(row), "no key")
