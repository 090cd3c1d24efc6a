"""Listing answers cut into columns say what an XML parser finds in them (LST-2, LST-4).

Answers are rendered here, independently of the servers in `stocktake.testing`, in the shapes that
stores send: other orders of elements, elements that are missing in some entries, owners, quotes of
every spelling. Then they are cut, mutated and shuffled: what the quick way accepts, the XML tree
must accept with the same result.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.store import ListedObject, ListPage, ListQuery, listed_schema, rows_to_batch
from stocktake.store._listing_xml import ListingShapeError, parse_tree_page
from stocktake.store._page_columns import _quick, parse_columns, parse_rows
from stocktake.store._span import Span

_FRAGMENTS = [
    *("/", "//", "..", ".", "+", " ", "%", "%2F", "%20", "%zz", "&", "&amp;", "<", ">", '"', "'"),
    *("\\", "?", "#", "=", ";", "\x00", "\x01", "\t", "\n", "\r", "\x1f", "\x7f", "\x85", "\u2028"),
    *(
        "é",
        "e\u0301",
        "日本",
        "😀",
        "\U0010ffff",
        "\uffff",
        "\ue000",
        "]]>",
        "<Key>",
        "</Contents>",
    ),
    *("a", "B", "0", "-", "data/2020/01/", "x" * 300),
]
KEYS = st.one_of(
    st.lists(st.sampled_from(_FRAGMENTS), min_size=1, max_size=6).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.just("é" * 512),
).filter(lambda key: len(key.encode()) <= 1024)
ENCODERS = st.sampled_from(
    [
        lambda key: quote_plus(key, safe="/"),
        lambda key: quote(key, safe=""),
        lambda key: quote(key, safe="/~*()!'"),
        lambda key: "".join(f"%{byte:02x}" for byte in key.encode()),
    ]
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = st.integers(-30_000_000_000_000, 250_000_000_000_000).map(
    lambda ms: EPOCH + timedelta(milliseconds=ms)
)
ETAGS = st.text("0123456789abcdef-", min_size=1, max_size=40)
SIZES = st.integers(0, 10**18 - 1)
CLASSES = st.sampled_from([None, "STANDARD", "GLACIER", "INTELLIGENT_TIERING"])
CHECKSUMS = st.sampled_from([None, "CRC32", "CRC64NVME", "CRC32,SHA256"])

OBJECTS = st.builds(
    ListedObject,
    key=KEYS,
    size_bytes=SIZES,
    etag=ETAGS,
    last_modified=TIMES,
    storage_class=CLASSES,
    checksum_algorithm=CHECKSUMS,
)
VERSION_IDS = st.sampled_from(["null", "3sL4kqtJlcpXroDTDmJ.rUvz", "v1"])
VERSIONS = st.one_of(
    st.builds(
        ListedObject,
        key=KEYS,
        size_bytes=SIZES,
        etag=ETAGS,
        last_modified=TIMES,
        storage_class=CLASSES,
        checksum_algorithm=CHECKSUMS,
        version_id=VERSION_IDS,
        is_latest=st.booleans(),
    ),
    st.builds(
        ListedObject,
        key=KEYS,
        size_bytes=st.none(),
        etag=st.none(),
        last_modified=TIMES,
        version_id=VERSION_IDS,
        is_latest=st.booleans(),
        is_delete_marker=st.just(True),
    ),
)


@dataclass(frozen=True)
class Look:
    """How a store writes: what entries have besides, in which order, with which spelling."""

    encode: object
    order: int
    quotes: str
    owner: bool
    space: str
    counted: bool

    def entry(self, row: ListedObject) -> str:
        marker = row.is_delete_marker
        when = row.last_modified.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        parts = [f"<Key>{self.encode(row.key)}</Key>", f"<LastModified>{when}</LastModified>"]
        if row.version_id is not None:
            latest = "true" if row.is_latest else "false"
            parts += [
                f"<VersionId>{row.version_id}</VersionId>",
                f"<IsLatest>{latest}</IsLatest>",
            ]
        if not marker:
            parts.append(f"<ETag>{self.quotes}{row.etag}{self.quotes}</ETag>")
            parts.append(f"<Size>{row.size_bytes}</Size>")
        if row.checksum_algorithm:
            each = row.checksum_algorithm.split(",")
            names = "".join(f"<ChecksumAlgorithm>{one}</ChecksumAlgorithm>" for one in each)
            parts.append(f"{names}<ChecksumType>FULL_OBJECT</ChecksumType>")
        if row.storage_class:
            parts.append(f"<StorageClass>{row.storage_class}</StorageClass>")
        if self.owner:
            parts.append(f"<Owner><ID>{len(row.key)}</ID><DisplayName>me</DisplayName></Owner>")
            parts.append("<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>")
            parts[-1] += "</RestoreStatus>"
        turn = self.order % len(parts)
        parts = parts[turn:] + parts[:turn]
        tag = "DeleteMarker" if marker else "Contents" if row.version_id is None else "Version"
        return f"<{tag}>{self.space}{self.space.join(parts)}{self.space}</{tag}>{self.space}"

    def document(self, rows: list[ListedObject], prefixes: list[str], token: str | None) -> bytes:
        versions = bool(rows) and rows[0].version_id is not None
        root = "ListVersionsResult" if versions else "ListBucketResult"
        more = "<IsTruncated>false</IsTruncated>"
        if token is not None and (rows or prefixes):
            more = "<IsTruncated>true</IsTruncated>"
            name = "NextKeyMarker" if versions else "NextContinuationToken"
            more += f"<{name}>{token}</{name}>"
        count = f"<KeyCount>{len(rows) + len(prefixes)}</KeyCount>" if self.counted else ""
        common = "".join(
            f"<CommonPrefixes><Prefix>{self.encode(text)}</Prefix></CommonPrefixes>"
            for text in prefixes
        )
        inner = "".join(self.entry(row) for row in rows)
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="http://s3.amazonaws.com/doc/'
            f'2006-03-01/"><Name>b</Name><Prefix></Prefix>{count}<MaxKeys>1000</MaxKeys>'
            f"<EncodingType>url</EncodingType>{more}{inner}{common}</{root}>"
        ).encode()


LOOKS = st.builds(
    Look,
    encode=ENCODERS,
    order=st.integers(0, 6),
    quotes=st.sampled_from(["&quot;", "&#34;", '"', ""]),
    owner=st.booleans(),
    space=st.sampled_from(["", "", " ", "\n  "]),
    counted=st.booleans(),
)
ROWS = st.one_of(st.lists(OBJECTS, max_size=9), st.lists(VERSIONS, min_size=1, max_size=9))
PREFIXES = st.lists(KEYS, max_size=2)
TOKENS = st.sampled_from([None, "1/abc=="])


def query_of(rows: list[ListedObject]) -> ListQuery:
    return ListQuery("b", versions=bool(rows) and rows[0].version_id is not None)


@given(rows=ROWS, look=LOOKS, prefixes=PREFIXES, token=TOKENS)
def test_what_was_rendered_is_what_the_columns_hold(rows, look, prefixes, token):
    query = query_of(rows)
    body = Span.of(look.document(rows, prefixes, token))
    found = parse_columns(body, query)
    assert found.rows == rows_to_batch(rows, listed_schema(versions=query.versions))
    found.rows.validate(full=True)
    assert found.prefixes == tuple(prefixes)
    assert (found.next_token is None) == (token is None or not (rows or prefixes))
    assert parse_rows(body, query) == ListPage(tuple(rows), found.prefixes, found.next_token)


@given(rows=st.lists(OBJECTS, min_size=1, max_size=9), look=LOOKS)
def test_what_stores_usually_send_is_read_the_quick_way(rows, look):
    query = query_of(rows)
    if "\n" not in look.space:
        assert _quick(Span.of(look.document(rows, [], None)), query) is not None


@st.composite
def damaged(draw):
    """A document with some bytes cut, doubled, replaced or moved, and its query."""
    rows = draw(ROWS)
    body = draw(LOOKS).document(rows, draw(PREFIXES), draw(TOKENS))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        stop = min(len(body), start + draw(st.sampled_from([0, 1, 1, 2, 5, 12, 40, 400, 5000])))
        piece = body[start:stop]
        patch = draw(st.one_of(st.sampled_from(PATCHES), st.just(piece * 2), st.just(b"")))
        body = body[:start] + patch + body[stop:]
    return body, query_of(rows)


PATCHES = [
    *(b"<", b">", b"&", b"/", b'"', b"&quot;", b"]]>", b"<!-- -->", b"<![CDATA[x]]>", b"<?x?>"),
    *(b"\r", b"\n", b"\x00", b"\x1f", b"\xff", b"\xc3\xa9", b"-", b"0", b"9", b"Z", b"T", b"+"),
    *(b"<Key>", b"</Key>", b"<Size>", b"</Size>", b"<Contents>", b"</Contents>", b"<Contents/>"),
    *(b"<Contents><Key>k</Key><Size>1</Size></Contents>", b"<Owner>", b"</Owner>", b"<ETag/>"),
    *(b"<Size>7</Size>", b"<Key>other</Key>", b"<StorageClass>", b"</StorageClass>", b"<x></x>"),
    *(b"<StorageClass></StorageClass>", b"<VersionId>", b"</Version><Version>", b"<x y='>'>"),
    *(b"</ListBucketResult>", b"<KeyCount>1</KeyCount>", b"<IsTruncated>true</IsTruncated>", b"%"),
]


@given(damaged())
def test_a_damaged_answer_is_refused_or_read_as_the_tree_reads_it(case):
    body, query = case
    try:
        tree = parse_tree_page(body, query)
    except ListingShapeError:
        with pytest.raises(ListingShapeError):
            parse_columns(Span.of(body), query)
        return
    found = parse_columns(Span.of(body), query)
    assert found.rows == rows_to_batch(tree.objects, listed_schema(versions=query.versions))
    assert (found.prefixes, found.next_token) == (tree.prefixes, tree.next_token)


@given(rows=st.lists(OBJECTS, min_size=1, max_size=5), look=LOOKS, data=st.data())
def test_a_page_in_the_middle_of_a_buffer_ends_where_it_ends(rows, look, data):
    """The buffer of a connection holds the rest of an earlier, longer page behind it."""
    query = query_of(rows)
    body = look.document(rows, [], None)
    before, after = data.draw(st.binary(max_size=50)), data.draw(st.sampled_from([b"", body]))
    buffer = bytearray(before + body + after)
    span = Span(buffer, len(before), len(before) + len(body))
    found = parse_columns(span, query)
    buffer[:] = b"?" * len(buffer)
    assert found.rows == rows_to_batch(rows, listed_schema(versions=False))
