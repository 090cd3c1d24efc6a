"""What the network does to requests, and what the store makes of it. One test per symptom."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from stocktake.errors import (
    PreconditionFailedError,
    StoreUnavailableError,
    ThrottledError,
    UnexpectedAnswerError,
)
from stocktake.store import (
    ByteRange,
    ListQuery,
    PutOptions,
    RetryPolicy,
    Store,
    iter_listing,
    open_store,
)
from stocktake.telemetry import Meter
from stocktake.testing import (
    BitFlip,
    Cut,
    Delay,
    FakeS3,
    Fault,
    FaultProxy,
    LostAnswer,
    Refuse,
    Reset,
    Stall,
    Status,
    Trickle,
)

QUICK = RetryPolicy(attempts_max=4, base_s=0.001, cap_s=0.01)
BODY = bytes(range(256)) * 8192  # 2 MiB
ERROR = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>oops</Message></Error>"


@dataclass
class Line:
    """A store that reaches the fake through a proxy."""

    store: Store
    proxy: FaultProxy
    fake: FakeS3
    meter: Meter

    def break_(self, match: str, action, times: int = 1, skip: int = 0) -> Fault:
        return self.proxy.add(Fault(match, action, times, skip))


@pytest.fixture(params=["own requests", "botocore"])
def line(fake_s3: FakeS3, request: pytest.FixtureRequest) -> Iterator[Line]:
    """Both ways to send a request have the same failures."""
    fake_s3.create_bucket("b")
    with FaultProxy(fake_s3.endpoint_url) as proxy:
        meter = Meter()
        options = fake_s3.options(
            endpoint_url=proxy.endpoint_url, retry=QUICK, read_timeout_s=0.5, connect_timeout_s=2
        )
        store = open_store(options, meter=meter)
        routes = store._calls._objects.routes
        if request.param == "botocore":
            routes.ban("b")
        else:
            other = open_store(options)
            other.list_page(ListQuery("b"))
            routes._known["b"] = other._calls._objects.routes.find("b")
            other.close()
        yield Line(store, proxy, fake_s3, meter)
        store.close()


def read_all(line: Line, key: str = "k", piece: int = 300_000) -> bytes:
    with line.store.get("b", key) as body:
        pieces = []
        while data := body.read(piece):
            pieces.append(data)
    return b"".join(pieces)


# --- before the answer ---------------------------------------------------------------------------


def test_two_503_answers_are_waited_out(line):
    line.store.put("b", "k", b"x")
    line.break_("^GET /b/k", Status(503), times=2)
    assert read_all(line) == b"x"
    assert line.meter.calls["GetObject"] == 3
    assert line.meter.retries == {"throttled": 2}


def test_503_without_end_is_reported_as_throttled(line):
    line.break_("^GET /b/k", Status(503), times=99)
    with pytest.raises(ThrottledError) as caught:
        line.store.get("b", "k")
    assert caught.value.attrs["attempts"] == QUICK.attempts_max
    assert line.meter.calls["GetObject"] == QUICK.attempts_max


def test_a_refused_connection_is_tried_again(line):
    line.store.put("b", "k", b"x")
    line.break_("^GET /b/k", Refuse(), times=2)
    assert read_all(line) == b"x"


def test_nobody_listening_is_reported_with_the_endpoint(fake_s3):
    options = fake_s3.options(endpoint_url="http://127.0.0.1:9", retry=QUICK)
    store = open_store(options)
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:9") as caught:
        store.get("b", "k")
    assert "--endpoint-url" in caught.value.hint


def test_a_host_name_that_does_not_exist_is_reported(fake_s3):
    options = fake_s3.options(
        endpoint_url="http://store.invalid", retry=RetryPolicy(attempts_max=1)
    )
    with pytest.raises(StoreUnavailableError, match=r"store\.invalid"):
        open_store(options).head("b", "k")


def test_a_slow_first_byte_within_the_time_out_is_no_failure(line):
    line.store.put("b", "k", b"x")
    line.break_("^GET /b/k", Delay(0.2))
    assert read_all(line) == b"x"
    assert line.meter.retries == {}


def test_silence_beyond_the_read_time_out_is_tried_again(line):
    line.store.put("b", "k", b"x")
    line.break_("^GET /b/k", Delay(0.8))
    assert read_all(line) == b"x"
    assert line.meter.retries == {"store-unavailable": 1}


def test_retry_after_is_obeyed_up_to_the_cap(line):
    line.store.put("b", "k", b"x")
    line.break_("^GET /b/k", Status(503, headers=("Retry-After: 3600",)))
    assert read_all(line) == b"x"  # 10 ms, the policy's cap, not an hour


# --- in the middle of a body ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    [Cut(700_000), Reset(700_000), Stall(700_000, 2.0)],
    ids=["cut", "reset", "stall"],
)
def test_a_broken_body_is_resumed_where_it_stopped(line, action):
    line.store.put("b", "k", BODY)
    line.break_("^GET /b/k", action, times=2)
    assert read_all(line) == BODY
    assert line.meter.calls["GetObject"] == 3
    assert line.meter.received_bytes == len(BODY)


def test_a_body_that_breaks_every_time_still_gets_ahead(line):
    line.store.put("b", "k", BODY)
    line.break_("^GET /b/k", Cut(200_000), times=99)
    assert hashlib.md5(read_all(line, piece=len(BODY))).digest() == hashlib.md5(BODY).digest()


def test_a_body_that_never_gets_ahead_is_given_up(line):
    line.store.put("b", "k", BODY)
    line.break_("^GET /b/k", Cut(0), times=99)
    with pytest.raises(StoreUnavailableError):
        read_all(line)
    assert line.meter.calls["GetObject"] == QUICK.attempts_max


def test_a_broken_range_is_resumed_inside_the_range(line):
    line.store.put("b", "k", BODY)
    line.break_("^GET /b/k", Cut(100_000), times=2)
    with line.store.get("b", "k", byte_range=ByteRange(1000, 1_000_000)) as body:
        assert body.read() == BODY[1000:1_000_000]
        assert body.head.size_bytes == len(BODY)


def test_an_object_overwritten_while_it_is_resumed_is_an_error_not_a_mix(line):
    line.store.put("b", "k", BODY)
    line.break_("^GET /b/k", Cut(500_000))
    with line.store.get("b", "k") as body:
        body.read(100_000)
        line.store.put("b", "k", b"B" * len(BODY))
        with pytest.raises(PreconditionFailedError, match="overwritten while"):
            body.read()


def test_an_object_deleted_while_it_is_resumed_is_an_error(line):
    line.store.put("b", "k", BODY)
    line.break_("^GET /b/k", Cut(500_000))
    with line.store.get("b", "k") as body:
        body.read(100_000)
        line.store.delete("b", ["k"])
        with pytest.raises(Exception, match="no such object"):
            body.read()


def test_a_trickling_body_arrives_whole(line):
    line.store.put("b", "k", BODY[:20_000])
    line.break_("^GET /b/k", Trickle(100_000))
    assert read_all(line) == BODY[:20_000]
    assert line.meter.retries == {}


def test_a_flipped_bit_is_left_to_who_knows_the_checksum(line):
    line.store.put("b", "k", BODY)
    line.break_("^GET /b/k", BitFlip(1000))
    damaged = read_all(line)
    assert len(damaged) == len(BODY)
    assert hashlib.md5(damaged).hexdigest() != line.store.head("b", "k").etag


# --- answers that lie ----------------------------------------------------------------------------


def test_a_200_with_an_error_inside_is_tried_again(line):
    line.store.put("b", "k", b"x")
    line.break_("list-type=2", Status(200, ERROR), times=2)
    assert [entry.key for entry in line.store.list_page(ListQuery("b")).objects] == ["k"]


def test_a_listing_cut_in_the_middle_is_listed_again(line):
    for number in range(50):
        line.store.put("b", f"k{number:02d}", b"x")
    line.break_("list-type=2", Cut(3000), times=2)
    pages = iter_listing(line.store, ListQuery("b", keys_max=20))
    assert len([entry for page in pages for entry in page.objects]) == 50


def test_a_listing_with_a_lost_end_is_not_a_short_listing(line):
    for number in range(5):
        line.store.put("b", f"k{number}", b"x")
    whole = (
        b"<ListBucketResult><Name>b</Name><KeyCount>5</KeyCount><IsTruncated>false</IsTruncated>"
        b"<Contents><Key>k0</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        b"<Size>1</Size></Contents></ListBucketResult>"
    )
    line.break_("list-type=2", Status(200, whole))
    assert len(line.store.list_page(ListQuery("b")).objects) == 5
    assert line.meter.retries == {"unexpected-answer": 1}


def test_a_web_page_instead_of_s3_names_the_endpoint(line):
    page = b"<!DOCTYPE html><html><body>Welcome</body></html>"
    line.break_("/b", Status(200, page), times=99)
    with pytest.raises(UnexpectedAnswerError) as listing:
        line.store.list_page(ListQuery("b"))
    with pytest.raises(UnexpectedAnswerError) as reading:
        line.store.get("b", "k")
    for caught in (listing, reading):
        assert "--endpoint-url" in caught.value.hint


def test_a_web_page_as_an_error_is_an_error(line):
    line.break_("/b", Status(404, b"<html><body>nothing here</body></html>"), times=99)
    with pytest.raises(Exception, match="cannot list bucket b"):
        line.store.list_page(ListQuery("b"))


def test_a_get_that_ignores_the_range_is_not_taken_for_it(line):
    line.store.put("b", "k", BODY)
    headers = ('ETag: "abc"', "Last-Modified: Fri, 20 Nov 2026 01:00:00 GMT")
    line.break_("^GET /b/k", Status(200, b"0123456789", headers), times=99)
    with pytest.raises(UnexpectedAnswerError, match="ignores the byte range"):
        line.store.get("b", "k", byte_range=ByteRange(2, 5))


# --- writes whose answer is lost -----------------------------------------------------------------


def test_a_plain_put_with_a_lost_answer_is_written_again(line):
    line.break_("^PUT /b/k", LostAnswer())
    assert line.store.put("b", "k", b"x").etag == hashlib.md5(b"x").hexdigest()


def test_a_put_if_absent_whose_answer_is_lost_is_known_to_have_won(line):
    fault = line.break_("^PUT /b/lock", LostAnswer())
    written = line.store.put("b", "lock", b"mine", PutOptions(if_absent=True))
    assert fault.hits == 1
    assert written.size_bytes == 4
    assert read_all(line, "lock") == b"mine"


def test_a_put_if_absent_lost_on_the_way_in_loses_to_the_other_writer(line):
    """The same bytes by somebody else are not our write."""
    line.store.put("b", "lock", b"mine", PutOptions(if_absent=True))
    line.break_("^PUT /b/lock", Refuse())
    with pytest.raises(PreconditionFailedError):
        line.store.put("b", "lock", b"mine", PutOptions(if_absent=True))


def test_a_put_if_match_whose_answer_is_lost_is_known_to_have_won(line):
    etag = line.store.put("b", "state", b"1").etag
    line.break_("^PUT /b/state", LostAnswer())
    line.store.put("b", "state", b"2", PutOptions(if_match=etag))
    assert read_all(line, "state") == b"2"


def test_a_conditional_put_that_conflicts_is_tried_again(line):
    conflict = b"<Error><Code>ConditionalRequestConflict</Code><Message>busy</Message></Error>"
    line.break_("^PUT /b/lock", Status(409, conflict), times=2)
    line.store.put("b", "lock", b"mine", PutOptions(if_absent=True))
    assert read_all(line, "lock") == b"mine"


def test_a_completion_whose_answer_is_lost_is_recognised_by_its_etag(line):
    upload = line.store.begin_upload("b", "film")
    etags = {1: upload.put_part(1, BODY)}
    line.break_(r"^POST /b/film\?uploadId", LostAnswer())
    assert upload.complete(etags).size_bytes == len(BODY)


def test_a_completion_that_answers_200_with_an_error_is_tried_again(line):
    upload = line.store.begin_upload("b", "film")
    etags = {1: upload.put_part(1, BODY)}
    line.break_(r"^POST /b/film\?uploadId", Status(200, ERROR), times=2)
    assert upload.complete(etags).size_bytes == len(BODY)


def test_a_completion_of_an_upload_that_somebody_aborted_fails(line):
    upload = line.store.begin_upload("b", "film")
    etags = {1: upload.put_part(1, BODY)}
    upload.abort()
    line.break_(r"^POST /b/film\?uploadId", Refuse())
    with pytest.raises(Exception, match="no such upload"):
        upload.complete(etags)


def test_a_delete_with_a_lost_answer_is_deleted_again(line):
    line.store.put("b", "k", b"x")
    line.break_(r"^POST /b\?delete", LostAnswer())
    assert line.store.delete("b", ["k"]) == {}


def test_a_new_bucket_whose_answer_is_lost_is_there(line):
    line.break_("^PUT /new-bucket", LostAnswer())
    line.store.describe("CreateBucket", "new-bucket")
    line.store.describe("HeadBucket", "new-bucket")
