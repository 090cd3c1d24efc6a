"""Until when a scan has seen everything by time: the watermark that open uploads hold back.

A multipart object carries the time its upload was begun. One that is still open will appear with a
time in the past, so "everything modified before W was seen" is true only for a W before the oldest
open upload.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from stocktake.errors import AccessDeniedError, UnexpectedAnswerError, UnsupportedOperationError
from stocktake.model import S3Url, display_key
from stocktake.store import Store

ABANDONED_AFTER = timedelta(days=7)
"""An upload that is open for longer has most likely been forgotten."""

_PAGES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class UploadWatermark:
    """What `open_upload_watermark` found.

    Attributes:
        at: Objects modified before it, and not seen by the scan, will not appear any more.
        open_uploads: Uploads under way below the prefix; None if the store did not say.
        oldest: When the oldest of them was begun.
        calls: Requests that it took.
        warning: What weakens it, as a sentence; None if nothing does.
    """

    at: datetime
    open_uploads: int | None
    oldest: datetime | None
    calls: int
    warning: str | None = None


def open_upload_watermark(
    store: Store,
    source: S3Url,
    scan_started: datetime,
    slack: timedelta,
    *,
    uploads_per_page: int = 1000,
) -> UploadWatermark:
    """The earlier of the scan's start and the oldest open upload, minus `slack`.

    Ask after the scan has started and before its result is used: an upload that is begun later has
    a later time. One request per 1,000 open uploads; only one page is held.

    Raises:
        StoreError: The uploads could not be listed for another reason than that the store does not
            allow it or does not know how; those give a warning, and the scan's start counts.
    """
    pages = _Pages(store, source, uploads_per_page)
    try:
        pages.read()
    except (AccessDeniedError, UnsupportedOperationError, UnexpectedAnswerError) as error:
        return UploadWatermark(
            scan_started - slack,
            None,
            None,
            pages.calls,
            f"open multipart uploads below {source} are unknown ({error.message}): an upload that "
            f"takes longer than {slack.total_seconds():g} s may appear behind the watermark",
        )
    warning = None
    if pages.oldest is not None and scan_started - pages.oldest > ABANDONED_AFTER:
        warning = (
            f"an upload of `{display_key(pages.oldest_key)}` open since {pages.oldest:%Y-%m-%d} "
            "holds the watermark back: abort it if it is forgotten"
        )
    first = scan_started if pages.oldest is None else min(pages.oldest, scan_started)
    return UploadWatermark(first - slack, pages.count, pages.oldest, pages.calls, warning)


class _Pages:
    """All pages of ListMultipartUploads below a prefix: how many uploads, and the oldest."""

    def __init__(self, store: Store, source: S3Url, per_page: int) -> None:
        self._store = store
        self._source = source
        self._per_page = per_page
        self.calls = 0
        self.count = 0
        self.oldest: datetime | None = None
        self.oldest_key = ""

    def read(self) -> None:
        marker: dict[str, Any] = {}
        while True:
            self.calls += 1
            answer = self._store.describe(
                "ListMultipartUploads",
                self._source.bucket,
                Prefix=self._source.key,
                EncodingType="url",
                MaxUploads=self._per_page,
                **marker,
            )
            self._take(answer)
            if not answer.get("IsTruncated"):
                return
            following = {
                "KeyMarker": _plain(answer, str(answer.get("NextKeyMarker") or "")),
                "UploadIdMarker": str(answer.get("NextUploadIdMarker") or ""),
            }
            if following == marker or not following["KeyMarker"] or self.calls >= _PAGES_MAX:
                raise UnexpectedAnswerError(
                    f"cannot list the open uploads of {self._source}: the store says there are "
                    "more but not where they go on",
                    bucket=self._source.bucket,
                    operation="ListMultipartUploads",
                )
            marker = following

    def _take(self, answer: dict[str, Any]) -> None:
        for upload in answer.get("Uploads", ()):
            key = _plain(answer, str(upload.get("Key", "")))
            if not key.startswith(self._source.key):
                continue  # some stores ignore the prefix
            self.count += 1
            begun = upload.get("Initiated")
            if isinstance(begun, datetime):
                begun = begun.replace(tzinfo=UTC) if begun.tzinfo is None else begun
                if self.oldest is None or begun < self.oldest:
                    self.oldest, self.oldest_key = begun.astimezone(UTC), key


def _plain(answer: dict[str, Any], text: str) -> str:
    return unquote_plus(text) if answer.get("EncodingType") == "url" else text
