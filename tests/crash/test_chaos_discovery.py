"""Chaos: careless writers, lossy events, and a worker that is killed at every point there is.

Whatever happens in between, after the next audit nothing is missed, no version has reached the
sink twice, and the claim was never false. STR-6, STR-9, EVT-2, ING-2, ING-3, ING-4.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from chaos_world import (
    BUCKET,
    Seen,
    Worker,
    Writers,
    false_claims,
    listed,
    loaded,
    look,
)

from stocktake.faults import POINTS
from stocktake.store import open_store
from stocktake.testing import FakeS3, Server

pytestmark = pytest.mark.servers

ROOMS = ("events.", "feed.", "ingest.", "sink.file-written", "import.p", "file.")
KILL_POINTS = [point for point in POINTS if point.startswith(ROOMS)]
WORK = ("events", "discover event_driven", "discover incremental_lexical", "audit", "ingest")
_numbers = count(1)


class Queue:
    """A real queue whose messages are never hidden: a killed receiver's come back at once."""

    def __init__(self, server: Server) -> None:
        session = botocore.session.Session()
        session.set_credentials("stocktake", "stocktake-secret")
        self._sqs: Any = session.create_client(
            "sqs", region_name="us-east-1", endpoint_url=server.endpoint_url
        )
        self.url: str = self._sqs.create_queue(
            QueueName=f"chaos-{next(_numbers)}", Attributes={"VisibilityTimeout": "0"}
        )["QueueUrl"]

    def send(self, bodies: list[str]) -> None:
        """Put messages in."""
        for body in bodies:
            self._sqs.send_message(QueueUrl=self.url, MessageBody=body)


class Chaos:
    """One bucket, one catalog, one sink, many workers that die."""

    def __init__(
        self, server: Server, place: Path, seed: int, state_url: str | None = None
    ) -> None:
        self.dice = random.Random(seed)
        self.fake = FakeS3()
        self.fake.__enter__()
        self.fake.create_bucket(BUCKET)
        self.store = open_store(self.fake.options())
        self.queue = Queue(server)
        self.writers = Writers(self.store, self.queue, self.dice)
        self.state_url = state_url
        self.catalog, self.dataset = place / "catalog", place / "dataset"
        self.counts: Counter[str] = Counter()

    def worker(self, point: str = "") -> Worker:
        """A new process; it may be killed before it is ready."""
        places = [self.catalog, self.fake.endpoint_url, self.queue.url, self.dataset]
        if self.state_url is not None:
            places.append(self.state_url)
        self.counts["workers"] += 1
        return Worker(*map(str, places), point=point)

    def write(self) -> None:
        """A few things happen in the bucket."""
        for _ in range(self.dice.randrange(2, 7)):
            self.writers.act()
        self.writers.flush()

    def step(self, worker: Worker, work: str, *, kill_after_s: float | None = None) -> None:
        """One piece of work, perhaps the worker's last; then the claim is looked at."""
        worker.send(work)
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            worker.kill()
        answer = worker.answer()
        self.counts["steps"] += 1
        assert answer in {None, "ok"}, answer
        self.counts["finished" if answer else "killed"] += 1
        self.check_claim()

    def check_claim(self) -> Seen | None:
        """What it promises now must be so."""
        if not self.catalog.exists() or not (self.catalog / "catalog.json").exists():
            return None
        seen = look(self.catalog, self.state_url)
        assert false_claims(seen, self.writers.lives) == []
        assert [row["seq"] for row in seen.rows] == list(range(1, len(seen.rows) + 1))
        self.counts["claims checked"] += 1
        return seen

    def proven(self) -> datetime:
        """The instant of the claim."""
        through = look(self.catalog, self.state_url).claim.complete_through
        assert through is not None
        return through

    def settle(self) -> Seen:
        """No more chaos: every event that was not lost, one audit, and load what is left."""
        self.writers.finish_uploads()
        self.writers.flush_all()
        worker = self.worker()
        assert worker.alive
        last_write = datetime.now(UTC)
        for work in ("events", "discover event_driven", "audit", "ingest"):
            self.step(worker, work)
        if self.proven() < last_write:  # it went on with a dead one's scan, and says so
            self.step(worker, "audit")
        assert self.proven() >= last_write
        time.sleep(1.1)  # leases of the dead run out
        self.step(worker, "ingest")
        worker.close()
        seen = self.check_claim()
        assert seen is not None
        return seen

    def check_all(self, seen: Seen) -> None:
        """Nothing missed, nothing twice."""
        there = listed(self.store)
        known = {k: r["etag"] for k, r in seen.newest.items() if r["change"] != "deleted"}
        assert known == there
        rows = loaded(self.dataset)
        assert max(Counter(row["seq"] for row in rows).values()) == 1
        assert max(Counter((row["key"], row["etag"]) for row in rows).values()) == 1
        arrived = {(row["key"], row["etag"]) for row in rows}
        assert {(key, etag) for key, etag in there.items()} <= arrived
        wanted = {(r["key"], r["etag"]) for r in seen.rows if r["change"] != "deleted"}
        assert arrived == wanted
        assert arrived <= {(life.key, life.etag) for life in self.writers.lives}

    def close(self) -> None:
        """Stop the server."""
        self.store.close()
        self.fake.__exit__(None, None, None)


