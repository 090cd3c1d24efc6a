"""The compressed layer around a tar or a single file: gz, bz2, xz, zst; every checksum checked."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from isal import igzip_lib

from stocktake.errors import ArchiveCorruptError, ArchiveIncompleteError, ArchiveLimitError
from stocktake.unpack._streams import BLOCK_BYTES, Packed, Pieces
from stocktake.unpack._zstd import zstd_pieces

READ_BYTES = 1 << 18


class Decoder(Protocol):
    """What isal, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool:
        """The member's own end was reached, its checksum is right."""

    @property
    def needs_input(self) -> bool:
        """There is nothing more to give without more bytes."""

    @property
    def unused_data(self) -> bytes:
        """What came after the end."""

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        """More of what there is, at most that many bytes."""


def decoder_errors() -> tuple[type[Exception], ...]:
    """What decoders raise for bytes that they cannot decode."""
    isal_error: Any = igzip_lib.IsalError  # its stub says instance
    return (isal_error, lzma.LZMAError, OSError, EOFError, ValueError)


def filtered(packing: str, source: Packed, name: str, memory_bytes: int) -> Pieces:
    """The decoded bytes of a stream; the end comes only after its last checksum was right."""
    if packing == "zst":
        return Pieces(zstd_pieces(source, name, memory_bytes), source)
    new_decoder, pad = _decoders(memory_bytes)[packing]
    return Pieces(_decoded(source, new_decoder, name, pad), source)


def _decoders(memory_bytes: int) -> dict[str, tuple[Callable[[], Any], int]]:
    """How to begin a member, and what a padding of zeros after one is a multiple of."""
    return {
        "gz": (lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), 1),
        "bz2": (bz2.BZ2Decompressor, 0),
        "xz": (lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory_bytes), 4),
    }


def _decoded(
    source: Packed, new_decoder: Callable[[], Decoder], name: str, pad: int
) -> Iterator[bytes]:
    """All members, one after the other, to the end of the source."""
    data = source.read(READ_BYTES)
    while True:
        decoder = new_decoder()
        yield from _one_member(source, decoder, data, name)
        data = _after_padding(source, decoder.unused_data, name, pad)
        if not data:
            return


def _one_member(source: Packed, decoder: Decoder, data: bytes, name: str) -> Iterator[bytes]:
    while not decoder.eof:
        try:
            piece = decoder.decompress(data, BLOCK_BYTES)
        except decoder_errors() as error:
            raise decoding_error(name, error) from error
        if piece:
            yield piece
        data = b""
        if decoder.needs_input and not decoder.eof:
            data = source.read(READ_BYTES)
            if not data:
                raise ArchiveIncompleteError(f"{name} ends in the middle", name=name)


def _after_padding(source: Packed, rest: bytes, name: str, pad: int) -> bytes:
    """Where the next member begins; b"" if there is none."""
    padding = 0
    while True:
        rest = rest or source.read(READ_BYTES)
        kept = rest.lstrip(b"\0") if pad else rest
        padding += len(rest) - len(kept)
        if kept or not rest:
            break
        rest = b""
    if pad and padding % pad:
        raise ArchiveCorruptError(f"{name} has bytes after its end", name=name)
    return kept


def decoding_error(name: str, error: Exception) -> Exception:
    """What a decoder's error means."""
    if isinstance(error, lzma.LZMAError) and "limit" in str(error).lower():
        return memory_error(name)
    return ArchiveCorruptError(f"{name} cannot be decoded: {error}", name=name)


def memory_error(name: str) -> ArchiveLimitError:
    """The decoder wants more memory than it may have."""
    return ArchiveLimitError(
        f"{name} needs more memory to decode than is allowed",
        hint="pack it with a smaller dictionary, or allow more: archive_decoder_memory_bytes",
        name=name,
    )
