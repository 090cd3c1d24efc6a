"""The page server lists what a store lists (LST-1, LST-2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stocktake.errors import ThrottledError
from stocktake.store import (
    ListQuery,
    RetryPolicy,
    S3StoreOptions,
    open_store,
    read_key_page,
    read_key_page_once,
)
from stocktake.testing import (
    KeyPages,
    MemoryStore,
    PageDelays,
    PageServer,
    key_shape,
    start_page_server,
)

KEYS = sorted(
    {
        *key_shape("cloudtrail", 300),
        *key_shape("unicode", 100),
        *("a", "a/", "a//b", "a/1", "a/2", "b c+d%/x", "b c+d%/y", "\x01\n", "z\U0010ffff"),
    }
)


@pytest.fixture
def served():
    def serve(delays=PageDelays(), **options):
        server = PageServer(KeyPages(KEYS), delays).start()
        servers.append(server)
        values = {"access_key_id": "a", "secret_access_key": "s", "region": "us-east-1"}
        store = open_store(S3StoreOptions(endpoint_url=server.endpoint_url, **(values | options)))
        servers.append(store)
        return server, store

    servers = []
    yield serve
    for each in servers:
        (each.stop if isinstance(each, PageServer) else each.close)()


@pytest.fixture(scope="module")
def model():
    store = MemoryStore()
    store.describe("CreateBucket", "b")
    for key in KEYS:
        store.put("b", key, b"")
    return store


@pytest.mark.parametrize("chunk_bytes", [0, 1000])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_every_page_holds_the_names_a_store_would_list(served, model, delimiter, chunk_bytes):
    _, store = served(PageDelays(chunk_bytes=chunk_bytes))
    for prefix, start_after in (
        ("", ""),
        ("a", ""),
        ("a/", "a/1"),
        ("AWSLogs/", "AWSLogs/1"),
        ("AWSLogs/", "AWSLogs/zzz"),
        ("", "a/1"),
        ("none", ""),
    ):
        for keys_max in (1000, 7):
            query = ListQuery("b", prefix, delimiter, start_after, keys_max=keys_max)
            tokens = [None, None]
            while True:
                found = read_key_page(store, replace(query, token=tokens[0]))
                expected = read_key_page(model, replace(query, token=tokens[1]))
                assert found.rows["key"] == expected.rows["key"]
                assert found.prefixes == expected.prefixes
                tokens = [found.next_token, expected.next_token]
                assert (tokens[0] is None) == (tokens[1] is None)
                if tokens[0] is None:
                    break


def test_an_object_has_the_same_facts_wherever_its_page_begins(served):
    _, store = served()
    whole = read_key_page(store, ListQuery("b")).rows
    part = read_key_page(store, ListQuery("b", start_after=KEYS[123])).rows
    assert whole.slice(124) == part
    assert len(set(whole["etag"].to_pylist())) == len(whole)


def test_too_many_at_once_are_told_to_slow_down(served):
    server, store = served(
        PageDelays(in_flight_max=1), retry=RetryPolicy(attempts_max=2, base_s=0, cap_s=0)
    )
    read_key_page_once(store, ListQuery("b"))
    server._in_flight = 1  # somebody else's
    with pytest.raises(ThrottledError) as caught:
        read_key_page_once(store, ListQuery("b"))
    assert caught.value.retryable
    assert server.counts["slowed_down"] == 1
    with pytest.raises(ThrottledError):
        read_key_page(store, ListQuery("b"))
    assert server.counts["slowed_down"] == 3


def test_a_full_page_takes_the_delay_and_an_empty_one_less():
    delays = PageDelays(page_s=0.082, least_s=0.02)
    assert delays.of(1000) == pytest.approx(0.082)
    assert delays.of(0) == pytest.approx(0.02)


def test_the_program_serves_the_shape_it_is_given(tmp_path):
    with start_page_server(tmp_path, "one-dir-90", 2500) as server:
        store = open_store(server.options())
        page = read_key_page(store, ListQuery("any", start_after="sets/17"))
        keys = key_shape("one-dir-90", 2500)
        at = next(place for place, key in enumerate(keys) if key > "sets/17")
        assert page.rows["key"].to_pylist() == keys[at : at + 1000]
        store.close()
