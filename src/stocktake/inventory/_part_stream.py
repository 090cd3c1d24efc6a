"""A CSV part as inflated bytes, verified: store -> MD5 -> gunzip, in a few MB of memory.

The bytes are handed on before their checksum is known, so whoever reads must treat them as a draft
until the stream has ended: the read that reaches the end raises if anything does not agree.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol, cast

from isal import igzip_lib, isal_zlib

from stocktake.errors import PartBombError, PartCorruptError, StocktakeError
from stocktake.model import PartRef, PartTally
from stocktake.store import ObjectBody

_INFLATE_ERROR = cast("type[Exception]", igzip_lib.IsalError)
_PIECE_BYTES = 1 << 20
_SLICE_BYTES = 128 << 10
"""How much goes to the inflater at once: what it cannot use yet is copied on each call."""
_RATIO_MAX = 400
_SLACK_BYTES = 64 << 20
"""Real parts inflate 4 to 10 times, one with equal ACLs 130 times; deflate can do 1,030."""
_MEMBERS_SLACK = 10_000
_MEMBER_BYTES_MIN = 1024
_GZIP_MAGIC = b"\x1f\x8b"
_OTHER_MAGICS = {
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PAR1": "Parquet",
    b"ORC": "ORC",
}


class _Inflater(Protocol):
    """What is used of isal's decompressor."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: Any, max_length: int, /) -> bytes: ...


