"""Listing answers as XML trees: the way that takes any order, any extra element and odd characters.

It is slow (7 ms for a page of 1,000), so `_page_columns.py` reads the usual answers without it, and
takes the frame of every answer, and all of the unusual ones, from here. Counts must agree with what
the answer says, so a cut or foreign answer is an error, never a short list.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from stocktake.model import normalise_etag
from stocktake.store._lenient_xml import parse_lenient
from stocktake.store._port import ListedObject, ListPage, ListQuery

_DIGITS_MAX = 18


class ListingShapeError(ValueError):
    """The answer is not the listing that was asked for; the message says what is odd."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything of an answer but its entries."""

    encoded: bool
    truncated: bool
    key_count: int | None
    prefixes: tuple[str, ...]
    next_token: str | None


def parse_tree_page(body: bytes, query: ListQuery) -> ListPage:
    """One ListObjectsV2 or ListObjectVersions answer as a page, in the order of the answer.

    Raises:
        ListingShapeError: Not that document, cut, or its counts contradict each other.
    """
    root = _tree(body)
    frame = _frame(root, query)
    rows = (element for element in root if element.tag in _entry_tags(query))
    objects = tuple(_row(element, frame, query) for element in rows)
    check_counts(len(objects), frame, query)
    if query.prefix and not all(entry.key.startswith(query.prefix) for entry in objects):
        _odd("it holds keys outside the prefix")
    return ListPage(objects, frame.prefixes, frame.next_token)


def read_frame(rest: bytes, query: ListQuery, *, place: str) -> Frame | None:
    """The frame of an answer whose entries were all replaced by one empty element `place`.

    None if there are entries left, or if they were somewhere else than directly below the root.

    Raises:
        ListingShapeError: As for `parse_tree_page`.
    """
    root = _tree(rest)
    tags = {element.tag for element in root}
    if place not in tags or tags & _entry_tags(query):
        return None
    return _frame(root, query)


def check_counts(entries: int, frame: Frame, query: ListQuery) -> None:
    """Raise `ListingShapeError` if that many entries are not what the frame says."""
    count = entries + len(frame.prefixes)
    if frame.key_count is not None and frame.key_count != count:
        _odd(f"it says {frame.key_count} keys and has {count}")
    # a page may be empty and not the last (what it stood for was filtered), if only it gets ahead
    if count == 0 and frame.next_token is not None and frame.next_token == query.token:
        _odd("truncated, but empty, and it goes on where it began")


def _entry_tags(query: ListQuery) -> set[str]:
    return {"Version", "DeleteMarker"} if query.versions else {"Contents"}


def _tree(body: bytes) -> ET.Element:
    if b"<!DOCTYPE" in body[:1000]:
        raise ListingShapeError("it starts like a web page")
    try:
        return parse_lenient(body)
    except ValueError as error:
        raise ListingShapeError(str(error)) from error


def _row(element: ET.Element, frame: Frame, query: ListQuery) -> ListedObject:
    marker = element.tag == "DeleteMarker"
    size = element.findtext("Size")
    key = element.findtext("Key")
    if key is None or (size is None and not marker):
        raise ListingShapeError("an entry has no key or no size")
    version_id = (element.findtext("VersionId") or "null") if query.versions else None
    return ListedObject(
        key=_percent(key) if frame.encoded else key,
        size_bytes=None if marker or size is None else _integer(size, "size"),
        etag=None if marker else normalise_etag(element.findtext("ETag")),
        last_modified=_instant((element.findtext("LastModified") or "").encode()),
        storage_class=None if marker else element.findtext("StorageClass") or None,
        checksum_algorithm=",".join(e.text or "" for e in element.findall("ChecksumAlgorithm"))
        or None,
        version_id=version_id,
        is_latest=element.findtext("IsLatest") == "true" if query.versions else None,
        is_delete_marker=marker,
    )


def _frame(root: ET.Element, query: ListQuery) -> Frame:
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
    return Frame(
        encoded=encoded,
        truncated=truncated,
        key_count=_integer(count_text, "count") if count_text else None,
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


def _odd(reason: str) -> NoReturn:
    raise ListingShapeError(reason)


def _percent(text: str) -> str:
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError as error:
        raise ListingShapeError("a key is not UTF-8") from error


def _integer(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        _odd(f"`{text}` is not a {what}")
    return int(text)


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
