"""Whether a local file is what an ETag stands for, as far as an ETag can say.

The ETag of a plain upload is the MD5 of its bytes. That of a multipart upload is the MD5 of its
parts' MD5s, `-` and their number, so it depends on the part size and is never the MD5 of the file.
With SSE-KMS and SSE-C it is neither and proves nothing. Source: S3 API reference, Object, ETag.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from stocktake.errors import SourceChangedError
from stocktake.manifests._part_sizes import part_size_guesses, parts_of

PIECE_BYTES = 1 << 20
LIKELIEST = 3
"""Part sizes that are tried first, since each costs an MD5 of the whole file."""

_MD5 = re.compile(r"[0-9a-f]{32}")
_PARTS = re.compile(r"([0-9a-f]{32})-([1-9][0-9]{0,4})")
_PLAIN = frozenset({"AES256", "SSE-S3", "NOT-SSE", "NONE", ""})


class EtagOutcome(StrEnum):
    """What a comparison with an ETag says."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class EtagVerdict:
    """What came of comparing a file with an ETag.

    Attributes:
        outcome: SAME is proven by MD5. DIFFERENT: the bytes are others, see `certain`. UNKNOWN: an
            ETag of this kind cannot say.
        why: For people.
        certain: False for DIFFERENT when nobody said how the object is encrypted: under SSE-KMS
            and SSE-C the ETag would look the same and mean nothing.
        part_size_bytes: With what part size it fits.
        read: Whether the file was read.
    """

    outcome: EtagOutcome
    why: str
    certain: bool = True
    part_size_bytes: int | None = None
    read: bool = True


@dataclass(frozen=True, slots=True)
class ParsedEtag:
    """An ETag that is made of MD5s. `parts` is None for that of a plain upload."""

    digest: str
    parts: int | None


def parse_etag(etag: str | None) -> ParsedEtag | None:
    """The ETag without quotes and in lower case; None if it is of no kind that S3 makes."""
    text = (etag or "").strip().removeprefix("W/").strip('"').lower()
    if _MD5.fullmatch(text):
        return ParsedEtag(text, None)
    match = _PARTS.fullmatch(text)
    return ParsedEtag(match[1], int(match[2])) if match else None


def md5_of_etag(etag: str | None, *, encryption: str | None = None) -> str | None:
    """The MD5 that an ETag is; None if it is none: `-N`, SSE-KMS, SSE-C, another store's own.

    Nobody having said how the object is encrypted (None), a plain ETag passes for its MD5.
    """
    parsed = parse_etag(etag)
    if parsed is None or parsed.parts is not None or _hides_md5(encryption):
        return None
    return parsed.digest


def check_etag(
    open_file: Callable[[], BinaryIO],
    size_bytes: int,
    etag: str | None,
    *,
    encryption: str | None = None,
    part_size_bytes: int | None = None,
) -> EtagVerdict:
    """Compare a local file with an ETag.

    Part sizes that have to be guessed are tried in two passes: the likeliest, then all others. The
    object's size is the caller's to compare first: `size_bytes` is the file's.

    Args:
        open_file: Opens the file at its beginning. Not called if the answer needs no bytes.
        size_bytes: Of the file.
        etag: Of the object.
        encryption: As HEAD or an inventory has it (`AES256`, `aws:kms`, `SSE-C`, `NOT-SSE`, ...);
            None if nobody said.
        part_size_bytes: Of the multipart upload, if it is known. It is then not guessed.

    Raises:
        SourceChangedError: The file has another size than that.
        OSError: It cannot be read.
    """
    parsed = parse_etag(etag)
    if parsed is None:
        return _unknown("this ETag is not made of MD5s")
    if _hides_md5(encryption):
        return _unknown(f"with {encryption} an ETag says nothing about the bytes")
    if parsed.parts is None:
        return _check_plain(open_file, size_bytes, parsed.digest, encryption)
    sizes = _part_sizes(size_bytes, parsed.parts, part_size_bytes)
    if not sizes:
        return EtagVerdict(
            EtagOutcome.DIFFERENT,
            f"{size_bytes:,} bytes cannot be made of {parsed.parts:,} parts",
            certain=encryption is not None,
            read=False,
        )
    for some in (sizes[:LIKELIEST], sizes[LIKELIEST:]):
        digests = composite_digests(open_file, size_bytes, some) if some else []
        if parsed.digest in digests:
            size = some[digests.index(parsed.digest)]
            return EtagVerdict(
                EtagOutcome.SAME,
                f"its {parsed.parts} parts of {size:,} bytes have the MD5s of the ETag",
                part_size_bytes=size,
            )
    return _no_part_size_fits(parsed.parts, len(sizes), part_size_bytes, encryption)