class PartStream:
    """The text of one CSV part as a binary file: `read(n)` gives exactly n bytes until the end.

    Gzip of any number of members, zero padding behind them, and plain CSV (from stores that do not
    compress) are recognised by their first bytes. Use it as a context manager.

    Args:
        body: The stored part, not yet read.
        part: What size and MD5 it must have.
        tally: `bytes_read` grows as stored bytes come in.
    """

    def __init__(self, body: ObjectBody, part: PartRef, tally: PartTally) -> None:
        self._failure: StocktakeError | None = None
        self._body = body
        self._part = part
        self._tally = tally
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._stored_bytes = 0
        self._inflated_bytes = 0
        self._piece = b""
        self._offset = 0
        self._ended = False
        self._gzip: bool | None = None
        self._members = 0
        self._inflater: _Inflater | None = None

    def read(self, size_bytes: int = -1) -> bytes:
        """Exactly `size_bytes`, fewer only at the end, which is verified; all the rest for -1.

        Raises:
            PartCorruptError: Wrong size or MD5, cut off, or not gzip. `retryable` is False if the
                MD5 agrees: then the part was written like that.
            PartBombError: It inflates beyond 400 times its size.
            StoreError: The store failed while it was read.
        """
        if self._failure is not None:
            raise self._failure
        try:
            return self._read(size_bytes)
        except StocktakeError as error:
            self._failure = error
            raise

    def finish(self) -> None:
        """Read what is left, so that size and MD5 are verified; free if the end was reached."""
        while self.read(_PIECE_BYTES):
            pass

    @property
    def closed(self) -> bool:
        """False: the body belongs to whoever opened it."""
        return False

    def close(self) -> None:
        """Nothing: parsers close their input before `finish` had its turn."""

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """False."""
        return False

    def writable(self) -> bool:
        """False."""
        return False

    def _read(self, size_bytes: int) -> bytes:
        wanted = size_bytes if size_bytes >= 0 else 1 << 62
        pieces = []
        while wanted:
            out = self._produce(min(wanted, _PIECE_BYTES))
            if not out:
                break
            wanted -= len(out)
            pieces.append(out)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _produce(self, size_max: int) -> bytes:
        """Some inflated bytes, at least one; nothing only at the verified end."""
        if self._gzip is None:
            self._gzip = self._recognise()
        out = self._inflate(size_max) if self._gzip else bytes(self._take(size_max))
        self._inflated_bytes += len(out)
        if self._inflated_bytes > _SLACK_BYTES + _RATIO_MAX * self._part.size_bytes:
            raise self._bomb(f"inflates to more than {_RATIO_MAX} times its size")
        return out

    def _recognise(self) -> bool:
        """True for gzip, False for plain text."""
        self._fill()
        for magic, name in _OTHER_MAGICS.items():
            if self._piece.startswith(magic):
                raise self._corrupt(f"is a {name} file, not gzip or text")
        return self._piece.startswith(_GZIP_MAGIC)

    def _inflate(self, size_max: int) -> bytes:
        while True:
            if self._inflater is None:
                if not self._next_member():
                    return b""
                self._inflater = isal_zlib.decompressobj(31)
            out = self._step(self._inflater, size_max)
            if self._inflater.eof:
                # what it did not use is always the end of the last slice of this piece
                self._offset -= len(self._inflater.unused_data)
                self._inflater = None
            if out:
                return out

    def _step(self, inflater: _Inflater, size_max: int) -> bytes:
        data = inflater.unconsumed_tail or self._take(_SLICE_BYTES)
        try:
            out = inflater.decompress(data, size_max)
        except _INFLATE_ERROR as error:
            self._drain()
            raise self._corrupt(f"cannot be inflated: {error}") from error
        if not out and not data and not inflater.eof:
            raise self._corrupt("is cut off inside its gzip stream")
        return out

    def _next_member(self) -> bool:
        """True if a gzip member follows; zeros behind a member are skipped."""
        while self._members and self._fill() and self._piece[self._offset] == 0:
            rest = self._piece[self._offset :].lstrip(b"\0")
            self._offset = len(self._piece) - len(rest)
        if not self._fill():
            return False
        if self._offset == len(self._piece) - 1:
            self._piece, self._offset = self._piece[self._offset :] + self._receive(), 0
        if not self._piece.startswith(_GZIP_MAGIC, self._offset):
            self._drain()
            raise self._corrupt("has other data behind its gzip stream")
        self._members += 1
        if self._members > _MEMBERS_SLACK + self._part.size_bytes // _MEMBER_BYTES_MIN:
            raise self._bomb("consists of countless tiny gzip members")
        return True

    def _take(self, size_max: int) -> memoryview:
        """Up to that many stored bytes; none only at the verified end."""
        self._fill()
        taken = memoryview(self._piece)[self._offset : self._offset + size_max]
        self._offset += len(taken)
        return taken

    def _fill(self) -> bool:
        """True if there are stored bytes to take."""
        if self._offset >= len(self._piece) and not self._ended:
            self._piece, self._offset = self._receive(), 0
        return self._offset < len(self._piece)

    def _receive(self) -> bytes:
        """The next stored bytes, hashed and counted; the end is verified."""
        data = self._body.read(_PIECE_BYTES)
        self._md5.update(data)
        self._stored_bytes += len(data)
        self._tally.bytes_read += len(data)
        if not data:
            self._ended = True
            self._verify()
        return data

    def _drain(self) -> None:
        """Read to the end: a wrong MD5 explains more than what the inflater stumbled over."""
        while not self._ended:
            self._receive()

    def _verify(self) -> None:
        verify_digest(self._part, self._stored_bytes, self._md5.hexdigest())

    def _corrupt(self, what: str) -> PartCorruptError:
        name = self._part.name
        return PartCorruptError(f"part {name} {what}", retryable=not self._part.md5, part=name)

    def _bomb(self, what: str) -> PartBombError:
        name, size_bytes = self._part.name, self._part.size_bytes
        return PartBombError(
            f"part {name} of {size_bytes} bytes {what}", part=name, size_bytes=size_bytes
        )


def verify_digest(part: PartRef, size_bytes: int, md5: str) -> None:
    """Compare what was read with what the manifest says.

    Raises:
        PartCorruptError: Size or MD5 differ. A part without an MD5 passes by its size.
    """
    if size_bytes != part.size_bytes:
        raise PartCorruptError(
            f"part {part.name} ended after {size_bytes} bytes, the manifest says {part.size_bytes}",
            part=part.name,
            size_bytes=size_bytes,
        )
    if part.md5 and md5 != part.md5:
        raise PartCorruptError(
            f"part {part.name} has MD5 {md5}, the manifest says {part.md5}",
            part=part.name,
            md5=md5,
            expected_md5=part.md5,
        )
