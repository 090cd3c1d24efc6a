"""incremental_time: the watermark of open uploads, the rule at the boundary (STR-2, facts 4.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote_plus

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.errors import (
    AccessDeniedError,
    StoreUnavailableError,
    UnsupportedOperationError,
)
from stocktake.listing import TimeBoundary, TimeRules, open_upload_watermark
from stocktake.model import S3Url, object_schema
from stocktake.testing import MemoryStore

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SLACK = timedelta(minutes=15)
SCHEMA = object_schema(["last_modified", "etag"])


class Uploads(MemoryStore):
    """Answers ListMultipartUploads as S3 does, some uploads per page."""

    def __init__(self, uploads, *, page: int = 2, error=None, prefixed: bool = True):
        super().__init__()
        self.uploads, self.page, self.error, self.prefixed = sorted(uploads), page, error, prefixed

    def describe(self, operation, bucket, **parameters):
        assert operation == "ListMultipartUploads"
        if self.error is not None:
            raise self.error
        after = (parameters.get("KeyMarker", ""), parameters.get("UploadIdMarker", ""))
        rows = [(key, f"id-{when:%s}", when) for key, when in self.uploads]
        rows = [row for row in rows if row[:2] > after]
        if self.prefixed:
            rows = [row for row in rows if row[0].startswith(parameters["Prefix"])]
        answer = {
            "EncodingType": "url",
            "IsTruncated": len(rows) > self.page,
            "Uploads": [
                {"Key": quote_plus(key), "UploadId": name, "Initiated": when}
                for key, name, when in rows[: self.page]
            ],
        }
        if answer["IsTruncated"]:
            last = rows[self.page - 1]
            answer |= {"NextKeyMarker": quote_plus(last[0]), "NextUploadIdMarker": last[1]}
        return answer


def test_the_oldest_open_upload_holds_the_watermark_on_whichever_page_it_is():
    uploads = [(f"in/a +{number}\x01", T0 - timedelta(hours=number)) for number in range(7)]
    found = open_upload_watermark(Uploads(uploads), S3Url("b", "in/"), T0, SLACK)
    assert found.at == T0 - timedelta(hours=6) - SLACK
    assert (found.open_uploads, found.calls, found.warning) == (7, 4, None)


def test_no_open_upload_leaves_the_start_of_the_scan():
    found = open_upload_watermark(Uploads([]), S3Url("b", "in/"), T0, SLACK)
    assert found == type(found)(T0 - SLACK, 0, None, 1)


def test_an_upload_begun_after_the_scan_does_not_move_the_watermark_on():
    store = Uploads([("x", T0 + timedelta(minutes=5))])
    assert open_upload_watermark(store, S3Url("b"), T0, SLACK).at == T0 - SLACK


@pytest.mark.parametrize("prefixed", [True, False])
def test_uploads_of_other_prefixes_do_not_count(prefixed):
    store = Uploads([("other/x", T0 - timedelta(days=1))], prefixed=prefixed)
    assert open_upload_watermark(store, S3Url("b", "in/"), T0, SLACK).open_uploads == 0


def test_a_forgotten_upload_is_named():
    store = Uploads([("in/big.iso", T0 - timedelta(days=400))])
    found = open_upload_watermark(store, S3Url("b", "in/"), T0, SLACK)
    assert "`in/big.iso` open since 2025-01-25" in found.warning


def test_where_uploads_may_not_be_listed_the_start_of_the_scan_counts_and_a_warning_says_so():
    store = Uploads([], error=AccessDeniedError("not allowed"))
    found = open_upload_watermark(store, S3Url("b", "in/"), T0, SLACK)
    assert found.at == T0 - SLACK
    assert found.open_uploads is None
    assert "not allowed" in found.warning
    store = Uploads([], error=UnsupportedOperationError("not here"))
    unknown = open_upload_watermark(store, S3Url("b"), T0, SLACK)
    assert "are unknown" in unknown.warning


def test_a_failure_is_a_failure():
    store = Uploads([], error=StoreUnavailableError("down"))
    with pytest.raises(StoreUnavailableError):
        open_upload_watermark(store, S3Url("b"), T0, SLACK)


def test_a_store_that_pages_in_circles_is_not_followed():
    class Circles(Uploads):
        def describe(self, *_, **__):
            return {"IsTruncated": True, "NextKeyMarker": "a", "NextUploadIdMarker": "1"}

    found = open_upload_watermark(Circles([]), S3Url("b"), T0, SLACK)
    assert found.calls == 2
    assert "not where they go on" in found.warning


def rows(*objects: tuple[datetime | None, str, str]) -> pa.RecordBatch:
    table = [
        {"key": key, "last_modified": when and when.replace(tzinfo=None), "etag": etag}
        for when, key, etag in objects
    ]
    return pa.RecordBatch.from_pylist(table, schema=SCHEMA)


def keys(batch) -> list[str]:
    return batch.column("key").to_pylist()


def test_two_objects_of_the_same_second_are_neither_lost_nor_given_twice():
    first = rows((T0, "a", "1"))
    boundary = TimeBoundary().advance(T0, [first])
    second = rows((T0, "a", "1"), (T0, "b", "1"), (T0 - timedelta(seconds=1), "old", "1"))
    assert keys(boundary.admit(second)) == ["b"]
    again = boundary.advance(T0, [boundary.admit(second)])
    assert keys(again.admit(second)) == []
    assert keys(again.admit(rows((T0, "a", "2")))) == ["a"]


def test_an_upload_that_ends_behind_newer_objects_is_not_lost_with_the_upload_watermark():
    begun = T0 - timedelta(hours=2)
    newer = rows((T0, "quick", "1"))
    boundary = TimeBoundary().advance(begun, [newer])  # held back by the open upload
    late = rows((begun, "slow-upload", "1"), (T0, "quick", "1"))
    assert keys(boundary.admit(late)) == ["slow-upload"]


def test_a_boundary_never_moves_back_and_survives_json():
    boundary = TimeBoundary().advance(T0, [rows((T0, "a\x00%", "1"))])
    assert boundary.advance(T0 - timedelta(days=1), []).at == T0
    assert TimeBoundary.from_json(boundary.to_json()) == boundary
    assert TimeBoundary.from_json({}) == TimeBoundary()
    assert "\x00" not in str(boundary.to_json())


_OBJECT = st.tuples(st.integers(0, 20), st.sampled_from("abc"), st.sampled_from("12"))


@given(
    scans=st.lists(st.tuples(st.sets(_OBJECT), st.integers(0, 20)), min_size=1, max_size=6),
)
def test_nothing_is_told_twice_and_nothing_at_or_after_the_watermark_is_lost(scans):
    boundary, told, reached = TimeBoundary(), [], None
    for objects, watermark in scans:
        listed = [(T0 + timedelta(seconds=at), key, etag) for at, key, etag in sorted(objects)]
        fresh = boundary.admit(rows(*listed))
        told += [tuple(row.values()) for row in fresh.to_pylist()]
        owed = {one for one in listed if reached is None or one[0] >= reached}
        known = {(row[1].replace(tzinfo=UTC), row[0], row[2]) for row in told}
        assert owed <= known
        boundary = boundary.advance(T0 + timedelta(seconds=watermark), [fresh])
        reached = boundary.at
    assert len(told) == len(set(told))


def test_rules_from_settings_and_full_refresh_overrides_the_filter():
    rules = TimeRules.from_settings({"since": "2026-03-01T12:00:00Z", "slack": "1m"})
    batch = rows((T0, "a", "1"), (T0 - timedelta(seconds=1), "b", "1"), (None, "c", "1"))
    assert keys(rules.keep(batch)) == ["a", "c"]
    assert rules.compare_with_known
    assert rules.slack == timedelta(minutes=1)
    again = TimeRules.from_settings({"since": "2026-03-01T12:00:00Z", "full_refresh": True})
    assert keys(again.keep(batch)) == ["a", "b", "c"]
    assert not again.compare_with_known
