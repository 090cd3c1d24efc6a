"""Which operation a request is, and who answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from stocktake.testing import _fake_s3_buckets as buckets
from stocktake.testing import _fake_s3_objects as objects
from stocktake.testing._fake_s3_wire import Answer, Request

Route = Callable[[buckets.FakeBucket, Request, datetime], Answer]

_BUCKET_OPERATIONS: Mapping[tuple[str, str], str] = {
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "versions"): "ListObjectVersions",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "versioning"): "GetBucketVersioning",
    ("PUT", "versioning"): "PutBucketVersioning",
    ("GET", "inventory"): "GetBucketInventoryConfiguration",
    ("PUT", "inventory"): "PutBucketInventoryConfiguration",
    ("DELETE", "inventory"): "DeleteBucketInventoryConfiguration",
    ("POST", "delete"): "DeleteObjects",
    **{("GET", name): f"GetDocument:{name}" for name in buckets.DOCUMENTS},
    **{("PUT", name): f"PutDocument:{name}" for name in buckets.DOCUMENTS},
}
_PLAIN_BUCKET = {"PUT": "CreateBucket", "HEAD": "HeadBucket"}
_OBJECT_OPERATIONS: Mapping[tuple[str, str], str] = {
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", "uploadId"): "UploadPart",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "uploadId"): "ListParts",
}
_PLAIN_OBJECT = {
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
}
_PARAMETERS = frozenset(
    {
        "prefix",
        "delimiter",
        "max-keys",
        "encoding-type",
        "continuation-token",
        "start-after",
        "fetch-owner",
        "key-marker",
        "version-id-marker",
        "max-uploads",
        "upload-id-marker",
        "max-parts",
        "part-number-marker",
        "versionId",
        "partNumber",
        "id",
        "x-id",
    }
)


def operation_of(request: Request) -> str:
    """The S3 operation; `Unknown:...` for a sub-resource the fake does not have."""
    table = _OBJECT_OPERATIONS if request.key else _BUCKET_OPERATIONS
    for name in request.query:
        found = table.get((request.method, name))
        if found is not None:
            if found == "GetBucketInventoryConfiguration" and "id" not in request.query:
                return "ListBucketInventoryConfigurations"
            return found
    unknown = sorted(set(request.query) - _PARAMETERS)
    plain = _PLAIN_OBJECT if request.key else _PLAIN_BUCKET
    if unknown or request.method not in plain:
        return f"Unknown:{request.method} {','.join(unknown)}"
    return plain[request.method]


def _put_document(name: str) -> Route:
    def keep(bucket: buckets.FakeBucket, request: Request, _: datetime) -> Answer:
        bucket.documents[name] = request.body
        return Answer(204 if name == "policy" else 200)

    return keep


def _get_document(name: str) -> Route:
    return lambda bucket, _request, _now: buckets.get_document(bucket, name)


def _timeless(route: Callable[[buckets.FakeBucket, Request], Answer]) -> Route:
    return lambda bucket, request, _: route(bucket, request)


BUCKET_ROUTES: Mapping[str, Route] = {
    "HeadBucket": lambda bucket, _request, _now: Answer(
        200, {"x-amz-bucket-region": bucket.table.region}
    ),
    "ListObjectsV2": _timeless(buckets.list_objects),
    "ListObjectVersions": _timeless(buckets.list_versions),
    "GetBucketLocation": _timeless(buckets.get_location),
    "GetBucketVersioning": _timeless(buckets.get_versioning),
    "PutBucketVersioning": _timeless(buckets.put_versioning),
    "GetBucketInventoryConfiguration": _timeless(buckets.get_inventory),
    "ListBucketInventoryConfigurations": _timeless(buckets.get_inventory),
    "PutBucketInventoryConfiguration": _timeless(buckets.put_inventory),
    "DeleteBucketInventoryConfiguration": _timeless(buckets.delete_inventory),
    "ListMultipartUploads": _timeless(buckets.list_uploads),
    "DeleteObjects": buckets.delete_objects,
    **{f"GetDocument:{name}": _get_document(name) for name in buckets.DOCUMENTS},
    **{f"PutDocument:{name}": _put_document(name) for name in buckets.DOCUMENTS},
}
OBJECT_ROUTES: Mapping[str, Route] = {
    "GetObject": _timeless(objects.get_object),
    "HeadObject": _timeless(objects.get_object),
    "PutObject": objects.put_object,
    "DeleteObject": objects.delete_object,
    "CreateMultipartUpload": objects.begin_upload,
    "UploadPart": _timeless(objects.put_part),
    "CompleteMultipartUpload": objects.complete_upload,
    "AbortMultipartUpload": _timeless(objects.abort_upload),
    "ListParts": _timeless(objects.list_parts),
}
