"""Addresses of queues, and what a service's refusals become: EVT-3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError

from stocktake.clock import FixedClock
from stocktake.errors import CredentialsError, EventQueueError, InvalidSettingError
from stocktake.events import EventMetrics, EventQueue, Message, check_queue
from stocktake.events._queue_address import QueueAddress, parse_queue
from stocktake.store import RetryPolicy, S3StoreOptions

URL = "https://sqs.eu-west-1.amazonaws.com/111122223333/changes"
OPTIONS = S3StoreOptions(access_key_id="a", secret_access_key="b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (URL, QueueAddress(URL, URL, "changes", "111122223333", "eu-west-1")),
        (
            "https://eu-west-1.queue.amazonaws.com/1/q",
            QueueAddress(
                "https://eu-west-1.queue.amazonaws.com/1/q",
                "https://eu-west-1.queue.amazonaws.com/1/q",
                "q",
                "1",
                "eu-west-1",
            ),
        ),
        (
            "http://127.0.0.1:9324/000/q",
            QueueAddress(
                "http://127.0.0.1:9324/000/q",
                "http://127.0.0.1:9324/000/q",
                "q",
                "000",
                None,
                "http://127.0.0.1:9324",
            ),
        ),
        (
            "arn:aws-cn:sqs:cn-north-1:111122223333:q.fifo",
            QueueAddress(
                "arn:aws-cn:sqs:cn-north-1:111122223333:q.fifo",
                None,
                "q.fifo",
                "111122223333",
                "cn-north-1",
            ),
        ),
        ("changes", QueueAddress("changes", None, "changes")),
    ],
)
def test_addresses_of_queues(text: str, expected: QueueAddress) -> None:
    assert parse_queue(text) == expected


@pytest.mark.parametrize("host", ["queue.amazonaws.com", "sqs.cn-north-1.amazonaws.com.cn"])
def test_other_hosts_of_amazon(host: str) -> None:
    found = parse_queue(f"https://{host}/1/q")
    assert (found.endpoint_url, found.region is None) == (None, False)


@pytest.mark.parametrize(
    "text",
    ["", "a b", "arn:aws:s3:::bucket", "http://", "https://host/", "http://[x/1/q", "s3://b/k"],
)
def test_what_is_no_queue_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="is not a queue"):
        EventQueue(text, OPTIONS)


def test_an_amazon_queue_is_not_looked_for_at_the_stores_endpoint() -> None:
    """The objects may be in MinIO, or behind a private endpoint; a queue's URL says it all."""
    elsewhere = S3StoreOptions(
        endpoint_url="http://127.0.0.1:9000", access_key_id="a", secret_access_key="b"
    )

    def endpoint(address: str) -> str:
        return str(EventQueue(address, elsewhere)._calls._client.meta.endpoint_url)

    assert endpoint(URL) == "https://sqs.eu-west-1.amazonaws.com"
    assert endpoint("changes") == "http://127.0.0.1:9000"
    assert endpoint("http://127.0.0.1:9324/000/q") == "http://127.0.0.1:9324"