def composite_digests(
    open_file: Callable[[], BinaryIO], size_bytes: int, sizes: Sequence[int]
) -> list[str]:
    """The MD5 of the parts' MD5s for each part size, in one pass over the file.

    Raises:
        SourceChangedError: The file has another size than that.
    """
    trials = [_Trial(size) for size in sizes]
    _read(open_file, size_bytes, [trial.update for trial in trials])
    return [trial.digest() for trial in trials]


def _check_plain(
    open_file: Callable[[], BinaryIO], size_bytes: int, digest: str, encryption: str | None
) -> EtagVerdict:
    whole = hashlib.md5(usedforsecurity=False)
    _read(open_file, size_bytes, [whole.update])
    if whole.hexdigest() == digest:
        return EtagVerdict(EtagOutcome.SAME, "its MD5 is the ETag")
    if encryption is None:
        why = "its MD5 is not the ETag, unless the object is encrypted with SSE-KMS or SSE-C"
        return EtagVerdict(EtagOutcome.DIFFERENT, why, certain=False)
    if not _is_plain(encryption):
        return _unknown(f"what `{encryption}` makes of ETags is not known", read=True)
    return EtagVerdict(EtagOutcome.DIFFERENT, "its MD5 is not the ETag")


def _part_sizes(size_bytes: int, parts: int, part_size_bytes: int | None) -> list[int]:
    if part_size_bytes is None:
        return part_size_guesses(size_bytes, parts)
    return [part_size_bytes] if parts_of(size_bytes, part_size_bytes) == parts else []


def _no_part_size_fits(
    parts: int, tried: int, part_size_bytes: int | None, encryption: str | None
) -> EtagVerdict:
    if part_size_bytes is None and parts > 1:
        return _unknown(
            f"none of {tried} usual part sizes gives this ETag of {parts} parts", read=True
        )
    if encryption is not None and not _is_plain(encryption):
        return _unknown(f"what `{encryption}` makes of ETags is not known", read=True)
    why = f"its {parts} parts have other MD5s than the ETag"
    return EtagVerdict(EtagOutcome.DIFFERENT, why, certain=encryption is not None)


def _unknown(why: str, *, read: bool = False) -> EtagVerdict:
    return EtagVerdict(EtagOutcome.UNKNOWN, why, certain=False, read=read)


def _is_plain(encryption: str) -> bool:
    return encryption.upper() in _PLAIN


def _hides_md5(encryption: str | None) -> bool:
    text = (encryption or "").upper()
    return "KMS" in text or "SSE-C" in text or text == "SSE_C"


class _Trial:
    """The parts of one size, hashed as the bytes come."""

    def __init__(self, part_bytes: int) -> None:
        self._part_bytes = part_bytes
        self._left = part_bytes
        self._part = hashlib.md5(usedforsecurity=False)
        self._all = hashlib.md5(usedforsecurity=False)
        self._parts = 0

    def update(self, piece: memoryview) -> None:
        """The next bytes. A full part ends when more comes, so the last one may be full too."""
        at = 0
        while at < len(piece):
            if not self._left:
                self._end_part()
            taken = piece[at : at + self._left]
            self._part.update(taken)
            self._left -= len(taken)
            at += len(taken)

    def digest(self) -> str:
        """The MD5 of all parts' MD5s. A file without bytes is one part without bytes."""
        self._end_part()
        return self._all.hexdigest()

    def _end_part(self) -> None:
        self._all.update(self._part.digest())
        self._part = hashlib.md5(usedforsecurity=False)
        self._left = self._part_bytes


def _read(
    open_file: Callable[[], BinaryIO],
    size_bytes: int,
    sinks: Sequence[Callable[[memoryview], object]],
) -> None:
    """Give every piece of the file to every sink."""
    seen = 0
    with open_file() as file:
        while piece := file.read(min(PIECE_BYTES, size_bytes + 1 - seen)):
            seen += len(piece)
            if seen > size_bytes:
                break
            view = memoryview(piece)
            for sink in sinks:
                sink(view)
    if seen != size_bytes:
        now = "more" if seen > size_bytes else f"{seen:,}"
        raise SourceChangedError(
            f"a file of {size_bytes:,} bytes has {now} now",
            hint="run it again when nothing writes to it",
        )
