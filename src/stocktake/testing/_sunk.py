"""Uploads of which only size and checksum are kept: what a sink for benchmarks remembers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stocktake.store import combine_crc64nvme, encode_crc64nvme
from stocktake.testing._object_table import Refused, Version
from stocktake.testing._uploads import Claims, UploadTable


@dataclass(frozen=True, slots=True)
class SunkBlob:
    """Bytes that were counted and summed; `data` only if there were few of them."""

    size_bytes: int
    crc64nvme: int
    data: bytes | None = None

    def read(self, start: int, stop: int) -> bytes:
        """What was kept, or zeros."""
        if self.data is None:
            return bytes(min(stop, self.size_bytes) - start)
        return self.data[start:stop]

    @property
    def etag(self) -> str:
        """Made from the checksum: MD5 would cost the server more than all the rest."""
        return f"{self.crc64nvme:016x}{self.size_bytes:016x}"


class SunkUploads(UploadTable):
    """Multipart uploads whose parts are `SunkBlob`s."""

    def __init__(self) -> None:
        super().__init__()
        self._sunk: dict[str, dict[int, SunkBlob]] = {}

    def sink_part(
        self, upload_id: str, key: str, number: int, part: SunkBlob, *, checked: bool
    ) -> str:
        """Remember a part; returns its ETag."""
        with self._lock:
            upload = self._find(upload_id, key)
            if upload.declared != checked:
                raise Refused(400, "InvalidRequest", "Checksum Type mismatch occurred")
            self._parts(upload_id)[number] = part
        return part.etag

    def assemble(
        self,
        upload_id: str,
        key: str,
        etags: list[tuple[int, str]],
        claims: Claims = Claims(),
    ) -> Version:
        """The object of these (number, ETag) parts, summed from their sums."""
        with self._lock:
            upload = self._find(upload_id, key)
            parts = dict(self._parts(upload_id))
        size_bytes, crc = 0, 0
        for number, etag in etags:
            part = parts.get(number)
            if part is None or part.etag != etag:
                raise Refused(400, "InvalidPart", f"part {number} was not uploaded")
            crc = combine_crc64nvme(crc, part.crc64nvme, part.size_bytes)
            size_bytes += part.size_bytes
        checksum = encode_crc64nvme(crc)
        if upload.declared and claims.crc64nvme not in {None, checksum}:
            raise Refused(400, "BadDigest", "The CRC64NVME you specified did not match")
        if claims.size_bytes not in {None, size_bytes}:
            raise Refused(400, "InvalidRequest", "x-amz-mp-object-size")
        blob = SunkBlob(size_bytes, crc)
        return replace(
            upload.draft,
            blob=blob,
            etag=f"{blob.etag}-{len(etags)}",
            checksums={"crc64nvme": checksum} if upload.declared else {},
        )

    def parts(self, upload_id: str, key: str) -> list[tuple[int, str, int]]:
        """The parts that are there as (number, ETag, size), by number."""
        with self._lock:
            self._find(upload_id, key)
            kept = sorted(self._parts(upload_id).items())
        return [(number, part.etag, part.size_bytes) for number, part in kept]

    def drop(self, upload_id: str, key: str) -> None:
        """Forget an upload and its parts."""
        super().drop(upload_id, key)
        self._sunk.pop(upload_id, None)

    def _parts(self, upload_id: str) -> dict[int, SunkBlob]:
        return self._sunk.setdefault(upload_id, {})
