"""Uploads of one key that were begun and not ended: what a crash between two steps leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, unquote_plus

from stocktake.store._port import Store


@dataclass(frozen=True, slots=True)
class UploadUnderWay:
    """One open upload. `initiated` is by the store's clock; None if it does not say."""

    key: str
    upload_id: str
    initiated: datetime | None


def uploads_of(store: Store, bucket: str, key: str) -> list[UploadUnderWay]:
    """The open uploads of exactly this key, whoever began them, oldest first.

    Asked for by the whole key, which is also all that some stores (MinIO) answer to.
    """
    # RGW encodes when it is asked to and does not say so: only keys that need it are asked for so
    wish = {} if key.isprintable() else {"EncodingType": "url"}
    found: list[UploadUnderWay] = []
    marker: dict[str, str] = {}
    while True:
        answer = store.describe("ListMultipartUploads", bucket, Prefix=key, **wish, **marker)
        page = answer.get("Uploads", [])
        found += [_upload(key, one) for one in page if key in _spellings(one, encoded=bool(wish))]
        following = _next_marker(answer)
        if not answer.get("IsTruncated") or following in ({}, marker):
            oldest = datetime.min.replace(tzinfo=UTC)
            return sorted(found, key=lambda one: (one.initiated or oldest, one.upload_id))
        marker = following


def _spellings(one: Mapping[str, Any], *, encoded: bool) -> set[str]:
    """What a key of the answer may mean. All keys of it begin with the one that was asked for."""
    shown = str(one.get("Key", ""))
    return {shown, unquote(shown), unquote_plus(shown)} if encoded else {shown}


def _next_marker(answer: Mapping[str, Any]) -> dict[str, str]:
    key = answer.get("NextKeyMarker")
    upload_id = answer.get("NextUploadIdMarker")
    if not key:
        return {}
    shown = unquote_plus(key) if answer.get("EncodingType") == "url" else key
    return {"KeyMarker": shown} | ({"UploadIdMarker": upload_id} if upload_id else {})


def _upload(key: str, one: Mapping[str, Any]) -> UploadUnderWay:
    initiated = one.get("Initiated")
    begun = initiated.astimezone(UTC) if isinstance(initiated, datetime) else None
    return UploadUnderWay(key, one["UploadId"], begun)
