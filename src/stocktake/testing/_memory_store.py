"""`Store` in memory, with the semantics of S3: conditional writes, versions, paging, multipart."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from stocktake.clock import Clock, SystemClock
from stocktake.errors import DigestRefusedError, UsageError
from stocktake.store import (
    Buffer,
    ByteRange,
    Call,
    CompleteOptions,
    ListedObject,
    ListPage,
    ListQuery,
    ObjectHead,
    PutOptions,
    Refusal,
    crc64nvme,
    encode_crc64nvme,
    refusal_error,
)
from stocktake.telemetry import Meter
from stocktake.testing._blobs import BytesBlob, md5_hex
from stocktake.testing._listing_manner import ListingManner, list_in_manner
from stocktake.testing._object_table import (
    BucketTable,
    Condition,
    Refused,
    Version,
    Versioning,
    bytes_version,
)
from stocktake.testing._uploads import Claims, UploadTable

T = TypeVar("T")


class MemoryStore:
    """An object store in this process. Buckets are made by `describe("CreateBucket", name)`.

    >>> store = MemoryStore(); _ = store.describe("CreateBucket", "photos")
    >>> _ = store.put("photos", "a.jpg", b"x"); store.get("photos", "a.jpg").read()
    b'x'
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        meter: Meter | None = None,
        manner: ListingManner = ListingManner(),
    ) -> None:
        self.manner = manner
        self.buckets: dict[str, BucketTable] = {}
        self._uploads: dict[str, UploadTable] = {}
        self._inventories: dict[str, dict[str, Any]] = {}
        self._clock = clock or SystemClock()
        self._meter = meter or Meter()

    def head(self, bucket: str, key: str, *, version_id: str | None = None) -> ObjectHead:
        """What is known about one object."""
        call = Call("HeadObject", bucket, key, version_id)
        return self._run(call, lambda table: _head(bucket, table.find(key, version_id)))

    def get(
        self,
        bucket: str,
        key: str,
        *,
        byte_range: ByteRange | None = None,
        if_match: str | None = None,
        version_id: str | None = None,
    ) -> MemoryBody:
        """Open an object; a later overwrite does not change what is read."""

        def read(table: BucketTable) -> MemoryBody:
            version = table.find(key, version_id)
            if if_match is not None and version.etag != if_match:
                raise Refused(412, "PreconditionFailed", "another ETag")
            return MemoryBody(_head(bucket, version), _slice(version, byte_range), self._meter)

        return self._run(Call("GetObject", bucket, key, version_id), read)

    def list_page(self, query: ListQuery) -> ListPage:
        """One page, at most 1,000 entries."""
        if query.keys_max < 1:
            raise UsageError(f"a page of {query.keys_max} keys is not possible")
        operation = "ListObjectVersions" if query.versions else "ListObjectsV2"

        def read(table: BucketTable) -> ListPage:
            if self.manner.is_usual:
                return _list(table, query)
            return list_in_manner(lambda one: _list(table, one), query, self.manner)

        return self._run(Call(operation, query.bucket), read)

    def put(
        self, bucket: str, key: str, body: Buffer, options: PutOptions = PutOptions()
    ) -> ObjectHead:
        """Write one object whole."""

        def write(table: BucketTable) -> ObjectHead:
            condition = Condition(options.if_absent, options.if_match)
            draft = self._draft(key, bytes(body), options)
            claimed = options.crc64nvme
            if claimed is not None:
                _verify(body, claimed)
                draft = replace(
                    draft, checksums={"crc64nvme": claimed}, checksum_algorithm="CRC64NVME"
                )
            stored = table.put(draft, condition)
            self._meter.send(len(body))
            return _head(bucket, stored)

        return self._run(Call("PutObject", bucket, key), write)

    def delete(self, bucket: str, keys: list[str]) -> dict[str, str]:
        """Delete keys; never fails for one of them."""

        def erase(table: BucketTable) -> dict[str, str]:
            for key in keys:
                table.delete(key, self._clock.now())
            return {}

        return self._run(Call("DeleteObjects", bucket), erase)

    def begin_upload(
        self,
        bucket: str,
        key: str,
        options: PutOptions = PutOptions(),
        *,
        upload_id: str | None = None,
    ) -> MemoryUpload:
        """Start a multipart upload, or take up one whose id is known."""
        call = Call("CreateMultipartUpload", bucket, key)
        uploads = self._run(call, lambda table: self._uploads[table.name])
        if upload_id is None:
            draft = self._draft(key, b"", options)
            upload_id = uploads.begin(draft, declared=options.full_object_crc64nvme)
        upload = MemoryUpload(self, call, uploads, upload_id)
        upload.checked = options.full_object_crc64nvme
        return upload

    def describe(self, operation: str, bucket: str, **parameters: Any) -> dict[str, Any]:
        """The bucket-level operations that stocktake uses, in memory."""
        call = Call(operation, bucket)
        if operation == "CreateBucket":
            self._meter.call(operation)
            self._create(bucket, parameters)
            return {}
        action = _ACTIONS.get(operation)
        if action is None:
            raise refusal_error(Refusal(501, "NotImplemented", "not in memory"), call)
        return self._run(call, lambda table: action(self, table, parameters))

    def close(self) -> None:
        """Nothing to give back."""

    def _create(self, bucket: str, parameters: Mapping[str, Any]) -> None:
        region = parameters.get("CreateBucketConfiguration", {}).get("LocationConstraint")
        self.buckets.setdefault(bucket, BucketTable(bucket, region=region or "us-east-1"))
        self._uploads.setdefault(bucket, UploadTable())
        self._inventories.setdefault(bucket, {})

    def _draft(self, key: str, body: bytes, options: PutOptions) -> Version:
        draft = bytes_version(key, body, md5_hex(body), self._clock.now())
        metadata = {name.lower(): value for name, value in options.metadata.items()}
        content_type = options.content_type or draft.content_type
        return replace(draft, metadata=metadata, content_type=content_type)

    def _table(self, bucket: str) -> BucketTable:
        table = self.buckets.get(bucket)
        if table is None:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        return table

    def _run(self, call: Call, action: Callable[[BucketTable], T]) -> T:
        self._meter.call(call.operation)
        try:
            return action(self._table(call.bucket))
        except Refused as refused:
            error = refusal_error(Refusal(refused.status, refused.code, refused.message), call)
            if isinstance(error, DigestRefusedError):
                error.retryable = False  # nothing is damaged on the way to memory
            raise error from refused


