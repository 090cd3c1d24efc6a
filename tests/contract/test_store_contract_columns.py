"""Pages as Arrow columns say what pages as rows say, on every store (LST-2, LST-4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stocktake.errors import BucketNotFoundError, UsageError
from stocktake.store import (
    ArrowPages,
    ListQuery,
    listed_schema,
    read_key_page,
    read_key_page_once,
    rows_to_batch,
)
from stocktake.testing._nasty import HEAD, TAIL


@pytest.fixture
def filled(subject):
    # moto writes versions without encoding them, and XML has no U+FFFF at all
    refused = {*subject.traits.key_characters_refused, "\uffff"}
    keys = [key for key in (*HEAD, *TAIL) if not set(key) & refused][::7]
    for key in [*keys, "tree/a/1", "tree/a/2", "tree/b", "tree//", "tree/c d+e%"]:
        subject.store.put(subject.bucket, key, key.encode())
    return subject


def assert_same_pages(subject, query: ListQuery) -> int:
    """Go through all pages both ways; returns how many there were."""
    pages = 0
    token: str | None = None
    while True:
        asked = replace(query, token=token)
        rows = subject.store.list_page(asked)
        for read in (read_key_page, read_key_page_once):
            columns = read(subject.store, asked)
            schema = listed_schema(versions=query.versions)
            assert columns.rows == rows_to_batch(rows.objects, schema)
            columns.rows.validate(full=True)
            assert columns.prefixes == rows.prefixes
            assert (columns.next_token is None) == (rows.next_token is None)
        pages += 1
        token = rows.next_token
        if token is None:
            return pages


@pytest.mark.parametrize("versions", [False, True], ids=["objects", "versions"])
@pytest.mark.parametrize("delimiter", ["", "/"], ids=["flat", "folders"])
def test_columns_hold_what_rows_hold(filled, delimiter, versions):
    query = ListQuery(filled.bucket, delimiter=delimiter, versions=versions)
    pages = assert_same_pages(filled, replace(query, keys_max=5))
    assert pages > 3 or delimiter or versions
    for asked in (
        query,
        replace(query, prefix="tree/", start_after="tree/a/1"),
        replace(query, prefix="nothing"),
    ):
        assert assert_same_pages(filled, asked) == 1


def test_versions_and_delete_markers_are_the_same_as_columns(subject):
    store, bucket = subject.store, subject.bucket
    store.describe("PutBucketVersioning", bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a", "a", "b c", "d"):
        store.put(bucket, key, b"1")
    store.delete(bucket, ["a", "d"])
    for keys_max in (1, 2, 1000):
        assert_same_pages(subject, ListQuery(bucket, versions=True, keys_max=keys_max))


def test_every_page_is_one_counted_request(filled):
    if not filled.traits.over_http:
        return
    query = ListQuery(filled.bucket, keys_max=5)
    for _ in range(3):
        before = filled.meter.calls.get("ListObjectsV2", 0)
        read_key_page(filled.store, query)
        assert filled.meter.calls["ListObjectsV2"] == before + 1


def test_what_cannot_be_listed_fails_alike(subject):
    for read in (read_key_page, read_key_page_once):
        with pytest.raises(BucketNotFoundError):
            read(subject.store, ListQuery("no-such-bucket-anywhere"))
        with pytest.raises(UsageError):
            read(subject.store, ListQuery(subject.bucket, keys_max=0))


def test_stores_over_http_read_columns_directly(subject):
    assert isinstance(subject.store, ArrowPages) == subject.traits.over_http
    if subject.options is not None:
        assert subject.store.endpoint == subject.options.endpoint_url
