"""Listing answers to rows: a fast parse of the usual shape, checked, and a slow one for the rest.

The fast parse is one regular expression over the bytes. It is believed only if it found exactly as
many entries as the document has; else the document is parsed properly. Either result must agree
with the counts the answer gives, so a cut or foreign answer is an error, never a short list.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from stocktake.model import normalise_etag
from stocktake.store._lenient_xml import parse_lenient
from stocktake.store._port import ListedObject, ListPage, ListQuery

_ENTRY = re.compile(
    rb"<Contents>\s*<Key>([^<]*)</Key>\s*<LastModified>([^<]*)</LastModified>\s*"
    rb"(?:<ETag>([^<]*)</ETag>)?\s*"
    rb"((?:<ChecksumAlgorithm>[^<]*</ChecksumAlgorithm>\s*)*)"
    rb"(?:<ChecksumType>[^<]*</ChecksumType>)?\s*"
    rb"<Size>(\d+)</Size>\s*"
    rb"(?:<Owner>(?:(?!</Owner>).)*</Owner>)?\s*"
    rb"(?:<StorageClass>([^<]*)</StorageClass>)?\s*"
    rb"(?:<Owner>(?:(?!</Owner>).)*</Owner>)?\s*</Contents>",
    re.DOTALL,
)
_ALGORITHM = re.compile(rb"<ChecksumAlgorithm>([^<]*)</ChecksumAlgorithm>")
_REFERENCE = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-z]+);")
_ENTITIES = {"quot": '"', "apos": "'", "amp": "&", "lt": "<", "gt": ">"}


class ListingShapeError(ValueError):
    """The answer is not the listing that was asked for; the message says what is odd."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Everything of an answer but its entries."""

    encoded: bool
    truncated: bool
    key_count: int | None
    prefixes: tuple[str, ...]
    next_token: str | None


def parse_objects_page(body: bytes, query: ListQuery) -> ListPage:
    """One ListObjectsV2 answer as a page, in the order of the answer.

    Raises:
        ListingShapeError: Not that document, cut, or its counts contradict each other.
    """
    entries = body.count(b"<Contents>")
    found = _ENTRY.findall(body)
    if len(found) != entries:
        return _page_from_tree(_tree(body), query)
    frame = _frame(_tree(_ENTRY.sub(b"", body)), query)
    decode = _decode_url if frame.encoded else _decode_xml
    objects = tuple(
        ListedObject(
            key=decode(key),
            size_bytes=int(size),
            etag=normalise_etag(_decode_xml(etag)),
            last_modified=_instant(modified),
            storage_class=storage_class.decode() or None,
            checksum_algorithm=_algorithms(algorithms),
        )
        for key, modified, etag, algorithms, size, storage_class in found
    )
    return _checked(objects, frame, query)


def parse_versions_page(body: bytes, query: ListQuery) -> ListPage:
    """One ListObjectVersions answer as a page: newest first within a key.

    Raises:
        ListingShapeError: As for `parse_objects_page`.
    """
    return _page_from_tree(_tree(body), query)


def _tree(body: bytes) -> ET.Element:
    if b"<!DOCTYPE" in body[:1000]:
        raise ListingShapeError("it starts like a web page")
    try:
        return parse_lenient(body)
    except ValueError as error:
        raise ListingShapeError(str(error)) from error


def _page_from_tree(root: ET.Element, query: ListQuery) -> ListPage:
    frame = _frame(root, query)
    wanted = {"Version", "DeleteMarker"} if query.versions else {"Contents"}
    rows = (element for element in root if element.tag in wanted)
    return _checked(tuple(_row(element, frame, query) for element in rows), frame, query)


def _row(element: ET.Element, frame: _Frame, query: ListQuery) -> ListedObject:
    marker = element.tag == "DeleteMarker"
    size = element.findtext("Size")
    key = element.findtext("Key")
    if key is None or (size is None and not marker):
        raise ListingShapeError("an entry has no key or no size")
    version_id = (element.findtext("VersionId") or "null") if query.versions else None
    return ListedObject(
        key=_percent(key) if frame.encoded else key,
        size_bytes=None if marker or size is None else int(size),
        etag=None if marker else normalise_etag(element.findtext("ETag")),
        last_modified=_instant((element.findtext("LastModified") or "").encode()),
        storage_class=None if marker else element.findtext("StorageClass"),
        checksum_algorithm=",".join(e.text or "" for e in element.findall("ChecksumAlgorithm"))
        or None,
        version_id=version_id,
        is_latest=element.findtext("IsLatest") == "true" if query.versions else None,
        is_delete_marker=marker,
    )


