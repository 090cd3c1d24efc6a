"""Bytes as they come, held against everything that a manifest says of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from stocktake.manifests._etag_check import ParsedEtag, parse_etag
from stocktake.manifests._part_sizes import part_size_guesses
from stocktake.manifests._record import UploadRecord
from stocktake.store import composite_etag, crc64nvme, encode_crc64nvme

_GUESSES_MAX = 12
"""Part sizes that are tried at once: each costs an MD5 of all bytes."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of an object's bytes before they are read. None: not known.

    Attributes:
        etag: Counts only where nothing better is known. It can prove the bytes, and never disprove
            them: nobody says how the object is encrypted.
        part_size_bytes: Of the multipart upload that the ETag is of.
    """

    size_bytes: int | None
    sha256: str | None = None
    md5: str | None = None
    crc64nvme: str | None = None
    etag: str | None = None
    part_size_bytes: int | None = None

    @classmethod
    def of(cls, record: UploadRecord) -> Expected:
        """What a manifest's record says."""
        return cls(
            record.size_bytes,
            record.sha256,
            record.md5,
            record.crc64nvme,
            record.etag,
            record.part_size_bytes,
        )

    @property
    def has_digest(self) -> bool:
        """Something that can disprove bytes is known."""
        return bool(self.sha256 or self.md5 or self.crc64nvme)


@dataclass(frozen=True, slots=True)
class ByteVerdict:
    """What came of it.

    Attributes:
        by: What told: `size`, `sha256`, `md5`, `crc64nvme`, `etag`; empty if nothing could.
        expected: As the manifest has it.
        found: As the bytes have it.
        same: None: the size fits, and nothing is known to compare the bytes with.
    """

    by: str
    expected: str
    found: str
    same: bool | None


def other_size(expected_bytes: int, found_bytes: int) -> ByteVerdict:
    """The verdict on bytes that are too many or too few."""
    return ByteVerdict("size", f"{expected_bytes:,} bytes", f"{found_bytes:,} bytes", same=False)


class ByteCheck:
    """Takes an object's bytes in order and says whether they are the expected ones."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._size_bytes = 0
        parsed = None
        if not expected.has_digest:
            parsed = parse_etag(expected.etag)
        md5 = expected.md5
        if parsed is not None and parsed.parts is None:
            md5 = parsed.digest
        self._md5_expected = md5 and md5.lower()
        self._by_etag = md5 is not None and expected.md5 is None
        self._sha256 = hashlib.sha256() if expected.sha256 else None
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 and not expected.sha256 else None
        self._crc = 0 if expected.crc64nvme else None
        self._parts = [_Parts(size) for size in _part_sizes(expected, parsed)]

    @property
    def size_bytes(self) -> int:
        """How many bytes came so far."""
        return self._size_bytes

    def update(self, piece: bytes | memoryview) -> None:
        """The next bytes."""
        self._size_bytes += len(piece)
        if self._sha256 is not None:
            self._sha256.update(piece)
        if self._md5 is not None:
            self._md5.update(piece)
        if self._crc is not None:
            self._crc = crc64nvme(piece, self._crc)
        for parts in self._parts:
            parts.update(memoryview(piece))

    @cached_property
    def verdict(self) -> ByteVerdict:
        """Of everything that came."""
        size = self._expected.size_bytes
        if size is not None and size != self._size_bytes:
            return other_size(size, self._size_bytes)
        compared = self._compared()
        for by, expected, found in compared:
            if expected != found:
                # encrypted by KMS or the customer, an ETag of the same bytes is another one
                return ByteVerdict(by, expected, found, same=None if by == "etag" else False)
        if not compared:
            return ByteVerdict("", "", "", same=None)
        by, expected, found = compared[0]
        return ByteVerdict(by, expected, found, same=True)

    def _compared(self) -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = []
        known = self._expected
        if self._sha256 is not None:
            found.append(("sha256", str(known.sha256).lower(), self._sha256.hexdigest()))
        if self._crc is not None:
            found.append(("crc64nvme", str(known.crc64nvme), encode_crc64nvme(self._crc)))
        if self._md5 is not None:
            by = "etag" if self._by_etag else "md5"
            found.append((by, str(self._md5_expected), self._md5.hexdigest()))
        etag, etags = str(known.etag).lower(), [parts.etag() for parts in self._parts]
        if etag in etags:
            found.append(("etag", etag, etag))
        elif etags and known.part_size_bytes:  # none of several guesses proves nothing
            found.append(("etag", etag, etags[0]))
        return found


def _part_sizes(expected: Expected, parsed: ParsedEtag | None) -> list[int]:
    """With what sizes of parts the ETag may have come about."""
    if parsed is None or parsed.parts is None:
        return []
    if expected.part_size_bytes:
        return [expected.part_size_bytes]
    if expected.size_bytes is None:
        return []
    return part_size_guesses(expected.size_bytes, parsed.parts)[:_GUESSES_MAX]


class _Parts:
    """The ETag of bytes that were uploaded in parts of one size."""

    def __init__(self, part_bytes: int) -> None:
        self._part_bytes = part_bytes
        self._left = part_bytes
        self._part = hashlib.md5(usedforsecurity=False)
        self._etags: list[str] = []

    def update(self, piece: memoryview) -> None:
        while piece:
            taken, piece = piece[: self._left], piece[self._left :]
            self._part.update(taken)
            self._left -= len(taken)
            if not self._left:
                self._end()

    def etag(self) -> str:
        if self._left < self._part_bytes or not self._etags:
            self._end()
        return composite_etag(tuple(self._etags)) or ""

    def _end(self) -> None:
        self._etags.append(self._part.hexdigest())
        self._part = hashlib.md5(usedforsecurity=False)
        self._left = self._part_bytes
