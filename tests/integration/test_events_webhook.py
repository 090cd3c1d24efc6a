"""The webhook receiver over real sockets: EVT-3."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stocktake.clock import SystemClock
from stocktake.errors import InvalidSettingError, StateError
from stocktake.events import (
    Webhook,
    WebhookLimits,
    held_events,
    list_quarantined,
    release,
)
from stocktake.state import State, open_state
from stocktake.testing import ObjectChange, render_event, render_test_event

QUICK = WebhookLimits(body_bytes_max=100_000, request_s=0.6, connections_max=4, grace_s=1.0)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with open_state(f"sqlite:///{tmp_path / 'state.db'}", clock=SystemClock()) as opened:
        yield opened


def post(
    webhook: Webhook, body: str | bytes, *, method: str = "POST", **headers: str
) -> tuple[int, Any]:
    address = urlsplit(webhook.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    try:
        connection.request(method, "/stocktake", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


def connect(webhook: Webhook) -> socket.socket:
    address = urlsplit(webhook.url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def keys(state: State) -> list[str]:
    return [event.key for event in held_events(state, "data", "", 1000)]


@pytest.mark.parametrize("envelope", ["minio", "ceph", "s3", "sns", "eventbridge"])
def test_a_notification_is_on_hold_when_it_is_answered(state: State, envelope: str) -> None:
    """EVT-3: MinIO's form, and everything else that may be pushed."""
    with Webhook(state) as webhook:
        body = render_event(envelope, ObjectChange(key="a+b c%2F.txt"))
        assert post(webhook, body) == (200, {"events": 1})
        (event,) = held_events(state, "data", "", 10)
        assert (event.key, event.envelope) == ("a+b c%2F.txt", "webhook")
        assert post(webhook, body) == (200, {"events": 1})
        assert (webhook.metrics.held, webhook.metrics.duplicate) == (1, 1)


def test_looking_whether_anybody_listens_is_answered(state: State) -> None:
    with Webhook(state) as webhook:
        for method in ("GET", "HEAD"):
            assert post(webhook, b"", method=method)[0] == 200
        assert post(webhook, render_test_event("minio")) == (200, {"events": 0})
        assert post(webhook, b"") == (200, {"events": 0})
        assert post(webhook, b"x", method="DELETE")[0] == 501
        assert webhook.metrics.test == 2


def test_what_is_not_understood_is_refused_and_kept_once(state: State) -> None:
    """EVT-1: a sender that tries again for ever does not fill the quarantine."""
    with Webhook(state) as webhook:
        for _ in range(3):
            status, said = post(webhook, b"\xff\x00 poison")
            assert status == 400
            assert said["error"].startswith("not-utf-8")
    (poison,) = list_quarantined(state)
    assert (poison.body, poison.attempts, poison.queue) == (b"\xff\x00 poison", 3, "webhook")
    assert release(state, [poison.id], SystemClock()).kept == (poison.id,)
    assert keys(state) == []


def test_a_message_that_is_partly_understood_is_safe_and_so_accepted(state: State) -> None:
    message = json.loads(render_event("minio", ObjectChange(key="good")))
    message["Records"].append({"s3": {}, "eventName": "s3:ObjectCreated:Put"})
    with Webhook(state) as webhook:
        assert post(webhook, json.dumps(message)) == (200, {"events": 1})
    assert keys(state) == ["good"]
    assert [poison.reason for poison in list_quarantined(state)] == ["no-key: s3.object is missing"]


def test_other_buckets_are_left_out_if_told_so(state: State) -> None:
    with Webhook(state, buckets=["other"]) as webhook:
        assert post(webhook, render_event("minio", ObjectChange())) == (200, {"events": 1})
        assert (webhook.metrics.foreign, webhook.metrics.held) == (1, 0)
    assert keys(state) == []


@pytest.mark.parametrize("shown", [None, "Bearer wrong", "secret-token", "Bearer s\xe9cret"])
def test_without_the_token_nothing_is_taken(state: State, shown: str | None) -> None:
    headers = {} if shown is None else {"Authorization": shown}
    with Webhook(state, token="secret-token") as webhook:
        body = render_event("minio", ObjectChange())
        assert post(webhook, body, **headers)[0] == 401
        assert keys(state) == []
        assert post(webhook, body, Authorization="Bearer secret-token")[0] == 200
    assert keys(state) == [ObjectChange().key]


def test_an_open_address_needs_a_token(state: State) -> None:
    for host in ("0.0.0.0", "::", "example.org", ""):
        with pytest.raises(InvalidSettingError, match="open to everybody"):
            Webhook(state, host=host)
    for token in ("", " ", "caf\xe9", "a\nb"):
        with pytest.raises(InvalidSettingError, match="token"):
            Webhook(state, token=token)
    Webhook(state, host="0.0.0.0", token="secret").stop()
    Webhook(state, host="localhost").stop()
    with Webhook(state, host="::1") as webhook:
        assert webhook.url.startswith("http://[::1]:")
        assert post(webhook, render_event("minio", ObjectChange()))[0] == 200


def test_a_port_that_is_taken_is_an_error_with_a_hint(state: State) -> None:
    with Webhook(state) as webhook:
        port = urlsplit(webhook.url).port
        with pytest.raises(InvalidSettingError, match=f"cannot listen on 127.0.0.1 port {port}"):
            Webhook(state, port=port or 0)
    for odd in (
        {"body_bytes_max": 0},
        {"connections_max": 0},
        {"request_s": 0.0},
    ):
        with pytest.raises(InvalidSettingError):
            WebhookLimits(**odd)


