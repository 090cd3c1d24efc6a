"""Multipart uploads that are under way in a bucket table."""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import dataclass, field, replace

from stocktake.testing._blobs import BytesBlob, md5_hex
from stocktake.testing._object_table import Refused, Version

PART_BYTES_MIN = 5 << 20


@dataclass(slots=True)
class _Upload:
    draft: Version
    parts: dict[int, bytes] = field(default_factory=dict)


class UploadTable:
    """Uploads by id. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uploads: dict[str, _Upload] = {}
        self._numbers = itertools.count(1)

    def begin(self, draft: Version) -> str:
        """Start an upload of `draft` (its bytes and ETag do not count); returns its id."""
        with self._lock:
            upload_id = f"upload-{next(self._numbers):08x}"
            self._uploads[upload_id] = _Upload(draft)
            return upload_id

    def put_part(self, upload_id: str, key: str, number: int, body: bytes) -> str:
        """Keep a part; returns its ETag."""
        if not 1 <= number <= 10_000:
            raise Refused(400, "InvalidArgument", "Part number must be between 1 and 10000")
        with self._lock:
            self._find(upload_id, key).parts[number] = body
        return md5_hex(body)

    def assemble(self, upload_id: str, key: str, etags: list[tuple[int, str]]) -> Version:
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
        return replace(
            upload.draft, blob=BytesBlob(b"".join(bodies)), etag=f"{joined}-{len(etags)}"
        )

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
