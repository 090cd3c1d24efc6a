"""The verified text stream of a CSV part: exact reads, early errors, small memory."""

from __future__ import annotations

import gzip
import hashlib
import random

import pytest

from stocktake.errors import PartCorruptError, StoreUnavailableError
from stocktake.inventory._part_stream import PartStream
from stocktake.model import PartRef, PartTally
from stocktake.testing import MemoryStore

NOISE = random.Random(7).randbytes(3_000_000)


def open_stream(body: bytes, *, md5: str | None = None, size: int | None = None) -> PartStream:
    store = MemoryStore()
    store.describe("CreateBucket", "dest")
    store.put("dest", "part", body)
    digest = hashlib.md5(body).hexdigest() if md5 is None else md5
    part = PartRef(0, "part", len(body) if size is None else size, digest)
    return PartStream(store.get("dest", "part"), part, PartTally())


@pytest.mark.parametrize("size_bytes", [1 << 10, 999, 1 << 19, 1 << 22])
@pytest.mark.parametrize("packed", [True, False])
def test_reads_are_exact_until_the_end(size_bytes, packed) -> None:
    """INV-5: parsers that get short reads cut rows."""
    data = NOISE[:1_500_000] + b"\0" * 500_000
    stream = open_stream(gzip.compress(data, 1) if packed else data)
    pieces = []
    while piece := stream.read(size_bytes):
        pieces.append(piece)
    assert {len(piece) for piece in pieces[:-1]} <= {size_bytes}
    assert b"".join(pieces) == data
    assert stream.read(10) == b""


def test_reading_all_at_once_gives_all() -> None:
    assert open_stream(gzip.compress(NOISE, 1)).read() == NOISE
    assert open_stream(gzip.compress(b"abc")).read(0) == b""


def test_member_that_begins_at_the_last_byte_of_a_piece_is_read() -> None:
    """INV-5: its two magic bytes come in two pieces of 1 MiB."""
    tail = gzip.compress(b"tail", mtime=0)
    for missing in range(4):
        first = gzip.compress(NOISE[: (1 << 20) - 4096], 0, mtime=0)
        padding = b"\0" * ((1 << 20) - len(first) - missing)
        stream = open_stream(first + padding + tail)
        assert stream.read() == NOISE[: (1 << 20) - 4096] + b"tail"


def test_many_small_members_are_read() -> None:
    """INV-5: block-gzipped parts."""
    blocks = [NOISE[at : at + 60_000] for at in range(0, len(NOISE), 60_000)]
    assert open_stream(b"".join(gzip.compress(b, 1) for b in blocks)).read() == NOISE


def test_wrong_md5_raises_at_the_end_and_ever_after() -> None:
    """INV-5."""
    stream = open_stream(gzip.compress(b"abc"), md5="0" * 32)
    with pytest.raises(PartCorruptError, match="has MD5"):
        stream.read(100)
    with pytest.raises(PartCorruptError, match="has MD5"):
        stream.read(1)


def test_reader_that_stops_early_still_verifies() -> None:
    """INV-5."""
    stream = open_stream(gzip.compress(NOISE, 1), md5="0" * 32)
    assert stream.read(10) == NOISE[:10]
    with pytest.raises(PartCorruptError, match="has MD5"):
        stream.finish()


def test_part_that_ends_early_is_told_by_its_size() -> None:
    """INV-5."""
    stream = open_stream(gzip.compress(b"abc"), size=10**6)
    with pytest.raises(PartCorruptError, match=r"ended after \d+ bytes, the manifest says 1000000"):
        stream.read()


def test_damaged_part_without_md5_may_be_tried_again() -> None:
    stream = open_stream(gzip.compress(NOISE, 1)[:-100], md5="")
    with pytest.raises(PartCorruptError, match="is cut off") as caught:
        stream.read()
    assert caught.value.retryable


def test_damage_that_the_md5_explains_is_told_by_the_md5() -> None:
    """INV-5: a broken transfer is worth another try, a broken file is not."""
    body = bytearray(gzip.compress(NOISE, 1))
    md5 = hashlib.md5(bytes(body)).hexdigest()
    body[1000:1004] = b"\xff\xff\xff\xff"
    with pytest.raises(PartCorruptError, match="has MD5"):
        open_stream(bytes(body), md5=md5).read()
    garbage = gzip.compress(b"abc") + b"xx"
    with pytest.raises(PartCorruptError, match="has MD5"):
        open_stream(garbage, md5=md5).read()


def test_failure_of_the_store_passes_through() -> None:
    stream = open_stream(gzip.compress(NOISE, 1))

    def fail(_size: int) -> bytes:
        raise StoreUnavailableError("reset")

    stream.read(10)
    stream._body.read = fail
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            stream.finish()


def test_stream_looks_like_a_file_that_parsers_may_close() -> None:
    stream = open_stream(gzip.compress(b"abc"))
    assert (stream.readable(), stream.seekable(), stream.writable()) == (True, False, False)
    stream.close()
    assert not stream.closed
    stream.finish()


def test_stored_bytes_are_counted_as_they_come() -> None:
    body = gzip.compress(NOISE, 1)
    stream = open_stream(body)
    stream.read(10)
    assert stream._tally.bytes_read == 1 << 20
    stream.finish()
    assert stream._tally.bytes_read == len(body)
