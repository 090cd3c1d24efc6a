"""Listing answers: the fast parse, the proper parse, and answers that contradict themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.store import ListQuery, _page_columns
from stocktake.store._listing_xml import ListingShapeError, listing_parameters
from stocktake.store._span import Span


def parse_rows(body: bytes, query: ListQuery):
    return _page_columns.parse_rows(Span.of(body), query)


QUERY = ListQuery("b")
HEAD = "<Name>b</Name><Prefix></Prefix>"
NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def entry(key: str, *, size: str = "<Size>5</Size>", shuffled: bool = False) -> str:
    modified = "<LastModified>2026-01-02T03:04:05.678Z</LastModified>"
    etag = "<ETag>&quot;ABC&quot;</ETag>"
    checksum = (
        "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
    )
    facts = [f"<Key>{key}</Key>", modified, etag, checksum, size]
    facts.append("<StorageClass>GLACIER</StorageClass>")
    if shuffled:
        facts.reverse()
    return f"<Contents>{''.join(facts)}</Contents>"


def page(*parts: str, count: int | None = None, encoded: bool = True, truncated: str = "") -> bytes:
    count_text = f"<KeyCount>{count}</KeyCount>" if count is not None else ""
    more = "<IsTruncated>false</IsTruncated>"
    if truncated:
        token = f"<NextContinuationToken>{truncated}</NextContinuationToken>"
        more = f"<IsTruncated>true</IsTruncated>{token}"
    encoding = "<EncodingType>url</EncodingType>" if encoded else ""
    inner = HEAD + count_text + encoding + more + "".join(parts)
    return (
        f'<?xml version="1.0"?>\n<ListBucketResult{NAMESPACE}>{inner}</ListBucketResult>'.encode()
    )


@pytest.mark.parametrize("shuffled", [False, True], ids=["usual order", "another order"])
def test_an_entry_gives_all_its_facts(shuffled):
    [row] = parse_rows(page(entry("a%2Bb+c", shuffled=shuffled), count=1), QUERY).objects
    assert row.key == "a+b c"
    assert row.size_bytes == 5
    assert row.etag == "abc"
    assert row.last_modified == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert row.storage_class == "GLACIER"
    assert row.checksum_algorithm == "CRC64NVME"


def test_a_key_that_was_not_encoded_is_not_decoded():
    body = page(entry("a+b%20&amp;&lt;c&gt;"), encoded=False)
    assert parse_rows(body, QUERY).objects[0].key == "a+b%20&<c>"


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(keys=st.lists(_TEXT, max_size=5), shuffled=st.booleans())
def test_any_key_survives_percent_encoding(keys, shuffled):
    body = page(*(entry(quote_plus(k, safe="/"), shuffled=shuffled) for k in keys), count=len(keys))
    assert [row.key for row in parse_rows(body, QUERY).objects] == keys


@given(keys=st.lists(_TEXT.filter(lambda k: "\ufffe" not in k and "\uffff" not in k), max_size=5))
def test_keys_in_plain_xml_survive_with_control_characters_too(keys):
    """Unless private-use characters and control characters meet in one answer: then it says so."""
    body = page(*(entry(escape(k, {"\r": "&#13;"})) for k in keys), encoded=False)
    try:
        rows = parse_rows(body, QUERY).objects
    except ListingShapeError:
        assert any("\ue000" <= char <= "\ue01f" for key in keys for char in key)
        return
    assert [row.key for row in rows] == keys


def test_a_token_with_a_control_character_is_followed():
    for spelling in ("0\x1f", "0&#x1f;", "0&#31;"):
        found = parse_rows(page(entry("a"), truncated=spelling), QUERY)
        assert found.next_token == "0\x1f"


def test_prefixes_are_decoded_and_counted():
    common = "<CommonPrefixes><Prefix>a%20b/</Prefix></CommonPrefixes>"
    found = parse_rows(page(entry("k"), common, count=2), QUERY)
    assert found.prefixes == ("a b/",)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "well-formed"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"<Error><Code>InternalError</Code></Error>", "InternalError"),
        (b"<ListAllMyBucketsResult/>", "not a ListBucketResult"),
        (page(entry("a"), count=2), "2 keys and has 1"),
        (page(entry("a"))[:-30], "well-formed"),
        (page(entry("a")).replace(b">b<", b">other<"), "bucket other"),
        (page(entry("a")).replace(b"<IsTruncated>false</IsTruncated>", b""), "truncated"),
        (page(entry("a"), truncated="x").replace(b">x<", b"><"), "continuation token"),
        (page(entry("%FF")), "UTF-8"),
        (page(entry("a", size="")), "no size"),
        (page(entry("a")).replace(b"2026-01-02T", b"yesterday "), "time"),
    ],
)
def test_an_answer_that_is_no_listing_is_never_a_short_listing(body, reason):
    with pytest.raises(ListingShapeError, match=reason):
        parse_rows(body, QUERY)


def test_an_empty_page_that_is_not_the_last_is_gone_on_from():
    """Delete markers and filters empty pages: the listing goes on as long as it gets ahead."""
    found = parse_rows(page(count=0, truncated="next"), ListQuery("b", token="before"))
    assert (found.objects, found.next_token) == ((), "next")
    with pytest.raises(ListingShapeError, match="where it began"):
        parse_rows(page(count=0, truncated="next"), ListQuery("b", token="next"))


def test_keys_outside_the_prefix_are_refused():
    with pytest.raises(ListingShapeError, match="outside the prefix"):
        parse_rows(page(entry("a/1"), entry("b/1")), ListQuery("b", "a/"))


VERSIONS = (
    f"<ListVersionsResult{NAMESPACE}><Name>b</Name><IsTruncated>true</IsTruncated>"
    "<EncodingType>url</EncodingType>"
    "<NextKeyMarker>a%20b</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>"
    "<DeleteMarker><Key>a%20b</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>"
    "<LastModified>2026-01-02T03:04:05Z</LastModified></DeleteMarker>"
    "<Version><Key>a%20b</Key><VersionId></VersionId><IsLatest>false</IsLatest>"
    "<LastModified>2026-01-01T03:04:05Z</LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size>"
    "<StorageClass>STANDARD</StorageClass></Version></ListVersionsResult>"
).encode()


def test_versions_and_markers_come_in_the_order_of_the_answer():
    query = ListQuery("b", versions=True)
    found = parse_rows(VERSIONS, query)
    marker, version = found.objects
    assert (marker.key, marker.size_bytes, marker.etag) == ("a b", None, None)
    assert (marker.is_delete_marker, marker.is_latest, marker.version_id) == (True, True, "v2")
    assert (version.size_bytes, version.version_id, version.is_latest) == (7, "null", False)
    after = ListQuery("b", versions=True, token=found.next_token)
    parameters = listing_parameters(after)
    assert (parameters["KeyMarker"], parameters["VersionIdMarker"]) == ("a b", "v1")


def test_a_first_page_starts_after_a_key_and_later_pages_after_a_token():
    first = listing_parameters(ListQuery("b", "p/", delimiter="/", start_after="p/x"))
    assert (first["StartAfter"], first["Delimiter"], first["Prefix"]) == ("p/x", "/", "p/")
    later = listing_parameters(ListQuery("b", start_after="p/x", token="t"))
    assert later["ContinuationToken"] == "t"
    assert "StartAfter" not in later
