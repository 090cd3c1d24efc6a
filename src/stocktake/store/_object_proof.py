"""What is known of an object's bytes, and what a store's answer proves of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from stocktake.store._checksums import Buffer, crc64nvme, encode_crc64nvme
from stocktake.store._port import ObjectHead

TOKEN_NAME = "stocktake-token"  # noqa: S105 - the name of a metadata entry
"""The user metadata that proves whose write an object is: no two writes have the same."""

SHA256_NAME = "stocktake-sha256"
"""The user metadata with the SHA-256 of the source file."""


@dataclass(frozen=True, slots=True)
class Digests:
    """What is known of an object's bytes.

    Attributes:
        size_bytes: How many there are.
        crc64nvme: Base64 as S3 has it; None where the store cannot check it.
        md5: Hex.
        etag: What S3's ETag is of them if nothing encrypts it: the MD5, or that of the parts' MD5s.
        part_size_bytes: Of a multipart upload.
    """

    size_bytes: int
    crc64nvme: str | None
    md5: str
    etag: str | None
    part_size_bytes: int | None = None


def digests_of(body: Buffer, *, with_crc: bool) -> Digests:
    """All of them for a body that goes by one PUT."""
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    crc = encode_crc64nvme(crc64nvme(body)) if with_crc else None
    return Digests(len(body), crc, md5, md5)


def composite_etag(etags: tuple[str, ...]) -> str | None:
    """The ETag that S3 gives to these parts; None if theirs are no MD5s."""
    try:
        digests = b"".join(bytes.fromhex(etag) for etag in etags)
    except ValueError:
        return None
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"


def proof(head: ObjectHead, digests: Digests | None) -> str | None:
    """By what the object is proven to have these bytes: `checksum`, `etag`, or None: it is not."""
    if digests is None or head.size_bytes != digests.size_bytes:
        return None
    crc = head.checksums.get("crc64nvme")
    if crc is not None and digests.crc64nvme is not None:
        return "checksum" if crc == digests.crc64nvme else None
    return "etag" if head.etag is not None and head.etag == digests.etag else None


def disproves(head: ObjectHead, digests: Digests) -> bool:
    """Whether the object's checksum says that it has other bytes."""
    crc = head.checksums.get("crc64nvme")
    return None not in {crc, digests.crc64nvme} and crc != digests.crc64nvme


def proof_of_answer(head: ObjectHead, digests: Digests) -> str | None:
    """What a 200 to a PUT proves: the store compared the checksum, or tells the ETag of the bytes.

    To be believed only of a store that compares CRC64NVME, if the digests have one.
    """
    by = proof(head, digests)
    if by is not None or digests.crc64nvme is None:
        return by
    told = head.checksums.get("crc64nvme")
    return "checksum" if told in {None, digests.crc64nvme} else None


def token_of(metadata: Mapping[str, str]) -> str | None:
    """The token of an object that some stocktake wrote; None if none did."""
    return metadata.get(TOKEN_NAME)
