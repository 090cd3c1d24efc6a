"""Multipart uploads that are under way in a bucket table."""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime

from stocktake.store import crc64nvme as crc64nvme_of
from stocktake.store import encode_crc64nvme
from stocktake.testing._blobs import BytesBlob, md5_hex
from stocktake.testing._object_table import Refused, Version

PART_BYTES_MIN = 5 << 20


@dataclass(frozen=True, slots=True)
class Claims:
    """What a completion says of the whole object; it is refused if that is not so."""

    crc64nvme: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload that is under way, as ListMultipartUploads shows it."""

    key: str
    upload_id: str
    initiated: datetime


@dataclass(slots=True)
class _Upload:
    draft: Version
    declared: bool
    parts: dict[int, bytes] = field(default_factory=dict)


class UploadTable:
    """Uploads by id. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uploads: dict[str, _Upload] = {}
        self._numbers = itertools.count(1)

    def begin(self, draft: Version, *, declared: bool = False) -> str:
        """Start an upload of `draft` (its bytes and ETag do not count); returns its id.

        `declared`: with CRC64NVME checksums, of every part and of the whole object.
        """
        with self._lock:
            upload_id = f"upload-{next(self._numbers):08x}"
            self._uploads[upload_id] = _Upload(draft, declared)
            return upload_id

    def put_part(
        self, upload_id: str, key: str, number: int, body: bytes, crc64nvme: str | None = None
    ) -> str:
        """Keep a part whose checksum was verified; returns its ETag."""
        if not 1 <= number <= 10_000:
            raise Refused(400, "InvalidArgument", "Part number must be between 1 and 10000")
        with self._lock:
            upload = self._find(upload_id, key)
            if upload.declared != (crc64nvme is not None):
                kinds = ("null", "crc64nvme") if crc64nvme else ("crc64nvme", "null")
                text = "Checksum Type mismatch occurred, expected checksum Type: {}, actual: {}"
                raise Refused(400, "InvalidRequest", text.format(*kinds))
            upload.parts[number] = body
        return md5_hex(body)

    def assemble(
        self,
        upload_id: str,
        key: str,
        etags: list[tuple[int, str]],
        claims: Claims = Claims(),
    ) -> Version:
        """The object of these (number, ETag) parts; the upload stays until `drop`."""
        with self._lock:
            upload = self._find(upload_id, key)
        if not etags or sorted({number for number, _ in etags}) != [n for n, _ in etags]:
            raise Refused(400, "InvalidPartOrder", "parts must be in ascending order")
        bodies = []
        for number, etag in etags:
            body = upload.parts.get(number)
            if body is None or md5_hex(body) != etag:
                raise Refused(400, "InvalidPart", f"part {number} was not uploaded")
            bodies.append(body)
        if any(len(body) < PART_BYTES_MIN for body in bodies[:-1]):
            raise Refused(400, "EntityTooSmall", "a part is smaller than 5 MiB")
        digests = b"".join(bytes.fromhex(etag) for _, etag in etags)
        joined = hashlib.md5(digests, usedforsecurity=False).hexdigest()
        whole = b"".join(bodies)
        checksum = _verified(whole, claims, declared=upload.declared)
        return replace(
            upload.draft,
            blob=BytesBlob(whole),
            etag=f"{joined}-{len(etags)}",
            checksum_algorithm="CRC64NVME" if checksum else None,
            checksums={"crc64nvme": checksum} if checksum else {},
        )

    def open(self, prefix: str = "") -> list[OpenUpload]:
        """What is under way below a prefix, by key and age."""
        with self._lock:
            found = [
                OpenUpload(upload.draft.key, upload_id, upload.draft.last_modified)
                for upload_id, upload in self._uploads.items()
                if upload.draft.key.startswith(prefix)
            ]
        return sorted(found, key=lambda one: (one.key, one.initiated, one.upload_id))

    def parts(self, upload_id: str, key: str) -> list[tuple[int, str, int]]:
        """The parts that are there as (number, ETag, size), by number."""
        with self._lock:
            kept = sorted(self._find(upload_id, key).parts.items())
        return [(number, md5_hex(body), len(body)) for number, body in kept]

    def drop(self, upload_id: str, key: str) -> None:
        """Forget an upload and its parts."""
        with self._lock:
            self._find(upload_id, key)
            del self._uploads[upload_id]

    def _find(self, upload_id: str, key: str) -> _Upload:
        upload = self._uploads.get(upload_id)
        if upload is None or upload.draft.key != key:
            raise Refused(404, "NoSuchUpload", "The specified upload does not exist.")
        return upload


def _verified(whole: bytes, claims: Claims, *, declared: bool) -> str | None:
    """The checksum that is kept; like S3, without a declaration any claim is believed."""
    if claims.size_bytes not in {None, len(whole)}:
        text = f"x-amz-mp-object-size is {claims.size_bytes}, what came is {len(whole)}"
        raise Refused(400, "InvalidRequest", text)
    if not declared:
        return claims.crc64nvme
    checksum = encode_crc64nvme(crc64nvme_of(whole))
    if claims.crc64nvme not in {None, checksum}:
        raise Refused(400, "BadDigest", "The CRC64NVME you specified did not match")
    return checksum