def _frame(root: ET.Element, query: ListQuery) -> _Frame:
    expected = "ListVersionsResult" if query.versions else "ListBucketResult"
    if root.tag != expected:
        code = root.findtext("Code")
        raise ListingShapeError(f"a {root.tag}{f' {code}' if code else ''}, not a {expected}")
    name = root.findtext("Name")
    if name is not None and name != query.bucket:
        raise ListingShapeError(f"a listing of bucket {name}")
    truncated_text = root.findtext("IsTruncated")
    if truncated_text not in {"true", "false"}:
        raise ListingShapeError("it does not say whether it is truncated")
    encoded = root.findtext("EncodingType") == "url"
    count_text = root.findtext("KeyCount")
    prefixes = [element.findtext("Prefix") or "" for element in root.findall("CommonPrefixes")]
    truncated = truncated_text == "true"
    return _Frame(
        encoded=encoded,
        truncated=truncated,
        key_count=int(count_text) if count_text else None,
        prefixes=tuple(_percent(text) if encoded else text for text in prefixes),
        next_token=_next_token(root, query, encoded=encoded) if truncated else None,
    )


def _next_token(root: ET.Element, query: ListQuery, *, encoded: bool) -> str:
    if not query.versions:
        token = root.findtext("NextContinuationToken")
        if not token:
            raise ListingShapeError("truncated, but without a continuation token")
        return token
    key = root.findtext("NextKeyMarker")
    if not key:
        raise ListingShapeError("truncated, but without a key marker")
    return json.dumps(
        [_percent(key) if encoded else key, root.findtext("NextVersionIdMarker") or ""]
    )


def _checked(objects: tuple[ListedObject, ...], frame: _Frame, query: ListQuery) -> ListPage:
    count = len(objects) + len(frame.prefixes)
    if frame.key_count is not None and frame.key_count != count:
        _odd(f"it says {frame.key_count} keys and has {count}")
    if frame.truncated and count == 0:
        _odd("truncated, but empty")
    if query.prefix and not all(entry.key.startswith(query.prefix) for entry in objects):
        _odd("it holds keys outside the prefix")
    return ListPage(objects, frame.prefixes, frame.next_token)


def _odd(reason: str) -> NoReturn:
    raise ListingShapeError(reason)


def _decode_url(raw: bytes) -> str:
    if b"%" in raw or b"+" in raw or b"&" in raw:
        return _percent(_decode_xml(raw))
    return _ascii_or_utf8(raw)


def _percent(text: str) -> str:
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError as error:
        raise ListingShapeError("a key is not UTF-8") from error


def _decode_xml(raw: bytes) -> str:
    text = _ascii_or_utf8(raw)
    return _REFERENCE.sub(_referred, text) if "&" in text else text


def _referred(match: re.Match[str]) -> str:
    name = match[1]
    if not name.startswith("#"):
        return _ENTITIES.get(name, match[0])
    return chr(int(name[2:], 16) if name[1] in "xX" else int(name[1:]))


def _ascii_or_utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ListingShapeError("a key is not UTF-8") from error


def _algorithms(raw: bytes) -> str | None:
    if not raw:
        return None
    return ",".join(text.decode() for text in _ALGORITHM.findall(raw)) or None


def _instant(raw: bytes) -> datetime | None:
    if not raw:
        return None
    try:
        value = datetime.fromisoformat(raw.decode("ascii"))
    except ValueError as error:
        raise ListingShapeError(f"`{raw!r}` is not a time") from error
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def listing_parameters(query: ListQuery) -> dict[str, object]:
    """The request parameters of a listing, named as in the S3 API."""
    parameters: dict[str, object] = {
        "Bucket": query.bucket,
        "Prefix": query.prefix,
        "MaxKeys": query.keys_max,
        "EncodingType": "url",
    }
    if query.delimiter:
        parameters["Delimiter"] = query.delimiter
    if query.versions:
        return parameters | _version_markers(query)
    if query.token is not None:
        parameters["ContinuationToken"] = query.token
    elif query.start_after:
        parameters["StartAfter"] = query.start_after
    return parameters


def _version_markers(query: ListQuery) -> dict[str, object]:
    if query.token is None:
        return {"KeyMarker": query.start_after} if query.start_after else {}
    key, version_id = json.loads(query.token)
    return {"KeyMarker": key} | ({"VersionIdMarker": version_id} if version_id else {})