class MemoryBody:
    """An `ObjectBody` over bytes in memory."""

    def __init__(self, head: ObjectHead, data: bytes, meter: Meter) -> None:
        self._head = head
        self._data = data
        self._meter = meter
        self._position = 0

    @property
    def head(self) -> ObjectHead:
        """What the store knew when it was opened."""
        return self._head

    def read(self, size_bytes: int = -1) -> bytes:
        """Up to that many bytes; all the rest for -1."""
        stop = len(self._data) if size_bytes < 0 else self._position + size_bytes
        piece = self._data[self._position : stop]
        self._position += len(piece)
        self._meter.receive(len(piece))
        return piece

    def __enter__(self) -> MemoryBody:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


class MemoryUpload:
    """A `MultipartUpload` in memory."""

    def __init__(
        self, store: MemoryStore, call: Call, uploads: UploadTable, upload_id: str
    ) -> None:
        self._store = store
        self._call = call
        self._uploads = uploads
        self._upload_id = upload_id
        self.checked = False

    @property
    def upload_id(self) -> str:
        """The store's id of this upload."""
        return self._upload_id

    def put_part(self, number: int, body: Buffer) -> str:
        """Keep a part; returns its ETag."""
        key = self._call.key or ""
        data = bytes(body)
        checksum = encode_crc64nvme(crc64nvme(data)) if self.checked else None
        return self._store._run(
            replace(self._call, operation="UploadPart"),
            lambda _: self._uploads.put_part(self._upload_id, key, number, data, checksum),
        )

    def complete(
        self, etags: Mapping[int, str], conditions: CompleteOptions = CompleteOptions()
    ) -> ObjectHead:
        """Make the object of these parts, if the conditions hold."""
        if not etags:
            raise UsageError("an upload without parts cannot be completed")
        if not conditions.settle and conditions.size_bytes is None:
            raise UsageError("completing without a look at the object needs its size")
        key = self._call.key or ""
        claims = Claims(conditions.crc64nvme, conditions.size_bytes)

        def finish(table: BucketTable) -> ObjectHead:
            draft = self._uploads.assemble(self._upload_id, key, sorted(etags.items()), claims)
            stored = table.put(draft, Condition(conditions.if_absent, conditions.if_match))
            self._uploads.drop(self._upload_id, key)
            return _head(table.name, stored)

        return self._store._run(replace(self._call, operation="CompleteMultipartUpload"), finish)

    def abort(self) -> None:
        """Drop the upload; not an error if it is gone."""
        try:
            self._uploads.drop(self._upload_id, self._call.key or "")
        except Refused:
            return


def _head(bucket: str, version: Version) -> ObjectHead:
    return ObjectHead(
        bucket=bucket,
        key=version.key,
        size_bytes=version.size_bytes,
        etag=version.etag,
        last_modified=version.last_modified,
        version_id=None if version.version_id == "null" else version.version_id,
        storage_class=None if version.storage_class == "STANDARD" else version.storage_class,
        content_type=version.content_type,
        metadata=dict(version.metadata),
        checksums=dict(version.checksums),
    )


