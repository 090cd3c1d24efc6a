"""Values as other programs write them into manifests: numbers as text, times, digests, ETags."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from stocktake.clock import parse_utc
from stocktake.model import normalise_etag

_HEX = {"md5": re.compile(r"[0-9a-f]{32}"), "sha256": re.compile(r"[0-9a-f]{64}")}
_MULTIPART = re.compile(r"[0-9a-f]{32}-[1-9][0-9]{0,4}")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_SIZE_MAX = 1 << 63
_MILLISECONDS_FROM = 10**11  # as seconds that would be the year 5138
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_text(value: Any) -> str | None:
    """Text of text or of a whole number; None for anything else, and for nothing."""
    if isinstance(value, str):
        return value or None
    number = as_whole(value)
    return None if number is None else str(number)


def as_whole(value: Any) -> int | None:
    """A whole number, also one written as text or with a fraction of zero."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < _SIZE_MAX else None
    if isinstance(value, float):
        return int(value) if value == value and value.is_integer() and value < _SIZE_MAX else None
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return as_whole(int(value))
    return None


def as_size(value: Any) -> int | None:
    """A number of bytes; None for what cannot be one."""
    number = as_whole(value)
    return number if number is not None and number >= 0 else None


def as_time(value: Any) -> datetime | None:
    """An instant: ISO 8601 text, or seconds or milliseconds since 1970."""
    try:
        if isinstance(value, str):
            return parse_utc(value.strip())
        number = as_whole(value)
        if number is None or number <= 0:
            return None
        seconds = number / 1000 if number > _MILLISECONDS_FROM else number
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def as_digest(value: Any, algorithm: str) -> str | None:
    """A digest in lower-case hex, without the quotes of an ETag; None for what is none."""
    bare = normalise_etag(value) if isinstance(value, str) else None
    return bare if bare is not None and _HEX[algorithm].fullmatch(bare) else None


def as_multipart_etag(value: Any) -> str | None:
    """What looks like an MD5 but ends in `-N`: the ETag of an upload in N parts."""
    bare = normalise_etag(value) if isinstance(value, str) else None
    return bare if bare is not None and _MULTIPART.fullmatch(bare) else None


def key_of_url(url: Any, bucket: str | None) -> str | None:
    """The key that an object's address leads to, in either style; None if it cannot be told.

    Many programs write the key into it as it is. So it is decoded only if it looks encoded.
    """
    if not isinstance(url, str):
        return None
    if url.startswith("s3://"):
        return url.removeprefix("s3://").partition("/")[2] or None
    head, mark, tail = url.partition("://")
    if not mark or head not in ("http", "https"):
        return None
    host, _, path = tail.partition("/")
    path = path.partition("?")[0]
    if bucket and not host.startswith(f"{bucket}."):
        if not path.startswith(f"{bucket}/"):
            return None
        path = path[len(bucket) + 1 :]
    return _decoded(path) or None


def bucket_of_url(url: Any) -> str | None:
    """The bucket of an address in virtual-host style or of an `s3://` one; else None."""
    if not isinstance(url, str):
        return None
    if url.startswith("s3://"):
        return url.removeprefix("s3://").partition("/")[0] or None
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    name, mark, rest = host.partition(".s3")
    return name if mark and name and rest[:1] in (".", "-") else None


def _decoded(path: str) -> str:
    if " " in path or not path.isascii():
        return path
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        return path


def epoch() -> datetime:
    """The time of an upload that nobody noted: it loses against every other."""
    return _EPOCH
