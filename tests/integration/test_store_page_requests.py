"""Our own listing requests: signed, followed and failing as botocore's do (LST-2)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError

from stocktake.clock import FixedClock, SystemClock
from stocktake.errors import (
    AccessDeniedError,
    CredentialsError,
    StoreError,
    StoreUnavailableError,
    ThrottledError,
    UnexpectedAnswerError,
)
from stocktake.store import ListQuery, RetryPolicy, S3StoreOptions, open_store
from stocktake.telemetry import Meter
from stocktake.testing import (
    Cut,
    FakeS3,
    Fault,
    FaultProxy,
    KeyPages,
    PageDelays,
    PageServer,
    Refuse,
    Reset,
    Stall,
    Status,
    Trickle,
    key_shape,
)
from stocktake.testing._fake_s3_auth import Identity

QUICK = RetryPolicy(attempts_max=3, base_s=0.001, cap_s=0.01)
QUERY = ListQuery("b", keys_max=2)


@pytest.fixture
def fake(fake_s3: FakeS3) -> FakeS3:
    fake_s3.create_bucket("b")
    store = open_store(fake_s3.options())
    for key in ("a b", "c+d/e", "é😀%"):
        store.put("b", key, b"x")
    return fake_s3


def warmed(options: S3StoreOptions, meter: Meter | None = None):
    """A store whose next page takes our own path."""
    store = open_store(replace(options, retry=QUICK), meter=meter)
    store.list_columns(QUERY)
    assert store._pages._routes
    return store


def keys(store, query: ListQuery = QUERY) -> list[str]:
    found = []
    while True:
        page = store.list_columns(query)
        found += page.rows["key"].to_pylist()
        if page.next_token is None:
            return found
        query = replace(query, token=page.next_token)


ALL = ["a b", "c+d/e", "é😀%"]

# --- identity ------------------------------------------------------------------------------------


def test_pages_after_the_first_are_signed_so_that_a_strict_store_believes_them(fake):
    meter = Meter()
    store = warmed(fake.options(), meter)
    assert keys(store) == ALL
    assert keys(store, ListQuery("b", "c+", "/", "c+d/")) == []
    assert store.list_columns(ListQuery("b", "c+", "/")).prefixes == ("c+d/",)
    assert keys(store, ListQuery("b", start_after="c+d/e")) == ["é😀%"]
    assert keys(store, ListQuery("b", versions=True, keys_max=1)) == ALL
    assert meter.calls == {"ListObjectsV2": 1 + 2 + 1 + 1 + 1, "ListObjectVersions": 3}


def test_a_session_token_is_signed_too(fake):
    fake.identities["TEMP"] = Identity("secret", "token/with+odd=chars")
    options = fake.options(
        access_key_id="TEMP", secret_access_key="secret", session_token="token/with+odd=chars"
    )
    assert keys(warmed(options)) == ALL


def test_edge_72_a_requester_who_pays_says_so_on_every_page(fake):
    fake.behaviour.requester_pays.add("b")
    assert keys(warmed(fake.options(requester_pays=True))) == ALL
    with pytest.raises(AccessDeniedError):
        warmed(fake.options())


def test_edge_72_a_public_bucket_is_listed_without_signing(fake):
    fake.behaviour.public.add("b")
    store = warmed(S3StoreOptions(endpoint_url=fake.endpoint_url, anonymous=True))
    assert keys(store) == ALL
    fake.behaviour.public.clear()
    with pytest.raises(AccessDeniedError, match="access denied") as caught:
        keys(store)
    assert "drop --anonymous" in caught.value.hint


def test_access_lost_between_two_pages_names_the_permission(fake):
    store = warmed(fake.options())
    fake.behaviour.denied.add(("ListObjectsV2", "b"))
    with pytest.raises(AccessDeniedError) as caught:
        keys(store)
    assert caught.value.attrs["permission"] == "s3:ListBucket"


def test_credentials_that_expire_between_two_pages_say_log_in_again(fake):
    store = warmed(fake.options())
    known = fake.identities[fake.credentials.access_key_id]
    fake.identities[fake.credentials.access_key_id] = replace(known, expired=True)
    with pytest.raises(CredentialsError, match="expired"):
        keys(store)


def test_a_role_is_assumed_for_pages(fake, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", fake.endpoint_url)
    role = fake.options(role_arn="arn:aws:iam::123456789012:role/reader")
    store = warmed(role)
    assert keys(store) == ALL
    assert "ASSUMED" in fake.identities


def test_credentials_are_refreshed_before_they_expire(fake):
    fake.identities["NEXT"] = Identity("next-secret", "next-token")
    fresh = {
        "access_key": "NEXT",
        "secret_key": "next-secret",
        "token": "next-token",
        "expiry_time": (SystemClock().now() + timedelta(hours=1)).isoformat(),
    }
    old = fake.credentials
    soon = SystemClock().now() + timedelta(seconds=10)
    store = warmed(fake.options())
    store._pages._routes._credentials = RefreshableCredentials(
        old.access_key_id, old.secret_access_key, None, soon, lambda: fresh, "test"
    )
    del fake.identities[old.access_key_id]
    assert keys(store) == ALL

    def refuse():
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole")

    store._pages._routes._credentials = RefreshableCredentials(
        old.access_key_id, old.secret_access_key, None, soon, refuse, "test"
    )
    store._pages._routes._credentials._expiry_time = SystemClock().now() - timedelta(seconds=1)
    with pytest.raises(CredentialsError, match="AssumeRole was refused"):
        keys(store)


def test_the_injected_clock_is_for_waiting_and_not_for_signing(fake):
    clock = FixedClock(SystemClock().now() - timedelta(days=300))
    store = open_store(fake.options(), clock=clock)
    assert keys(store) == keys(store) == ALL


# --- where ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("redirect_status", [400, 301])
def test_edge_71_a_bucket_in_another_region_is_followed_and_remembered(fake, redirect_status):
    fake.create_bucket("far", region="eu-central-1")
    fake.behaviour.redirect_status = redirect_status
    meter = Meter()
    store = open_store(fake.options(retry=QUICK), meter=meter)
    store.put("far", "k", b"there")
    for _ in range(3):
        assert keys(store, ListQuery("far")) == ["k"]
    assert meter.calls["ListObjectsV2"] == 3
    assert meter.retries == {}


def test_a_bucket_that_moved_is_followed_once_more(fake):
    table = fake.create_bucket("far", region="eu-central-1").table
    meter = Meter()
    store = open_store(fake.options(retry=QUICK), meter=meter)
    store.put("far", "k", b"x")
    assert keys(store, ListQuery("far")) == ["k"]
    table.region = "ap-south-1"
    assert keys(store, ListQuery("far")) == keys(store, ListQuery("far")) == ["k"]
    assert meter.retries == {}


def test_a_proxy_of_the_environment_is_left_to_botocore(fake, monkeypatch):
    """A plain-HTTP proxy gets whole addresses; the fake, asked as one, answers nothing else."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    store = open_store(fake.options(retry=QUICK, endpoint_url="http://elsewhere.invalid"))
    with pytest.raises(StoreUnavailableError, match="proxy"):
        keys(store)
    monkeypatch.delenv("http_proxy")
    assert keys(warmed(fake.options())) == ALL