def test_identity_is_found_as_for_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CredentialsError, match="there is no profile `nobody`"):
        EventQueue(URL, S3StoreOptions(profile="nobody"))
    with pytest.raises(CredentialsError, match="no credentials to assume"):
        EventQueue(URL, S3StoreOptions(role_arn="arn:aws:iam::1:role/r"))
    config = tmp_path / "config"
    config.write_text("[profile p]\naws_access_key_id=k\naws_secret_access_key=s\nregion=eu-x-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    client = EventQueue("q", S3StoreOptions(profile="p"))._calls._client
    assert client.meta.region_name == "eu-x-1"
    assert client._get_credentials().access_key == "k"
    assumed = S3StoreOptions(profile="p", role_arn="arn:aws:iam::1:role/r", role_external_id="e")
    credentials = EventQueue("q", assumed)._calls._client._get_credentials()
    assert credentials.method == "assume-role"
    assert EventQueue("q", S3StoreOptions(anonymous=True)).address == "q"
    with pytest.raises(InvalidSettingError, match="no SQS client"):
        EventQueue("q", S3StoreOptions(region="not a region", anonymous=True))


class Script:
    """A botocore client that answers from a list."""

    def __init__(self, answers: Iterable[Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def _make_api_call(self, operation: str, parameters: Mapping[str, Any]) -> Any:
        self.asked.append((operation, parameters))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def refusal(code: str, status: int = 400, message: str = "said.") -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "ReceiveMessage")


def scripted(*answers: Any, attempts_max: int = 4) -> tuple[EventQueue, Script, FixedClock]:
    clock = FixedClock(datetime(2026, 11, 20, tzinfo=UTC))
    retry = RetryPolicy(attempts_max=attempts_max, base_s=1.0, cap_s=4.0)
    script = Script(answers)
    with mock.patch("stocktake.events._queue_calls.make_queue_client", return_value=script):
        queue = EventQueue(URL, OPTIONS, clock=clock, retry=retry, dice=lambda: 1.0)
    return queue, script, clock


def raw(number: int, **attributes: str) -> dict[str, Any]:
    return {
        "MessageId": f"m{number}",
        "ReceiptHandle": f"r{number}",
        "Body": f"body {number}",
        "Attributes": attributes,
    }


def test_throttling_is_waited_for_longer_each_time() -> None:
    slow = refusal("RequestThrottled")
    queue, _, clock = scripted(slow, refusal("X", 503), slow, {"Messages": [raw(1)]})
    metrics = EventMetrics()
    assert [message.id for message in queue.receive(1, 0, metrics=metrics)] == ["m1"]
    assert clock.monotonic_s() == 1 + 2 + 4
    assert (metrics.throttles, metrics.retries, metrics.calls) == (2, 3, {"receive": 4})


@pytest.mark.parametrize("code", ["OverLimit", "ThrottlingException", "KmsThrottled"])
def test_throttling_for_ever_is_an_error_that_may_pass(code: str) -> None:
    queue, script, _ = scripted(*[refusal(code)] * 4)
    with pytest.raises(EventQueueError, match=f"said \\({code}\\)") as caught:
        queue.receive(1, 0)
    assert caught.value.retryable
    assert caught.value.attrs["attempts"] == 4
    assert script.answers == []


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (refusal("AccessDenied", 403), EventQueueError, "access denied"),
        (refusal("com.amazonaws.sqs#AccessDeniedException"), EventQueueError, "access denied"),
        (refusal("AWS.SimpleQueueService.NonExistentQueue"), EventQueueError, "no such queue"),
        (refusal("QueueDoesNotExist"), EventQueueError, "no such queue"),
        (refusal("InvalidClientTokenId", 403), CredentialsError, "said"),
        (refusal("ExpiredToken", 403), CredentialsError, "said"),
        (NoCredentialsError(), CredentialsError, "Unable to locate credentials"),
        (refusal("InvalidParameterValue"), EventQueueError, "InvalidParameterValue"),
    ],
)
def test_what_will_not_pass_is_said_at_once(
    error: Exception, kind: type[Exception], said: str
) -> None:
    queue, script, clock = scripted(error)
    with pytest.raises(kind, match=said) as caught:
        queue.receive(1, 0)
    assert script.answers == []
    assert clock.monotonic_s() == 0
    assert not getattr(caught.value, "retryable", True)


@pytest.mark.parametrize(
    ("ask", "action"),
    [
        (lambda queue: queue.receive(1, 0), "sqs:ReceiveMessage"),
        (lambda queue: queue.delete([Message("m", "b", "r")]), "sqs:DeleteMessage"),
        (check_queue, "sqs:GetQueueAttributes"),
    ],
)
def test_a_missing_permission_is_named(ask: Any, action: str) -> None:
    queue, _, _ = scripted(refusal("AccessDenied", 403))
    with pytest.raises(EventQueueError, match="access denied") as caught:
        ask(queue)
    assert caught.value.attrs["permission"] == action
    assert action in str(caught.value.hint)


def test_silence_is_tried_again() -> None:
    silence = ReadTimeoutError(endpoint_url=URL)
    queue, _, _ = scripted(silence, ConnectionResetError("reset"), {})
    assert queue.receive(1, 0) == []


def test_large_batches_take_several_requests_and_wait_once() -> None:
    full = {"Messages": [raw(number) for number in range(10)]}
    queue, script, _ = scripted(full, full, {"Messages": [raw(1)]})
    assert len(queue.receive(50, 7.9)) == 21
    waits = [(p["MaxNumberOfMessages"], p["WaitTimeSeconds"]) for _, p in script.asked]
    assert waits == [(10, 7), (10, 0), (10, 0)]


@pytest.mark.parametrize(("wanted_s", "asked_s"), [(300, 20), (-1, 0), (0.5, 0), (20, 20)])
def test_a_wait_is_what_the_service_grants(wanted_s: float, asked_s: int) -> None:
    queue, script, _ = scripted({"Messages": []})
    queue.receive(1, wanted_s)
    assert script.asked[0][1]["WaitTimeSeconds"] == asked_s


