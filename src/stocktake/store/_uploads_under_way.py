"""Uploads of one key that were begun and not ended: what a crash between two steps leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

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
    found: list[UploadUnderWay] = []
    marker: dict[str, str] = {}
    while True:
        answer = store.describe(
            "ListMultipartUploads", bucket, Prefix=key, EncodingType="url", **marker
        )
        page = [_upload(one, encoded=_encoded(answer)) for one in answer.get("Uploads", [])]
        found += [one for one in page if one.key == key]
        following = _next_marker(answer)
        # other keys below this one sort after it: they need not be read
        beyond = bool(page) and page[-1].key > key
        if not answer.get("IsTruncated") or beyond or following in ({}, marker):
            oldest = datetime.min.replace(tzinfo=UTC)
            return sorted(found, key=lambda one: (one.initiated or oldest, one.upload_id))
        marker = following


def _encoded(answer: Mapping[str, Any]) -> bool:
    return answer.get("EncodingType") == "url"


def _next_marker(answer: Mapping[str, Any]) -> dict[str, str]:
    key = answer.get("NextKeyMarker")
    upload_id = answer.get("NextUploadIdMarker")
    if not key:
        return {}
    shown = unquote_plus(key) if _encoded(answer) else key
    return {"KeyMarker": shown} | ({"UploadIdMarker": upload_id} if upload_id else {})


def _upload(one: Mapping[str, Any], *, encoded: bool) -> UploadUnderWay:
    key = one.get("Key", "")
    initiated = one.get("Initiated")
    return UploadUnderWay(
        unquote_plus(key) if encoded else key,
        one["UploadId"],
        initiated.astimezone(UTC) if isinstance(initiated, datetime) else None,
    )