# --- what the network does -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def module_line():
    """Opening a store takes a third of a second: one for all failures."""
    with FakeS3() as fake, FaultProxy(fake.endpoint_url) as proxy:
        fake.create_bucket("b")
        options = fake.options(
            endpoint_url=proxy.endpoint_url, read_timeout_s=0.5, connect_timeout_s=2, retry=QUICK
        )
        meter = Meter()
        store = open_store(options, meter=meter)
        for key in ALL:
            store.put("b", key, b"x")
        store.list_columns(QUERY)
        yield store, proxy, meter
        store.close()


@pytest.fixture
def line(module_line):
    store, proxy, meter = module_line
    meter.__init__()  # counts from zero
    yield store, proxy, meter
    proxy.clear()


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (Status(503), "throttled"),
        (Status(500, b""), "store-unavailable"),
        (Status(200, b"<Error><Code>InternalError</Code></Error>"), "store-unavailable"),
        (Status(200, b"<Error><Code>SlowDown</Code></Error>"), "throttled"),
        (Status(200, b"<html></html>"), "unexpected-answer"),
        (Status(200, b""), "unexpected-answer"),
        (Refuse(), "store-unavailable"),
        (Cut(400), "store-unavailable"),
        (Reset(400), "store-unavailable"),
        (Stall(400, 3.0), "store-unavailable"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value)[:28],
)
def test_a_failure_that_passes_is_tried_again_and_counted(line, action, reason):
    store, proxy, meter = line
    proxy.add(Fault("list-type=2", action, 2))
    assert store.list_columns(replace(QUERY, keys_max=9)).rows["key"].to_pylist() == ALL
    # a kept connection that dies unanswered is replaced at once: not a failure of the store
    failures = 1 if isinstance(action, Refuse) else 2
    assert meter.retries == {reason: failures}
    assert meter.calls["ListObjectsV2"] == failures + 1