@pytest.fixture
def chaos(ministack: Server, tmp_path: Path) -> Iterator[Chaos]:
    world = Chaos(ministack, tmp_path, int(os.environ.get("CHAOS_SEED", "1")))
    try:
        yield world
    finally:
        world.close()


def run_points(chaos: Chaos, points: list[str]) -> None:
    """For each point a worker that dies there, if it comes there, and one that goes on."""
    for point in points:
        chaos.write()
        worker = chaos.worker(f"{point}:{chaos.dice.randrange(1, 3)}")
        for work in chaos.dice.sample(WORK, len(WORK)):
            if not worker.alive:
                break
            chaos.step(worker, work)
            chaos.write()
        if worker.alive:
            worker.close()


def test_nothing_is_missed_or_doubled_when_workers_die_at_some_points(chaos: Chaos) -> None:
    points = ["ingest.loaded", "feed.appended", "events.held", "ingest.committed", "feed.appending"]
    run_points(chaos, points)
    worker = chaos.worker()
    for work in WORK:
        if worker.alive:
            chaos.write()
            chaos.step(worker, work, kill_after_s=None if work != "ingest" else 0.02)
    worker.close()
    chaos.check_all(chaos.settle())
    assert chaos.counts["killed"] >= 5
    assert chaos.writers.dropped
    assert chaos.writers.doubled


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "database"), [(1, "sqlite"), (2, "sqlite"), (3, "postgresql"), (4, "postgresql")]
)
def test_nothing_is_missed_or_doubled_when_workers_die_at_every_point(
    ministack: Server, tmp_path: Path, seed: int, database: str, request: pytest.FixtureRequest
) -> None:
    state_url = None
    if database == "postgresql":
        state_url = str(request.getfixturevalue("postgres").new_database())
    capsys = request.getfixturevalue("capsys")
    chaos = Chaos(ministack, tmp_path, seed, state_url)
    try:
        run_points(chaos, chaos.dice.sample(KILL_POINTS, len(KILL_POINTS)))
        for _ in range(15):  # and at any instant
            chaos.write()
            worker = chaos.worker()
            work = chaos.dice.choice(WORK)
            chaos.step(worker, work, kill_after_s=chaos.dice.random() * 0.2)
            worker.close()
        chaos.check_all(chaos.settle())
        assert chaos.counts["killed"] >= len(KILL_POINTS) // 2
        with capsys.disabled():
            writers = chaos.writers
            told = {
                "versions": len(writers.lives),
                "messages": writers.sent,
                "events lost": writers.dropped,
                "events doubled": writers.doubled,
                **chaos.counts,
            }
            print(f"\n{database}, seed {seed}: {told}")
    finally:
        chaos.close()
