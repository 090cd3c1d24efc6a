"""Whether an object has the bytes that SHOULD has: by digests, by its ETag, by one HEAD. REC-4.

An ETag of one part is the MD5 if the object is known not to be encrypted by KMS or the customer; an
equal one proves in any case. What it leaves open, a HEAD settles if the store keeps a checksum of
the whole object (S3 keeps a CRC64NVME of every object that was written since 2025) or says that
nothing is encrypted. What is then still open stays unknown.
"""

from __future__ import annotations

import threading
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, replace

from stocktake.errors import AccessDeniedError, StoreError
from stocktake.manifests import md5_of_etag
from stocktake.model import is_md5_etag
from stocktake.reconcile._side import Pair, Proof, Same
from stocktake.store import ObjectHead

HEADS_MAX = 10_000
"""A dollar buys 2.5 million of them; what is open beyond stays unknown."""

Look = Callable[[str], ObjectHead]
"""HEAD of the object that the other side has under this key."""


@dataclass(frozen=True, slots=True)
class KnownDigests:
    """What SHOULD knows of the bytes; None is unknown."""

    md5: str | None = None
    sha256: str | None = None
    crc64nvme: str | None = None
    crc32: Callable[[], str] | None = None
    """Base64 as S3 has it; reads the file, so only where nothing else decides."""


class Heads:
    """HEAD requests about what is open, up to a limit. Safe to share between threads."""

    def __init__(self, look: Look | None, heads_max: int = HEADS_MAX) -> None:
        self.asked = 0
        self._look = look
        self._heads_max = heads_max
        self._lock = threading.Lock()

    @property
    def can_ask(self) -> bool:
        """Whether there is anybody to ask, and may be."""
        return self._look is not None and self.asked < self._heads_max

    def ask(self, pair: Pair) -> ObjectHead | str:
        """What HEAD says of the pair's object as it was compared, or why it says nothing."""
        if self._look is None:
            return ""
        with self._lock:
            if self.asked >= self._heads_max:
                return f"{self._heads_max:,} objects were asked about, and no more are"
            self.asked += 1
        try:
            head = self._look(pair.key)
        except AccessDeniedError as error:
            self._heads_max = self.asked  # the next ones would say the same
            return f"HEAD says nothing: {error.code}"
        except StoreError as error:
            return f"HEAD says nothing: {error.code}"
        if head.size_bytes != pair.size_bytes or (pair.etag and head.etag != pair.etag):
            return "the object was written anew while it was compared"
        return head


def prove_pair(pair: Pair, known: KnownDigests, heads: Heads, *, trust_etags: bool) -> Proof:
    """What the digests say, and what a HEAD adds if they do not decide."""
    found = by_digests(pair, known, trust_etags=trust_etags)
    if found.same is not Same.UNKNOWN or not heads.can_ask:
        return found
    head = heads.ask(pair)
    if isinstance(head, str):
        return Proof(Same.UNKNOWN, head or found.why)
    return by_head(pair, known, head) or found


def by_digests(pair: Pair, known: KnownDigests, *, trust_etags: bool = False) -> Proof:
    """By what is known of both without asking; UNKNOWN says why."""
    for name in ("sha256", "md5"):
        there, here = getattr(pair, name), getattr(known, name)
        if there is not None and here is not None:
            return _compared(name.upper().replace("SHA", "SHA-"), here, there)
    md5 = md5_of_etag(pair.etag, encryption=pair.encryption)
    if md5 is None:
        return Proof(Same.UNKNOWN, _why_no_md5(pair))
    if known.md5 is None:
        return Proof(Same.UNKNOWN, "what should be there has no MD5")
    if md5 == known.md5 or trust_etags or is_md5_etag(pair.etag, pair.encryption):
        return _compared("MD5", known.md5, md5)
    return Proof(
        Same.UNKNOWN, "the MD5 is not the ETag, but the object may be encrypted (SSE-KMS, SSE-C)"
    )


def by_head(pair: Pair, known: KnownDigests, head: ObjectHead) -> Proof | None:
    """By what a HEAD says; None if it decides nothing."""
    crc = head.checksums.get("crc64nvme")
    if crc is not None and known.crc64nvme is not None:
        return _compared("CRC64NVME", known.crc64nvme, crc)
    sha = _whole_sha256(head.checksums.get("sha256"))
    if sha is not None and known.sha256 is not None:
        return _compared("SHA-256", known.sha256, sha)
    if head.encryption is not None:
        found = by_digests(replace(pair, etag=head.etag, encryption=head.encryption), known)
        if found.same is not Same.UNKNOWN:
            return found
    crc32 = head.checksums.get("crc32")
    if crc32 is not None and "-" not in crc32 and known.crc32 is not None:
        return _compared("CRC32", known.crc32(), crc32)
    return None


def _compared(name: str, here: str, there: str) -> Proof:
    if here == there:
        return Proof(Same.SAME, f"same {name}")
    return Proof(Same.DIFFERENT, f"another {name}", f"{name} {here}")


def _why_no_md5(pair: Pair) -> str:
    if pair.etag is None:
        return "the object's ETag is not known"
    if md5_of_etag(pair.etag) is not None:
        return f"the ETag of an object with {pair.encryption} is not a checksum of the bytes"
    if "-" in pair.etag:
        return "the ETag of a multipart upload is not a checksum of the bytes"
    return "the ETag is not a checksum that is known"


def _whole_sha256(text: str | None) -> str | None:
    """Hex; None for that of parts, which has `-` and their number."""
    if text is None or "-" in text:
        return None
    try:
        return b64decode(text, validate=True).hex()
    except ValueError:
        return None