def test_503_without_end_is_reported_as_throttled(line):
    store, proxy, meter = line
    proxy.add(Fault("list-type=2", Status(503), 99))
    with pytest.raises(ThrottledError) as caught:
        store.list_columns(QUERY)
    assert caught.value.attrs["attempts"] == QUICK.attempts_max
    assert meter.retries == {"throttled": QUICK.attempts_max - 1}


def test_who_adapts_to_slow_down_hears_of_it_at_once(line):
    store, proxy, meter = line
    proxy.add(Fault("list-type=2", Status(503), 1))
    with pytest.raises(ThrottledError) as caught:
        store.list_columns_once(QUERY)
    assert caught.value.retryable
    assert meter.retries == {}
    assert store.list_columns_once(QUERY).rows["key"].to_pylist() == ALL[:2]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b"<html><body>nothing here</body></html>", StoreError),
        (404, b"", StoreError),
        (418, b"teapot", StoreError),
        (200, b"<!DOCTYPE html><html></html>", UnexpectedAnswerError),
    ],
)
def test_what_is_no_answer_of_s3_fails_as_rows_do(line, status, body, error):
    store, proxy, _ = line
    proxy.add(Fault("/b", Status(status, body), 99))
    caught = []
    for read in (store.list_page, store.list_columns):
        with pytest.raises(error, match="cannot list bucket b") as info:
            read(QUERY)
        caught.append(info.value)
    assert type(caught[0]) is type(caught[1])
    assert caught[0].message == caught[1].message
    assert caught[0].hint == caught[1].hint


def test_a_trickling_page_arrives_whole(line):
    store, proxy, meter = line
    proxy.add(Fault("list-type=2", Trickle(20_000)))
    assert keys(store) == ALL
    assert meter.retries == {}


def test_pages_of_many_threads_do_not_mix():
    """Every thread has its own buffer, and nothing of a page points into it afterwards."""
    every = key_shape("cloudtrail", 6000)
    server = PageServer(KeyPages(every), PageDelays(chunk_bytes=4096)).start()
    values = {"access_key_id": "a", "secret_access_key": "s", "region": "us-east-1"}
    store = open_store(S3StoreOptions(endpoint_url=server.endpoint_url, **values))

    def look(start: int) -> tuple[int, object]:
        return start, store.list_columns(ListQuery("b", start_after=every[start])).rows

    with ThreadPoolExecutor(24) as threads:
        found = list(threads.map(look, [n * 37 % 5000 for n in range(200)]))
    for start, rows in found:
        assert rows["key"].to_pylist() == every[start + 1 : start + 1001]
        rows.validate(full=True)
    assert len(store._pages._http._idle) == 1
    store.close()
    server.stop()


def test_connections_that_the_server_closed_while_idle_are_no_failure(fake):
    meter = Meter()
    with FaultProxy(fake.endpoint_url) as proxy:
        store = warmed(fake.options(endpoint_url=proxy.endpoint_url), meter)
        assert keys(store) == ALL
        for idle in store._pages._http._idle.values():
            for connection in idle:
                connection._sock.shutdown(2)
        assert keys(store) == ALL
        assert meter.retries == {}


def test_nobody_listening_any_more_is_reported_with_the_endpoint():
    with FakeS3() as fake:
        fake.create_bucket("b")
        open_store(fake.options()).put("b", "k", b"x")
        store = warmed(fake.options())
        endpoint = fake.endpoint_url
    store.close()
    with pytest.raises(StoreUnavailableError, match=endpoint.removeprefix("http://")):
        store.list_columns(QUERY)
