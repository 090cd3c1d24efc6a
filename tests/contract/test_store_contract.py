"""What every store does, on every store we have: one suite, declared deviations."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stocktake.errors import (
    BucketNotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
    UnsupportedOperationError,
    UsageError,
)
from stocktake.store import (
    ByteRange,
    ListQuery,
    PutOptions,
    iter_listing,
)

MIB = 1 << 20


def names_of(store, query: ListQuery) -> list[str]:
    """Keys and rolled-up prefixes of all pages, in the order they came."""
    names = []
    for page in iter_listing(store, query):
        names += sorted([entry.key for entry in page.objects] + list(page.prefixes))
    return names


# --- objects -------------------------------------------------------------------------------------


def test_what_was_written_is_read_back_with_its_facts(subject):
    body = b"hello " * 1000
    options = PutOptions(content_type="text/csv", metadata={"origin": "camera-1"})
    written = subject.store.put(subject.bucket, "a/b.csv", body, options)
    head = subject.store.head(subject.bucket, "a/b.csv")
    with subject.store.get(subject.bucket, "a/b.csv") as opened:
        assert opened.read() == body
        assert opened.read() == b""
    md5 = hashlib.md5(body).hexdigest()
    assert written.etag == head.etag == opened.head.etag == md5
    assert written.size_bytes == head.size_bytes == opened.head.size_bytes == len(body)
    assert head.content_type == "text/csv"
    assert head.metadata == {"origin": "camera-1"}
    assert abs(head.last_modified - datetime.now(UTC)) < timedelta(minutes=5)


def test_an_empty_object_is_an_object(subject):
    subject.store.put(subject.bucket, "folder/", b"")
    with subject.store.get(subject.bucket, "folder/") as body:
        assert body.head.size_bytes == 0
        assert body.read() == body.read(10) == b""
    [entry] = subject.store.list_page(ListQuery(subject.bucket)).objects
    assert (entry.key, entry.size_bytes) == ("folder/", 0)


def test_a_missing_key_is_told_from_a_missing_bucket(subject):
    for read in (subject.store.get, subject.store.head):
        with pytest.raises(ObjectNotFoundError):
            read(subject.bucket, "nothing")
        with pytest.raises(BucketNotFoundError):
            read("no-such-bucket-anywhere", "nothing")
    with pytest.raises(BucketNotFoundError):
        subject.store.list_page(ListQuery("no-such-bucket-anywhere"))
    with pytest.raises(BucketNotFoundError):
        subject.store.put("no-such-bucket-anywhere", "k", b"x")


def test_a_range_is_the_bytes_from_start_up_to_stop(subject):
    subject.store.put(subject.bucket, "digits", b"0123456789")

    def read(start: int, stop: int | None) -> bytes:
        with subject.store.get(subject.bucket, "digits", byte_range=ByteRange(start, stop)) as body:
            assert body.head.size_bytes == 10
            return body.read()

    assert read(0, 1) == b"0"
    assert read(2, 5) == b"234"
    assert read(7, None) == b"789"
    assert read(8, 100) == b"89"
    with pytest.raises(StoreError):
        read(10, 11)
    with pytest.raises(UsageError):
        read(3, 3)


def test_reading_in_pieces_gives_exactly_what_was_asked_for(subject):
    body = bytes(range(256)) * 4096
    subject.store.put(subject.bucket, "big", body)
    with subject.store.get(subject.bucket, "big") as opened:
        pieces = [opened.read(300_000) for _ in range(5)]
    assert [len(piece) for piece in pieces] == [300_000, 300_000, 300_000, 148_576, 0]
    assert b"".join(pieces) == body


def test_get_on_condition_of_an_etag(subject):
    etag = subject.store.put(subject.bucket, "k", b"one").etag
    with subject.store.get(subject.bucket, "k", if_match=etag) as body:
        assert body.read() == b"one"
    subject.store.put(subject.bucket, "k", b"two")
    with pytest.raises(PreconditionFailedError):
        subject.store.get(subject.bucket, "k", if_match=etag)


def test_an_overwrite_while_reading_never_gives_a_mix(subject):
    size = 6 * MIB
    subject.store.put(subject.bucket, "k", b"A" * size)
    with subject.store.get(subject.bucket, "k") as body:
        first = body.read(1000)
        subject.store.put(subject.bucket, "k", b"B" * size)
        try:
            rest = body.read()
        except PreconditionFailedError:
            return
    assert set(first + rest) == {ord("A")}
    assert len(first + rest) == size


# --- conditional writes --------------------------------------------------------------------------


def test_put_if_absent_keeps_what_is_there(subject):
    once = PutOptions(if_absent=True)
    subject.store.put(subject.bucket, "lock", b"mine", once)
    with pytest.raises(PreconditionFailedError):
        subject.store.put(subject.bucket, "lock", b"yours", once)
    with subject.store.get(subject.bucket, "lock") as body:
        assert body.read() == b"mine"
    assert subject.store.head(subject.bucket, "lock").metadata == {}


def test_of_twelve_writers_at_once_one_wins(subject):
    start = threading.Barrier(12)

    def write(number: int) -> int | None:
        start.wait()
        try:
            body = b"%02d" % number * 5000
            subject.store.put(subject.bucket, "race", body, PutOptions(if_absent=True))
        except PreconditionFailedError:
            return None
        return number

    with ThreadPoolExecutor(12) as threads:
        winners = [number for number in threads.map(write, range(12)) if number is not None]
    if not subject.traits.put_if_absent_is_atomic:
        assert winners
        return
    assert len(winners) == 1
    with subject.store.get(subject.bucket, "race") as body:
        assert body.read() == b"%02d" % winners[0] * 5000


def test_put_if_match_replaces_only_that_version(subject):
    etag = subject.store.put(subject.bucket, "state", b"1").etag
    if not subject.traits.put_if_match:
        with pytest.raises(UnsupportedOperationError):
            subject.store.put(subject.bucket, "state", b"2", PutOptions(if_match=etag))
        return
    subject.store.put(subject.bucket, "state", b"2", PutOptions(if_match=etag))
    with pytest.raises(PreconditionFailedError):
        subject.store.put(subject.bucket, "state", b"3", PutOptions(if_match=etag))
    with subject.store.get(subject.bucket, "state") as body:
        assert body.read() == b"2"
    with pytest.raises((ObjectNotFoundError, PreconditionFailedError)):
        subject.store.put(subject.bucket, "absent", b"3", PutOptions(if_match=etag))


# --- deleting ------------------------------------------------------------------------------------


def test_deleting_takes_any_number_of_keys_and_forgives_absent_ones(subject):
    kept = ["keep/1", "keep/2"]
    gone = ["gone/a", "gone/\x01\n\t", "gone/é & <b>", "gone/ " + "x" * 900]
    refused = subject.traits.key_characters_refused
    gone = [key for key in gone if not set(key) & set(refused)]
    for key in kept + gone:
        subject.store.put(subject.bucket, key, b"x")
    before = subject.meter.calls.get("DeleteObjects", 0)
    absent = [f"absent/{number:05d}" for number in range(1500)]
    assert subject.store.delete(subject.bucket, gone + absent) == {}
    assert subject.keys(ListQuery(subject.bucket)) == kept
    if subject.traits.over_http:
        assert subject.meter.calls["DeleteObjects"] - before == 2


def test_deleting_in_a_missing_bucket_fails(subject):
    with pytest.raises(BucketNotFoundError):
        subject.store.delete("no-such-bucket-anywhere", ["a"])


# --- listing -------------------------------------------------------------------------------------

TREE = sorted(
    ["A", "a", "a-b", "a/", "a/1", "a/2", "b/x/1", "b/x/2", "b/y", "c d", "c+d", "z", "é"]
)
TREE += ["\uff5e", "\U0001f600"]


@pytest.fixture
def tree(subject):
    for key in TREE:
        subject.store.put(subject.bucket, key, key.encode())
    return subject


def test_keys_come_in_utf8_order_with_their_facts(tree):
    page = tree.store.list_page(ListQuery(tree.bucket))
    assert [entry.key for entry in page.objects] == TREE
    assert page.next_token is None
    for entry in page.objects:
        assert entry.size_bytes == len(entry.key.encode())
        assert entry.etag == hashlib.md5(entry.key.encode()).hexdigest()
        assert entry.last_modified.tzinfo is not None
        assert entry.version_id is None
        assert not entry.is_delete_marker


@pytest.mark.parametrize("keys_max", [1, 2, 3, 1000])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_pages_of_any_size_give_each_name_once(tree, keys_max, delimiter):
    query = ListQuery(tree.bucket, delimiter=delimiter, keys_max=keys_max)
    pages = list(iter_listing(tree.store, query))
    assert all(len(page.objects) + len(page.prefixes) <= keys_max for page in pages)
    expected = TREE
    if delimiter:
        expected = sorted({key if "/" not in key else key[: key.index("/") + 1] for key in TREE})
    assert names_of(tree.store, query) == expected


def test_a_prefix_is_a_prefix_of_keys(tree):
    assert tree.keys(ListQuery(tree.bucket, "a")) == ["a", "a-b", "a/", "a/1", "a/2"]
    assert tree.keys(ListQuery(tree.bucket, "b/x/")) == ["b/x/1", "b/x/2"]
    assert tree.keys(ListQuery(tree.bucket, "nothing")) == []
    page = tree.store.list_page(ListQuery(tree.bucket, "b/", delimiter="/"))
    assert ([entry.key for entry in page.objects], page.prefixes) == (["b/y"], ("b/x/",))
    page = tree.store.list_page(ListQuery(tree.bucket, delimiter="-"))
    assert page.prefixes == ("a-",)


def test_start_after_begins_behind_a_key_that_need_not_exist(tree):
    for marker in ("b/x/1", "b/x/11"):
        assert tree.keys(ListQuery(tree.bucket, start_after=marker))[0] == "b/x/2"
    assert tree.keys(ListQuery(tree.bucket, start_after="\U0001f600")) == []


def test_start_after_inside_a_folder_hides_it_when_rolled_up(tree):
    page = tree.store.list_page(ListQuery(tree.bucket, delimiter="/", start_after="a/1"))
    expected = ("b/",) if tree.traits.start_after_hides_its_folder else ("a/", "b/")
    assert page.prefixes == expected


def test_a_page_that_ends_in_a_control_character_is_followed_by_the_next(subject):
    for key in ("0", "0\x1f", "00"):
        subject.store.put(subject.bucket, key, b"x")
    assert subject.keys(ListQuery(subject.bucket, keys_max=2)) == ["0", "0\x1f", "00"]


def test_a_page_of_no_keys_is_refused(subject):
    with pytest.raises(UsageError):
        subject.store.list_page(ListQuery(subject.bucket, keys_max=0))


# --- keys ----------------------------------------------------------------------------------------

_FRAGMENTS = [
    *("/", "//", "..", ".", "+", " ", "%", "%2F", "%20", "&", "<", ">", '"', "'", "\\", "?", "#"),
    *("=", ";", ":", "~", "*", "|", "{}", "[]", "^", "`", "a", "B", "0", "-", "_", "é", "e\u0301"),
    *("\x01", "\t", "\n", "\r", "\x1f", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "\ufffd"),
    *("日本", "😀", "\uff5e", "\U0010ffff", "&amp;", "]]>", "<Key>", "data/2020/01/"),
]
_KEYS = st.one_of(
    st.lists(st.sampled_from(_FRAGMENTS), min_size=1, max_size=8).map("".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    st.just("é" * 512),
).filter(lambda key: 0 < len(key.encode()) <= 1024)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(keys=st.sets(_KEYS, min_size=1, max_size=6))
def test_every_legal_key_is_listed_once_in_order_and_read_back(subject, keys):
    refused = set(subject.traits.key_characters_refused)
    keys = {key for key in keys if not set(key) & refused}
    for key in keys:
        subject.store.put(subject.bucket, key, key.encode())
    try:
        listed = subject.keys(ListQuery(subject.bucket, keys_max=2))
        assert listed == sorted(keys, key=str.encode)
        for key in keys:
            with subject.store.get(subject.bucket, key) as body:
                assert body.read() == key.encode()
            assert subject.store.head(subject.bucket, key).size_bytes == len(key.encode())
    finally:
        assert subject.store.delete(subject.bucket, sorted(keys)) == {}
    assert subject.keys(ListQuery(subject.bucket)) == []


def test_characters_a_server_cannot_keep_are_an_error_not_another_key(subject):
    for char in subject.traits.key_characters_refused:
        with pytest.raises(StoreError):
            subject.store.put(subject.bucket, f"n/a{char}b", b"x")
    assert subject.keys(ListQuery(subject.bucket)) == []


def test_a_key_of_more_than_1024_bytes_is_refused(subject):
    if subject.traits.refuses_long_keys:
        with pytest.raises(StoreError):
            subject.store.put(subject.bucket, "é" * 512 + "x", b"x")
    else:
        subject.store.put(subject.bucket, "é" * 512 + "x", b"x")
