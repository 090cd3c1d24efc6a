"""Kill -9 while events are taken: none is lost, and taking one twice changes nothing.

EVT-2: an event is in our table before its message is deleted; a crash between the two makes a
duplicate that the next run absorbs.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from events_child import BATCH_MESSAGES, empty

from event_states import emptied_state
from stocktake.clock import SystemClock
from stocktake.events import held_events, list_quarantined
from stocktake.state import State
from stocktake.testing import ObjectChange, Server, render_event

pytestmark = pytest.mark.servers
CHILD = Path(__file__).with_name("events_child.py")
MESSAGES = 8
_numbers = count(1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('events') / 'state.db'}"
    return str(request.getfixturevalue("postgres").new_database())


@pytest.fixture
def state(address: str) -> Iterator[State]:
    with emptied_state(address, SystemClock()) as opened:
        yield opened


class Queue:
    """A queue whose messages are never hidden, so that a killed receiver's come back at once."""

    def __init__(self, server: Server) -> None:
        session = botocore.session.Session()
        session.set_credentials("stocktake", "stocktake-secret")
        self.sqs: Any = session.create_client(
            "sqs", region_name="us-east-1", endpoint_url=server.endpoint_url
        )
        self.url = self.sqs.create_queue(
            QueueName=f"crash-{next(_numbers)}", Attributes={"VisibilityTimeout": "0"}
        )["QueueUrl"]

    def send(self, bodies: list[str]) -> None:
        for start in range(0, len(bodies), 10):
            entries = [
                {"Id": str(number), "MessageBody": body}
                for number, body in enumerate(bodies[start : start + 10])
            ]
            assert not self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries).get("Failed")

    def left(self) -> int:
        name = "ApproximateNumberOfMessages"
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return int(found["Attributes"][name])


@pytest.fixture
def queue(ministack: Server) -> Queue:
    return Queue(ministack)


def bodies(messages: int) -> list[str]:
    """Creations of distinct keys, some followed by a deletion, and a message of no sense."""
    sent = ["poison"]
    for number in range(messages):
        change = ObjectChange(key=f"k{number:03} +", sequencer=f"{number:04x}1")
        sent.append(render_event(("s3", "sns", "eventbridge")[number % 3], change))
        if number % 4 == 0:
            gone = ObjectChange("ObjectRemoved:Delete", change.key, sequencer=f"{number:04x}2")
            sent.append(render_event("s3", gone))
    return sent


def expected(messages: int) -> dict[str, str]:
    return {
        f"k{number:03} +": "deleted" if number % 4 == 0 else "created" for number in range(messages)
    }


def start(address: str, *arguments: str, point: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), address, *arguments],
        env={**os.environ, "STOCKTAKE_KILL_AT": point},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check_recovery(state: State, queue: Queue, messages: int) -> None:
    """After the next run everything is on hold, the queue is empty, the poison is kept once."""
    empty(state, queue.url)
    events = held_events(state, "data", "", 10_000)
    assert {event.key: event.kind.value for event in events} == expected(messages)
    assert [message.body for message in list_quarantined(state)] == [b"poison"]
    assert queue.left() == 0


@pytest.mark.parametrize(
    "point", ["events.held", "events.held:2", "events.deleted", "events.deleted:3"]
)
def test_receiver_killed_at_a_point_loses_no_event(
    point: str, state: State, address: str, queue: Queue
) -> None:
    sent = bodies(MESSAGES)
    queue.send(sent)
    child = start(address, "queue", queue.url, point=point)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, f"`{point}` was not reached: {errors}"
    name, _, turn = point.partition(":")
    deleted = BATCH_MESSAGES * (int(turn or 1) - (name == "events.held"))
    assert queue.left() == len(sent) - deleted
    again = empty(state, queue.url)
    # what was on hold, but not deleted, came again and changed nothing
    came_twice = again.duplicate + again.out_of_order + list_quarantined(state)[0].attempts - 1
    assert came_twice == (BATCH_MESSAGES if name == "events.held" else 0)
    check_recovery(state, queue, MESSAGES)


@pytest.mark.parametrize("seed", range(3))
def test_receiver_killed_at_any_moment_loses_no_event(
    seed: int, state: State, address: str, queue: Queue
) -> None:
    messages = 120
    queue.send(random.Random(seed).sample(sent := bodies(messages), len(sent)))
    child = start(address, "queue", queue.url)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(random.Random(seed).uniform(0.2, 0.8))
    child.kill()
    child.communicate(timeout=60)
    check_recovery(state, queue, messages)


def post(url: str, body: str) -> int:
    with urllib.request.urlopen(url, body.encode(), timeout=20) as answer:
        return int(answer.status)


def test_webhook_killed_before_it_answers_has_the_event(state: State, address: str) -> None:
    """EVT-3: the sender saw no answer and sends it again; nothing happens twice."""
    body = render_event("minio", ObjectChange(key="k"))
    child = start(address, "webhook", point="events.held:2")
    assert child.stdout is not None
    url = child.stdout.readline().strip()
    assert post(url, render_event("minio", ObjectChange(key="first"))) == 200
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        post(url, body)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert [event.key for event in held_events(state, "data", "", 10)] == ["first", "k"]
    again = start(address, "webhook")
    assert again.stdout is not None
    assert post(again.stdout.readline().strip(), body) == 200
    printed, errors = again.communicate(timeout=60)
    assert (again.returncode, printed, errors) == (0, "done\n", "")
    assert [event.key for event in held_events(state, "data", "", 10)] == ["first", "k"]


def test_without_a_point_the_queue_is_emptied(state: State, address: str, queue: Queue) -> None:
    queue.send(bodies(MESSAGES))
    printed, errors = start(address, "queue", queue.url).communicate(timeout=60)
    assert (printed, errors) == ("ready\ndone\n", "")
    assert queue.left() == 0
    check_recovery(state, queue, MESSAGES)