@pytest.mark.parametrize(
    ("sent", "count", "expected"),
    [
        ("1795258791508", "3", (datetime(2026, 11, 21, 10, 59, 51, 508000, tzinfo=UTC), 3)),
        ("", "", (None, 1)),
        ("9" * 30, "x", (None, 1)),
        ("-5", "0", (None, 1)),
    ],
)
def test_times_of_messages_are_read(sent: str, count: str, expected: tuple[Any, int]) -> None:
    fields = {"SentTimestamp": sent, "ApproximateReceiveCount": count}
    queue, _, _ = scripted({"Messages": [raw(1, **fields)]})
    (message,) = queue.receive(1, 0)
    assert (message.sent_at, message.deliveries) == expected
    assert message == Message("m1", "body 1", "r1", *expected)


def failed(*numbers: int, fault: bool = False) -> dict[str, Any]:
    return {"Failed": [{"Id": str(n), "Code": "X", "SenderFault": fault} for n in numbers]}


def messages(count: int) -> list[Message]:
    return [Message(f"m{number}", "", f"r{number}") for number in range(count)]


def test_deletions_that_fail_are_tried_again_alone() -> None:
    queue, script, clock = scripted(failed(1, 3), failed(3), {}, {})
    metrics = EventMetrics()
    assert queue.delete(messages(12), metrics=metrics) == []
    receipts = [[e["ReceiptHandle"] for e in p["Entries"]] for _, p in script.asked]
    assert receipts == [[f"r{n}" for n in range(10)], ["r1", "r3"], ["r3"], ["r10", "r11"]]
    assert clock.monotonic_s() == 1 + 2
    assert (metrics.retries, metrics.calls) == (2, {"delete": 4})


def test_what_cannot_be_deleted_is_given_back() -> None:
    sent = messages(3)
    queue, _, _ = scripted(failed(0, fault=True), attempts_max=3)
    assert queue.delete(sent) == [sent[0]]
    queue, script, _ = scripted(failed(1, 2), failed(1, 2), failed(1), attempts_max=3)
    assert queue.delete(sent) == [sent[1]]
    assert script.answers == []
    assert queue.delete([]) == []


ARN = "arn:aws:sqs:eu-west-1:111122223333:changes"


def test_the_url_of_a_named_queue_is_asked_once() -> None:
    queue = EventQueue(ARN, OPTIONS)
    script = Script([{"QueueUrl": "http://x/1/changes"}, {}, {}])
    queue._calls._client = script
    queue.receive(1, 0)
    queue.receive(1, 0)
    assert [operation for operation, _ in script.asked] == ["GetQueueUrl"] + ["ReceiveMessage"] * 2
    assert script.asked[0][1] == {
        "QueueName": "changes",
        "QueueOwnerAWSAccountId": "111122223333",
    }
    assert script.asked[2][1]["QueueUrl"] == "http://x/1/changes"


GOOD = {"Policy": '{"Statement": [{"Principal": {"Service": "s3.amazonaws.com"}}]}'}


@pytest.mark.parametrize(
    ("attributes", "codes"),
    [
        (GOOD, []),
        ({**GOOD, "MaximumMessageSize": "65535"}, ["message-size"]),
        ({**GOOD, "MaximumMessageSize": "65536"}, []),
        ({**GOOD, "MessageRetentionPeriod": "86399"}, ["retention"]),
        ({**GOOD, "FifoQueue": "true"}, ["fifo"]),
        ({**GOOD, "KmsMasterKeyId": "alias/aws/sqs"}, ["kms-key"]),
        ({**GOOD, "KmsMasterKeyId": "alias/mine"}, []),
        ({"Policy": "no json"}, ["policy"]),
        ({"Policy": '{"Statement": [{"Principal": "*"}]}'}, []),
        ({}, ["policy"]),
        ({**GOOD, "VisibilityTimeout": "9"}, ["visibility"]),
        ({**GOOD, "RedrivePolicy": '{"maxReceiveCount": 2}'}, ["redrive"]),
        ({**GOOD, "RedrivePolicy": '{"maxReceiveCount": "10"}'}, []),
        ({**GOOD, "RedrivePolicy": "[]"}, []),
        ({**GOOD, "RedrivePolicy": "no json"}, []),
    ],
)
def test_problems_of_queues(attributes: dict[str, str], codes: list[str]) -> None:
    queue, _, _ = scripted({"Attributes": attributes})
    found = check_queue(queue)
    assert [problem.code for problem in found.problems] == codes
    assert found.address == URL
