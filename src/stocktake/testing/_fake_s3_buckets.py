"""The fake S3's bucket operations: listings, configurations, multi-delete."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime
from xml.sax.saxutils import escape

from stocktake.testing._fake_s3_wire import (
    Answer,
    Request,
    iso_time,
    parse_xml,
    url_text,
    xml_answer,
)
from stocktake.testing._object_table import BucketTable, Refused, Version, Versioning
from stocktake.testing._uploads import UploadTable

KEYS_MAX = 1000
DELETES_MAX = 1000
_RENDERED_MAX = 1_000_000
"""Entries whose XML is kept, at 0.4 KB each."""


@dataclass(slots=True)
class FakeBucket:
    """One bucket of the fake: objects, uploads, and configurations kept as they were sent."""

    table: BucketTable
    uploads: UploadTable = field(default_factory=UploadTable)
    inventories: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    rendered: dict[str, tuple[Version, str]] = field(default_factory=dict)


DOCUMENTS = {
    "policy": "NoSuchBucketPolicy",
    "encryption": "ServerSideEncryptionConfigurationNotFoundError",
    "lifecycle": "NoSuchLifecycleConfiguration",
    "notification": None,
    "tagging": "NoSuchTagSet",
}
"""Sub-resources that are kept and given back verbatim, and what S3 says when there is none."""


def list_objects(bucket: FakeBucket, request: Request) -> Answer:
    """ListObjectsV2."""
    query = request.query
    encoded = query.get("encoding-type") == "url"
    limit = _limit(query.get("max-keys"))
    token = query.get("continuation-token")
    after = _read_token(token) if token is not None else query.get("start-after", "")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    page = bucket.table.page(prefix, delimiter, after, limit)
    entries = "".join(_rendered(bucket, page.versions, encoded=encoded))
    count = len(page.versions) + len(page.prefixes)
    truncated = page.after is not None and limit > 0
    following = ""
    if truncated and page.after is not None:
        following = f"<NextContinuationToken>{_token(page.after[0])}</NextContinuationToken>"
    inner = (
        f"<Name>{bucket.table.name}</Name><Prefix>{url_text(prefix, encoded=encoded)}</Prefix>"
        f"{following}<KeyCount>{count}</KeyCount><MaxKeys>{limit}</MaxKeys>"
        + (f"<Delimiter>{url_text(delimiter, encoded=encoded)}</Delimiter>" if delimiter else "")
        + ("<EncodingType>url</EncodingType>" if encoded else "")
        + f"<IsTruncated>{'true' if truncated else 'false'}</IsTruncated>"
        + entries
        + _prefixes(page.prefixes, encoded=encoded)
    )
    return xml_answer("ListBucketResult", inner)


def list_versions(bucket: FakeBucket, request: Request) -> Answer:
    """ListObjectVersions."""
    query = request.query
    encoded = query.get("encoding-type") == "url"
    limit = _limit(query.get("max-keys"))
    after = (query.get("key-marker", ""), query.get("version-id-marker", ""))
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    page = bucket.table.versions_page(prefix, delimiter, after, limit)
    following = ""
    if page.after is not None:
        key, version_id = page.after
        following = f"<NextKeyMarker>{url_text(key, encoded=encoded)}</NextKeyMarker>"
        if version_id:
            following += f"<NextVersionIdMarker>{version_id}</NextVersionIdMarker>"
    inner = (
        f"<Name>{bucket.table.name}</Name><Prefix>{url_text(prefix, encoded=encoded)}</Prefix>"
        f"{following}<MaxKeys>{limit}</MaxKeys>"
        + ("<EncodingType>url</EncodingType>" if encoded else "")
        + f"<IsTruncated>{'false' if page.after is None else 'true'}</IsTruncated>"
        + "".join(_version(v, encoded=encoded, latest=latest) for v, latest in page.versions)
        + _prefixes(page.prefixes, encoded=encoded)
    )
    return xml_answer("ListVersionsResult", inner)


def list_uploads(bucket: FakeBucket, request: Request) -> Answer:
    """ListMultipartUploads, with pages."""
    query = request.query
    encoded = query.get("encoding-type") == "url"
    limit = _limit(query.get("max-uploads"))
    marker = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
    found = bucket.uploads.open(query.get("prefix", ""))
    places = [(one.key, one.upload_id) for one in found]
    if marker[1] and marker in places:
        found = found[places.index(marker) + 1 :]
    else:
        found = [one for one in found if one.key > marker[0]]
    page = found[:limit]
    following = ""
    if len(found) > limit > 0:
        key = url_text(page[-1].key, encoded=encoded)
        following = (
            f"<NextKeyMarker>{key}</NextKeyMarker>"
            f"<NextUploadIdMarker>{page[-1].upload_id}</NextUploadIdMarker>"
        )
    inner = (
        f"<Bucket>{bucket.table.name}</Bucket>{following}<MaxUploads>{limit}</MaxUploads>"
        + ("<EncodingType>url</EncodingType>" if encoded else "")
        + f"<IsTruncated>{'true' if following else 'false'}</IsTruncated>"
        + "".join(
            f"<Upload><Key>{url_text(one.key, encoded=encoded)}</Key>"
            f"<UploadId>{one.upload_id}</UploadId>"
            f"<Initiated>{iso_time(one.initiated)}</Initiated></Upload>"
            for one in page
        )
    )
    return xml_answer("ListMultipartUploadsResult", inner)


def _limit(text: str | None) -> int:
    if text is None:
        return KEYS_MAX
    if not text.isdigit():
        raise Refused(400, "InvalidArgument", "max-keys is not a number")
    return min(int(text), KEYS_MAX)


def _token(marker: str) -> str:
    return urlsafe_b64encode(json.dumps(marker).encode()).decode()


def _read_token(token: str) -> str:
    try:
        return str(json.loads(urlsafe_b64decode(token)))
    except ValueError as error:
        raise Refused(400, "InvalidArgument", "The continuation token is incorrect") from error


def _facts(version: Version) -> str:
    checksum = version.checksum_algorithm
    return (
        f"<LastModified>{iso_time(version.last_modified)}</LastModified>"
        f"<ETag>&quot;{version.etag}&quot;</ETag>"
        + (f"<ChecksumAlgorithm>{checksum}</ChecksumAlgorithm>" if checksum else "")
        + f"<Size>{version.size_bytes}</Size><StorageClass>{version.storage_class}</StorageClass>"
    )


def _rendered(
    bucket: FakeBucket, versions: tuple[tuple[Version, bool], ...], *, encoded: bool
) -> list[str]:
    """The XML of the entries; what was rendered for an earlier page is used again."""
    if not encoded:
        return [_contents(version, encoded=False) for version, _ in versions]
    known = bucket.rendered
    if len(known) > _RENDERED_MAX:
        known.clear()
    texts = []
    for version, _ in versions:
        kept = known.get(version.key)
        if kept is None or kept[0] is not version:
            kept = known[version.key] = (version, _contents(version, encoded=True))
        texts.append(kept[1])
    return texts


def _contents(version: Version, *, encoded: bool) -> str:
    key = url_text(version.key, encoded=encoded)
    return f"<Contents><Key>{key}</Key>{_facts(version)}</Contents>"


def _version(version: Version, *, encoded: bool, latest: bool) -> str:
    start = (
        f"<Key>{url_text(version.key, encoded=encoded)}</Key>"
        f"<VersionId>{version.version_id}</VersionId>"
        f"<IsLatest>{'true' if latest else 'false'}</IsLatest>"
    )
    if version.blob is None:
        modified = f"<LastModified>{iso_time(version.last_modified)}</LastModified>"
        return f"<DeleteMarker>{start}{modified}</DeleteMarker>"
    return f"<Version>{start}{_facts(version)}</Version>"


def _prefixes(prefixes: tuple[str, ...], *, encoded: bool) -> str:
    texts = (url_text(prefix, encoded=encoded) for prefix in prefixes)
    return "".join(f"<CommonPrefixes><Prefix>{t}</Prefix></CommonPrefixes>" for t in texts)


def delete_objects(bucket: FakeBucket, request: Request, now: datetime) -> Answer:
    """DeleteObjects: at most 1,000 keys, each named with an optional version."""
    if not any(name in request.headers for name in _INTEGRITY):
        raise Refused(400, "InvalidRequest", "Missing required header: Content-MD5 or checksum")
    root = parse_xml(request.body)
    wanted = root.findall("Object")
    if not 1 <= len(wanted) <= DELETES_MAX:
        raise Refused(400, "MalformedXML", "between 1 and 1000 keys")
    quiet = root.findtext("Quiet") == "true"
    deleted = []
    for item in wanted:
        key = item.findtext("Key") or ""
        bucket.table.delete(key, now, item.findtext("VersionId"))
        deleted.append(f"<Deleted><Key>{escape(key)}</Key></Deleted>")
    return xml_answer("DeleteResult", "" if quiet else "".join(deleted))


_INTEGRITY = ("content-md5", "x-amz-checksum-crc32", "x-amz-checksum-sha256")


def put_versioning(bucket: FakeBucket, request: Request) -> Answer:
    """PutBucketVersioning."""
    status = parse_xml(request.body).findtext("Status")
    if status not in {"Enabled", "Suspended"}:
        raise Refused(400, "MalformedXML", "Status is Enabled or Suspended")
    bucket.table.versioning = Versioning(status)
    return Answer()


def get_versioning(bucket: FakeBucket, _: Request) -> Answer:
    """GetBucketVersioning."""
    if bucket.table.versioning is Versioning.OFF:
        return xml_answer("VersioningConfiguration", "")
    return xml_answer("VersioningConfiguration", f"<Status>{bucket.table.versioning}</Status>")


def get_location(bucket: FakeBucket, _: Request) -> Answer:
    """GetBucketLocation: empty for us-east-1."""
    region = bucket.table.region
    return xml_answer("LocationConstraint", "" if region == "us-east-1" else region)


def put_inventory(bucket: FakeBucket, request: Request) -> Answer:
    """PutBucketInventoryConfiguration: the id is given twice and must agree."""
    root = parse_xml(request.body)
    required = ("Id", "IsEnabled", "IncludedObjectVersions", "Schedule", "Destination")
    if root.tag != "InventoryConfiguration" or any(root.find(name) is None for name in required):
        raise Refused(400, "MalformedXML", "an inventory configuration lacks something")
    if root.findtext("Id") != request.query.get("id"):
        raise Refused(400, "InvalidArgument", "the two ids differ")
    body = request.body
    start = body.index(b"<InventoryConfiguration")
    bucket.inventories[request.query["id"]] = body[start:]
    return Answer(204)


def get_inventory(bucket: FakeBucket, request: Request) -> Answer:
    """GetBucketInventoryConfiguration, or the list of them without an id."""
    if "id" not in request.query:
        return _list_inventories(bucket, request)
    found = bucket.inventories.get(request.query["id"])
    if found is None:
        raise Refused(404, "NoSuchConfiguration", "The specified configuration does not exist.")
    return Answer(200, {"content-type": "application/xml"}, found)


def _list_inventories(bucket: FakeBucket, request: Request) -> Answer:
    """Pages of 100, as S3 does."""
    after = request.query.get("continuation-token", "")
    names = sorted(name for name in bucket.inventories if name > after)
    page, rest = names[:100], names[100:]
    inner = "".join(bucket.inventories[name].decode() for name in page)
    inner += f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>"
    if rest:
        inner += f"<NextContinuationToken>{page[-1]}</NextContinuationToken>"
    return xml_answer("ListInventoryConfigurationsResult", inner)


def delete_inventory(bucket: FakeBucket, request: Request) -> Answer:
    """DeleteBucketInventoryConfiguration."""
    if bucket.inventories.pop(request.query.get("id", ""), None) is None:
        raise Refused(404, "NoSuchConfiguration", "The specified configuration does not exist.")
    return Answer(204)


def get_document(bucket: FakeBucket, name: str) -> Answer:
    """A configuration document as it was sent."""
    found = bucket.documents.get(name)
    if found is not None:
        content_type = "application/json" if name == "policy" else "application/xml"
        return Answer(200, {"content-type": content_type}, found)
    missing = DOCUMENTS[name]
    if missing is None:
        return xml_answer("NotificationConfiguration", "")
    raise Refused(404, missing, "there is none")