def _verify(body: Buffer, claimed: str) -> None:
    if claimed != encode_crc64nvme(crc64nvme(body)):
        raise Refused(400, "BadDigest", "The CRC64NVME you specified did not match")


def _slice(version: Version, byte_range: ByteRange | None) -> bytes:
    blob = version.blob or BytesBlob(b"")
    if byte_range is None:
        return blob.read(0, blob.size_bytes)
    start, stop = byte_range.start, byte_range.stop
    if start < 0 or (stop is not None and stop <= start):
        raise UsageError(f"bytes {start} to {stop} are not a range")
    if start >= blob.size_bytes:
        raise Refused(416, "InvalidRange", "The requested range is not satisfiable")
    return blob.read(start, blob.size_bytes if stop is None else min(stop, blob.size_bytes))


def _list(table: BucketTable, query: ListQuery) -> ListPage:
    limit = min(query.keys_max, 1000)
    if query.versions:
        marker = json.loads(query.token) if query.token else (query.start_after, "")
        page = table.versions_page(query.prefix, query.delimiter, tuple(marker), limit)
        token = json.dumps(page.after) if page.after else None
    else:
        after = query.token.removeprefix("after:") if query.token else query.start_after
        page = table.page(query.prefix, query.delimiter, after, limit)
        token = "after:" + page.after[0] if page.after else None
    rows = tuple(listed(version, query, is_latest=latest) for version, latest in page.versions)
    return ListPage(rows, page.prefixes, token)


def listed(version: Version, query: ListQuery, *, is_latest: bool) -> ListedObject:
    """The row of a listing that stands for a version."""
    marker = version.blob is None
    return ListedObject(
        key=version.key,
        size_bytes=None if marker else version.size_bytes,
        etag=None if marker else version.etag,
        last_modified=version.last_modified,
        storage_class=None if marker else version.storage_class,
        checksum_algorithm=version.checksum_algorithm,
        version_id=version.version_id if query.versions else None,
        is_latest=is_latest if query.versions else None,
        is_delete_marker=marker,
    )


def _get_inventory(
    store: MemoryStore, table: BucketTable, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    found = store._inventories[table.name].get(parameters["Id"])
    if found is None:
        raise Refused(404, "NoSuchConfiguration", "The specified configuration does not exist.")
    return {"InventoryConfiguration": found}


def _put_inventory(
    store: MemoryStore, table: BucketTable, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    configuration = parameters["InventoryConfiguration"]
    if configuration.get("Id") != parameters["Id"]:
        raise Refused(400, "InvalidArgument", "the two ids differ")
    store._inventories[table.name][parameters["Id"]] = configuration
    return {}


def _list_inventories(
    store: MemoryStore, table: BucketTable, _: Mapping[str, Any]
) -> dict[str, Any]:
    kept = store._inventories[table.name]
    return {
        "InventoryConfigurationList": [kept[name] for name in sorted(kept)],
        "IsTruncated": False,
    }


def _put_versioning(
    _: MemoryStore, table: BucketTable, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    table.versioning = Versioning(parameters["VersioningConfiguration"]["Status"])
    return {}


def _get_versioning(_: MemoryStore, table: BucketTable, __: Mapping[str, Any]) -> dict[str, Any]:
    return {} if table.versioning is Versioning.OFF else {"Status": str(table.versioning)}


def _get_location(_: MemoryStore, table: BucketTable, __: Mapping[str, Any]) -> dict[str, Any]:
    return {"LocationConstraint": None if table.region == "us-east-1" else table.region}


def _list_uploads(
    store: MemoryStore, table: BucketTable, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    found = store._uploads[table.name].open(parameters.get("Prefix", ""))
    uploads = [
        {"Key": one.key, "UploadId": one.upload_id, "Initiated": one.initiated} for one in found
    ]
    return {"Uploads": uploads, "IsTruncated": False} if uploads else {"IsTruncated": False}


def _list_parts(
    store: MemoryStore, table: BucketTable, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    parts = store._uploads[table.name].parts(parameters["UploadId"], parameters["Key"])
    listed = [
        {"PartNumber": number, "ETag": f'"{etag}"', "Size": size} for number, etag, size in parts
    ]
    return {"Parts": listed, "IsTruncated": False} if listed else {"IsTruncated": False}


_ACTIONS: dict[str, Callable[[MemoryStore, BucketTable, Mapping[str, Any]], dict[str, Any]]] = {
    "HeadBucket": lambda _store, table, _: {"BucketRegion": table.region},
    "GetBucketLocation": _get_location,
    "GetBucketVersioning": _get_versioning,
    "PutBucketVersioning": _put_versioning,
    "GetBucketInventoryConfiguration": _get_inventory,
    "PutBucketInventoryConfiguration": _put_inventory,
    "ListBucketInventoryConfigurations": _list_inventories,
    "ListMultipartUploads": _list_uploads,
    "ListParts": _list_parts,
}