def test_bodies_have_a_largest_size(state: State) -> None:
    with Webhook(state, limits=QUICK) as webhook:
        assert post(webhook, b"x" * 100_001) == (413, {"error": "more than 100000 bytes"})
        assert post(webhook, b"x" * 1_000_000)[0] == 413
        assert list_quarantined(state) == []


def raw_answer(webhook: Webhook, request: bytes) -> bytes:
    with connect(webhook) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    answer = b""
    while data := client.recv(65536):
        answer += data
    return answer


@pytest.mark.parametrize(
    "header", [b"", b"Content-Length: x\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_bodies_of_unknown_length_are_refused(state: State, header: bytes) -> None:
    with Webhook(state, limits=QUICK) as webhook:
        answer = raw_answer(webhook, b"POST / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 411 ")


def test_a_sender_that_hangs_up_in_the_middle_leaves_nothing(state: State) -> None:
    with Webhook(state, limits=QUICK) as webhook:
        for request in (
            b"POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\n{",
            b"POST / HTTP/1.1\r\nContent-",
            b"",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ):
            raw_answer(webhook, request)
        assert post(webhook, render_event("minio", ObjectChange(key="k")))[0] == 200
    assert keys(state) == ["k"]
    assert list_quarantined(state) == []


@pytest.mark.parametrize("start", [b"POST / HT", b"POST / HTTP/1.1\r\nContent-Length: 999\r\n\r\n"])
def test_slow_senders_are_cut_off_although_they_keep_dripping(state: State, start: bytes) -> None:
    clock = SystemClock()
    with Webhook(state, limits=QUICK) as webhook, connect(webhook) as client:
        began_s = clock.monotonic_s()
        client.sendall(start)
        client.settimeout(0.05)
        answer = None
        while answer is None:
            try:
                client.sendall(b"x")
                answer = client.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                answer = b""
        assert clock.monotonic_s() - began_s >= 0.5
        assert answer.startswith(b"HTTP/1.1 408 ") if b"\n" in start else answer == b""


def test_more_connections_than_allowed_are_told_to_come_again(state: State) -> None:
    limits = WebhookLimits(connections_max=2, request_s=20.0, grace_s=0.1)
    with Webhook(state, limits=limits) as webhook:
        idle = [connect(webhook) for _ in range(2)]
        assert raw_answer(webhook, b"").startswith(b"HTTP/1.1 503 ")
        for client in idle:
            client.close()


def test_stopping_answers_what_is_under_way(state: State) -> None:
    body = render_event("minio", ObjectChange(key="last")).encode()
    webhook = Webhook(state, limits=WebhookLimits(request_s=20.0, grace_s=10.0))
    webhook.start()
    with connect(webhook) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:5])
        stopping = threading.Thread(target=webhook.stop)
        stopping.start()
        while webhook._server._closing_at_s is None:
            pass
        client.sendall(body[5:])
        assert read_all(client).startswith(b"HTTP/1.1 200 ")
        stopping.join(20)
    assert keys(state) == ["last"]
    with pytest.raises(ConnectionRefusedError):
        connect(webhook)
    webhook.stop()


def test_stopping_does_not_wait_for_those_who_say_nothing(state: State) -> None:
    clock = SystemClock()
    webhook = Webhook(state, limits=WebhookLimits(request_s=300.0, grace_s=0.1))
    webhook.start()
    with connect(webhook):
        assert post(webhook, b"")[0] == 200
        began_s = clock.monotonic_s()
        webhook.stop()
        assert clock.monotonic_s() - began_s < 60


def test_nothing_is_acknowledged_that_the_database_did_not_keep(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EVT-2: the sender must send it again."""
    body = render_event("minio", ObjectChange(key="k"))

    def refuse() -> None:
        raise StateError("the control database is gone")

    with Webhook(state) as webhook:
        with monkeypatch.context() as patch:
            patch.setattr(type(state), "write", lambda _: refuse())
            assert post(webhook, body) == (503, {"error": "the control database is gone"})
        assert keys(state) == []
        assert webhook.metrics.received == 0
        assert post(webhook, body)[0] == 200
    assert keys(state) == ["k"]


def test_a_fault_of_ours_is_raised_when_it_stops(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = Webhook(state)
    monkeypatch.setattr(webhook._intake, "take", lambda _: 1 / 0)
    webhook.start()
    with pytest.raises(http.client.RemoteDisconnected):
        post(webhook, render_event("minio", ObjectChange()))
    with pytest.raises(ZeroDivisionError):
        webhook.stop()
    webhook.stop()


def test_many_senders_at_once_lose_nothing(state: State) -> None:
    with Webhook(state) as webhook, ThreadPoolExecutor(8) as senders:
        changes = [ObjectChange(key=f"k{number:03}") for number in range(80)]
        bodies = [render_event("minio", change) for change in changes]
        statuses = [status for status, _ in senders.map(lambda body: post(webhook, body), bodies)]
        assert set(statuses) == {200}
        assert webhook.metrics.held == 80
    assert keys(state) == [change.key for change in changes]


def test_a_flood_of_strange_messages_does_not_fill_the_quarantine(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stocktake.events._intake.STRANGERS_MAX", 5)
    with Webhook(state) as webhook:
        assert [post(webhook, f"strange {n}")[0] for n in range(8)] == [400] * 8
        assert len(list_quarantined(state)) == 5
