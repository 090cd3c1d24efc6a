"""What the headers of GET, HEAD and PUT answers say about an object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from stocktake.model import normalise_etag
from stocktake.store._answers import Call, odd_answer_error
from stocktake.store._port import ObjectHead

WRITE_TOKEN = "stocktake-write"  # noqa: S105 - the name of a metadata entry
"""User metadata that marks a conditional write as ours; not shown in `ObjectHead.metadata`."""

_CHECKSUMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def head_of(answer: Mapping[str, Any], call: Call, *, size_bytes: int | None = None) -> ObjectHead:
    """The `ObjectHead` of a GET or HEAD answer.

    Raises:
        UnexpectedAnswerError: It has no ETag or no length, so it is not an object of S3.
    """
    etag = normalise_etag(answer.get("ETag"))
    size = answer.get("ContentLength") if size_bytes is None else size_bytes
    if etag is None or size is None:
        raise odd_answer_error("it has no ETag" if etag is None else "it has no length", call)
    modified = answer.get("LastModified")
    return ObjectHead(
        bucket=call.bucket,
        key=call.key or "",
        size_bytes=int(size),
        etag=etag,
        last_modified=modified.astimezone(UTC) if modified is not None else None,
        version_id=answer.get("VersionId"),
        storage_class=answer.get("StorageClass"),
        content_type=answer.get("ContentType"),
        metadata={k: v for k, v in answer.get("Metadata", {}).items() if k != WRITE_TOKEN},
        checksums=_checksums(answer),
        encryption=_encryption(answer),
    )


def _checksums(answer: Mapping[str, Any]) -> dict[str, str]:
    found = {name.lower(): answer.get(f"Checksum{name}") for name in _CHECKSUMS}
    return {name: value for name, value in found.items() if value}


def _encryption(answer: Mapping[str, Any]) -> str:
    if answer.get("SSECustomerAlgorithm"):
        return "SSE-C"
    return str(answer.get("ServerSideEncryption") or "NOT-SSE")


def content_range(answer: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """`(start, stop, total)` of a partial answer; None if it is not one."""
    match = _CONTENT_RANGE.fullmatch(answer.get("ContentRange") or "")
    if match is None:
        return None
    return int(match[1]), int(match[2]) + 1, int(match[3])
