"""Tar, by libarchive or by tarfile: the end marker is required, and nothing may follow it."""

from __future__ import annotations

from collections.abc import Iterator

from stocktake.errors import ArchiveCorruptError, ArchiveIncompleteError
from stocktake.unpack._entry import Entry, Flow, Reading
from stocktake.unpack._libarchive import ArchiveHandle
from stocktake.unpack._library import Library
from stocktake.unpack._streams import Packed
from stocktake.unpack._tarfile import tarfile_entries

TAR_BLOCK_BYTES = 512
_DRAIN_BYTES = 1 << 18


def tar_entries(source: Packed, reading: Reading) -> Iterator[Entry]:
    """The entries of a tar, front to end; then the source is read to its own end."""
    if reading.library is None:
        yield from tarfile_entries(source, reading)
    else:
        yield from _by_libarchive(source, reading, reading.library)
    drain(source, reading)


def _by_libarchive(source: Packed, reading: Reading, library: Library) -> Iterator[Entry]:
    flow = Flow(source)
    with ArchiveHandle(library, source, ("tar",), reading.name) as handle:
        after = 0
        while (header := handle.next_header()) is not None:
            yield flow.entry(header, handle.pieces)
            handle.skip()
            after = handle.position
        marker_bytes = handle.position - _to_block(after)
        if marker_bytes < TAR_BLOCK_BYTES:
            raise ArchiveIncompleteError(
                f"{reading.name} ends without the end marker of a tar", name=reading.name
            )
        _check_rest(handle.unconsumed(), reading.name)


def drain(source: Packed, reading: Reading) -> None:
    """Read to the end, so that the last checksum is looked at: only zeros may be there."""
    count = 0
    while rest := source.read(_DRAIN_BYTES):
        _check_rest(rest, reading.name)
        count += len(rest)
        reading.budget.take_bytes(len(rest))
        reading.budget.check_ratio(count, count, source.taken_bytes)


def _check_rest(rest: bytes, name: str) -> None:
    if rest.strip(b"\0"):
        said = f"{name} goes on after its end: another archive joined to it?"
        raise ArchiveCorruptError(said, name=name)


def _to_block(offset: int) -> int:
    return -(-offset // TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES
