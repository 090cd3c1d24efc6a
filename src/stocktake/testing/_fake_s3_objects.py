"""The fake S3's object operations: GET with ranges, conditional PUT, multipart."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from zlib import crc32

from stocktake.model import normalise_etag
from stocktake.store import crc64nvme
from stocktake.testing._blobs import BytesBlob, md5_hex
from stocktake.testing._fake_s3_buckets import FakeBucket
from stocktake.testing._fake_s3_wire import (
    Answer,
    Request,
    decode_chunked,
    http_time,
    parse_xml,
    xml_answer,
)
from stocktake.testing._object_table import Condition, Refused, Version
from stocktake.testing._uploads import Claims

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_CHECKS: dict[str, Callable[[bytes], bytes]] = {
    "content-md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
    "x-amz-checksum-crc32": lambda body: crc32(body).to_bytes(4, "big"),
    "x-amz-checksum-crc64nvme": lambda body: crc64nvme(body).to_bytes(8, "big"),
}


def get_object(bucket: FakeBucket, request: Request) -> Answer:
    """GET and HEAD."""
    version = bucket.table.find(request.key, request.query.get("versionId"))
    if request.method == "GET" and version.storage_class in _ARCHIVED:
        raise Refused(
            403, "InvalidObjectState", "The operation is not valid for the object's storage class"
        )
    wanted = request.headers.get("if-match")
    if wanted is not None and normalise_etag(wanted) != version.etag:
        raise Refused(412, "PreconditionFailed", "If-Match")
    headers = _version_headers(version)
    if request.headers.get("x-amz-checksum-mode") == "ENABLED" and "range" not in request.headers:
        headers |= _checksum_headers(version)
    span = _span(request.headers.get("range", ""), version.size_bytes)
    if span is None:
        return Answer(200, headers, blob=version.blob, start=0, stop=version.size_bytes)
    start, stop = span
    headers["content-range"] = f"bytes {start}-{stop - 1}/{version.size_bytes}"
    return Answer(206, headers, blob=version.blob, start=start, stop=stop)


def _checksum_headers(version: Version) -> dict[str, str]:
    headers = {f"x-amz-checksum-{name}": value for name, value in version.checksums.items()}
    return headers | ({"x-amz-checksum-type": "FULL_OBJECT"} if headers else {})


def _version_headers(version: Version) -> dict[str, str]:
    headers = {
        "etag": f'"{version.etag}"',
        "last-modified": http_time(version.last_modified),
        "content-type": version.content_type,
        "accept-ranges": "bytes",
    }
    headers |= {f"x-amz-meta-{name}": value for name, value in version.metadata.items()}
    if version.version_id != "null":
        headers["x-amz-version-id"] = version.version_id
    if version.storage_class != "STANDARD":
        headers["x-amz-storage-class"] = version.storage_class
    return headers


def _span(text: str, size_bytes: int) -> tuple[int, int] | None:
    """The bytes a Range header asks for; None if it is none that HTTP knows."""
    match = _RANGE.fullmatch(text)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size_bytes - int(last)), size_bytes
    else:
        start, stop = int(first), min(size_bytes, int(last) + 1) if last else size_bytes
    if start >= size_bytes or stop <= start:
        raise Refused(416, "InvalidRange", "The requested range is not satisfiable")
    return start, stop


def payload(request: Request) -> bytes:
    """The body as meant, its checksum headers verified."""
    body = request.body
    if request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        body = decode_chunked(body)
    for name, digest in _CHECKS.items():
        claimed = request.headers.get(name)
        if claimed is not None and b64decode(claimed) != digest(body):
            raise Refused(400, "BadDigest", f"The {name} you specified did not match")
    return body


def put_object(bucket: FakeBucket, request: Request, now: datetime) -> Answer:
    """PutObject with If-None-Match: * and If-Match."""
    body = payload(request)
    draft = replace(
        draft_of(request, now), blob=BytesBlob(body), etag=md5_hex(body), **_claimed(request)
    )
    stored = bucket.table.put(draft, condition_of(request))
    return Answer(200, _written(stored))


def _claimed(request: Request) -> dict[str, Any]:
    """The checksums that were sent and verified, to be kept."""
    start = "x-amz-checksum-"
    claims = {
        name.removeprefix(start): value
        for name, value in request.headers.items()
        if name in _CHECKS and name.startswith(start)
    }
    algorithm = next((name.upper() for name in claims), None)
    return {"checksums": claims, "checksum_algorithm": algorithm}


def _written(stored: Version) -> dict[str, str]:
    headers = {"etag": f'"{stored.etag}"'} | _checksum_headers(stored)
    if stored.version_id != "null":
        headers["x-amz-version-id"] = stored.version_id
    return headers


def condition_of(request: Request) -> Condition:
    """When the write may happen, by its headers."""
    none_match = request.headers.get("if-none-match")
    if none_match not in {None, "*"}:
        raise Refused(501, "NotImplemented", "If-None-Match takes * only")
    return Condition(none_match == "*", normalise_etag(request.headers.get("if-match")))


def draft_of(request: Request, now: datetime) -> Version:
    """The version that a write asks for, without its bytes."""
    start = "x-amz-meta-"
    metadata = {
        name.removeprefix(start): value
        for name, value in request.headers.items()
        if name.startswith(start)
    }
    return Version(
        request.key,
        BytesBlob(b""),
        "",
        now.replace(microsecond=0),
        content_type=request.headers.get("content-type") or "binary/octet-stream",
        metadata=metadata,
        storage_class=request.headers.get("x-amz-storage-class", "STANDARD"),
    )


def delete_object(bucket: FakeBucket, request: Request, now: datetime) -> Answer:
    """DeleteObject, of the key or of one version."""
    marker = bucket.table.delete(request.key, now, request.query.get("versionId"))
    if marker is None:
        return Answer(204)
    headers = {"x-amz-delete-marker": "true", "x-amz-version-id": marker.version_id}
    return Answer(204, headers)


def begin_upload(bucket: FakeBucket, request: Request, now: datetime) -> Answer:
    """CreateMultipartUpload."""
    algorithm = request.headers.get("x-amz-checksum-algorithm")
    full = request.headers.get("x-amz-checksum-type") == "FULL_OBJECT"
    if algorithm is not None and (algorithm != "CRC64NVME" or not full):
        raise Refused(501, "NotImplemented", "the fake sums uploads as CRC64NVME, FULL_OBJECT only")
    draft = replace(draft_of(request, now), last_modified=now)
    upload_id = bucket.uploads.begin(draft, declared=algorithm is not None)
    return xml_answer(
        "InitiateMultipartUploadResult",
        f"<Bucket>{bucket.table.name}</Bucket><UploadId>{upload_id}</UploadId>",
    )


def put_part(bucket: FakeBucket, request: Request) -> Answer:
    """UploadPart."""
    number = request.query.get("partNumber", "")
    if not number.isdigit():
        raise Refused(400, "InvalidArgument", "partNumber")
    upload_id = request.query["uploadId"]
    crc = request.headers.get("x-amz-checksum-crc64nvme")
    body = payload(request)
    etag = bucket.uploads.put_part(upload_id, request.key, int(number), body, crc)
    headers = {"etag": f'"{etag}"'}
    return Answer(200, headers | ({"x-amz-checksum-crc64nvme": crc} if crc else {}))


def complete_upload(bucket: FakeBucket, request: Request, now: datetime) -> Answer:
    """CompleteMultipartUpload."""
    upload_id = request.query["uploadId"]
    parts = [
        (int(part.findtext("PartNumber") or 0), normalise_etag(part.findtext("ETag")) or "")
        for part in parse_xml(request.body).findall("Part")
    ]
    size = request.headers.get("x-amz-mp-object-size")
    claims = Claims(
        request.headers.get("x-amz-checksum-crc64nvme"), None if size is None else int(size)
    )
    draft = bucket.uploads.assemble(upload_id, request.key, parts, claims)
    # as S3: the time the upload was begun
    draft = replace(draft, last_modified=draft.last_modified.replace(microsecond=0))
    stored = bucket.table.put(draft, condition_of(request))
    bucket.uploads.drop(upload_id, request.key)
    checksums = "".join(
        f"<Checksum{name.upper()}>{value}</Checksum{name.upper()}>"
        for name, value in stored.checksums.items()
    )
    answer = xml_answer(
        "CompleteMultipartUploadResult", f"<ETag>&quot;{stored.etag}&quot;</ETag>{checksums}"
    )
    return replace(answer, headers=dict(answer.headers) | _written(stored))


def abort_upload(bucket: FakeBucket, request: Request) -> Answer:
    """AbortMultipartUpload."""
    bucket.uploads.drop(request.query["uploadId"], request.key)
    return Answer(204)


def list_parts(bucket: FakeBucket, request: Request) -> Answer:
    """ListParts, all on one page."""
    parts = bucket.uploads.parts(request.query["uploadId"], request.key)
    inner = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag>"
        f"<Size>{size}</Size></Part>"
        for number, etag, size in parts
    )
    return xml_answer("ListPartsResult", inner + "<IsTruncated>false</IsTruncated>")
