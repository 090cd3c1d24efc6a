"""Archives of every kind, made by code; and what a walk over one gives."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import inflate64
import py7zr
import pyppmd
import zstandard

from stocktake.clock import FixedClock
from stocktake.unpack import MemberKind, UnpackLimits, Walk, walk

FIXTURES = Path(__file__).parent / "fixtures" / "archives"
Tree = Mapping[str, bytes]

TREE: dict[str, bytes] = {
    "a.txt": b"hello\n",
    "empty": b"",
    "data/rows.csv": b"".join(b"%d,%d\n" % (row, row * 7) for row in range(12_000)),
    "data/deep/er/noise.bin": random.Random(1).randbytes(150_000),
    "data/umläut é.txt": "größe".encode(),
}


def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 21, tzinfo=UTC))


def walk_bytes(data: bytes, name: str, *, code_page: str = "cp437", **limits: Any) -> Walk:
    return walk(io.BytesIO(data), name, UnpackLimits(**limits), clock=clock(), code_page=code_page)


def files(data: bytes, name: str, **options: Any) -> dict[str, bytes]:
    """Files of an archive by path, all of them read to their verified end."""
    found: dict[str, bytes] = {}
    with walk_bytes(data, name, **options) as members:
        for opened in members:
            content = opened.read()
            if opened.member.kind is MemberKind.FILE:
                assert opened.member.path not in found
                found[opened.member.path] = content
            else:
                assert content == b""
    return found


def zip_of(tree: Tree, method: int = zipfile.ZIP_DEFLATED, **options: Any) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method, **options) as archive:
        for name, content in tree.items():
            archive.writestr(name, content)
    return held.getvalue()


class Pipe(io.RawIOBase):
    """Takes bytes and cannot go back: zipfile then writes data descriptors."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def piped_zip_of(tree: Tree, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:
        for name, content in tree.items():
            with archive.open(name, "w") as member:
                member.write(content)
    return bytes(pipe.data)


def zip_by_hand(
    members: list[tuple[bytes, int, bytes, bytes]],
    *,
    flags: int = 0,
    extra: bytes = b"",
    attributes: int = 0,
) -> bytes:
    """A ZIP of (name, method, packed bytes, unpacked bytes)."""
    body, directory = bytearray(), bytearray()
    for name, method, packed, content in members:
        numbers = (zlib.crc32(content), len(packed), len(content), len(name), len(extra))
        offset = len(body)
        body += struct.pack("<4s5H3L2H", b"PK\3\4", 20, flags, method, 0, 0x5A21, *numbers)
        body += name + extra + packed
        directory += struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\1\2", 0x314, 20, flags, method, 0, 0x5A21),
            *(*numbers, 0, 0, 0, attributes, offset),
        )
        directory += name + extra
    count = len(members)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)


def deflate64(content: bytes) -> bytes:
    deflater = inflate64.Deflater()
    return deflater.deflate(content) + deflater.flush()


def zip_lzma_raw(content: bytes) -> bytes:
    """Without an end marker, as 7-Zip writes it."""
    chosen = {"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}
    packed = lzma.compress(content, lzma.FORMAT_ALONE, filters=[chosen])
    return b"\x10\x02\x05\x00" + packed[:5] + packed[13:]


def zip_ppmd(content: bytes) -> bytes:
    order, memory_mb = 6, 16
    encoder = pyppmd.Ppmd8Encoder(order, memory_mb << 20, 0)
    packed = encoder.encode(content) + encoder.flush()
    return struct.pack("<H", (order - 1) | (memory_mb - 1) << 4) + packed


def tar_of(tree: Tree, style: int = tarfile.PAX_FORMAT) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=style) as archive:
        for name, content in tree.items():
            add(archive, name, content)
    return held.getvalue()


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    archive.addfile(info, io.BytesIO(content))


def seven_zip_of(
    tree: Tree, filters: Any = None, *, packed_header: bool = True, **options: Any
) -> bytes:
    held = io.BytesIO()
    filters = filters or [{"id": py7zr.FILTER_LZMA2, "preset": 1}]
    with py7zr.SevenZipFile(held, "w", filters=filters, **options) as archive:
        archive.set_encoded_header_mode(packed_header)
        for name, content in tree.items():
            archive.writestr(content, name)
    return held.getvalue()


PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}
