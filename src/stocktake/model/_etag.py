"""ETags: one spelling, and when one is an MD5."""

from __future__ import annotations

import re

_MD5 = re.compile(r"[0-9a-f]{32}")
_MD5_ENCRYPTIONS = frozenset({"", "NOT-SSE", "SSE-S3", "AES256"})


def normalise_etag(text: str | None) -> str | None:
    """Without quotes and weak mark, lower case; None for nothing. The API quotes, reports do not.

    >>> normalise_etag('"D41D8CD98F00B204E9800998ECF8427E-2"')
    'd41d8cd98f00b204e9800998ecf8427e-2'
    """
    if text is None:
        return None
    bare = text.strip().removeprefix("W/").strip('"').lower()
    return bare or None


def is_md5_etag(etag: str | None, encryption: str | None = None) -> bool:
    """True if this ETag is the MD5 of the bytes: one part, and not encrypted by KMS or customer.

    An unknown encryption (None) counts as not: an answer we cannot vouch for is not given.
    """
    if etag is None or encryption is None:
        return False
    return encryption.upper() in _MD5_ENCRYPTIONS and _MD5.fullmatch(etag) is not None
