"""A bucket with careless writers, lossy events, and the truth about what was there when."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stocktake.catalog import Claim, open_catalog, open_feed
from stocktake.model import S3Url
from stocktake.store import ListQuery, Store, iter_listing
from stocktake.testing import ObjectChange, render_event

BUCKET, PREFIX, NAME = "lake", "in/", "load"
CHILD = Path(__file__).with_name("chaos_child.py")
_FOLDERS = ("2026/01", "2026/02", "accounts/a+b c", "accounts/\u00e4")


@dataclass(slots=True)
class Life:
    """One object version: certainly there from `since` on, until `ended` (None: it still is)."""

    key: str
    etag: str
    since: datetime
    ended: datetime | None = None


class Writers:
    """Put, overwrite, delete, in any order of keys; slow multipart uploads; lossy events."""

    def __init__(self, store: Store, queue: Any, dice: random.Random) -> None:
        self.store, self.queue, self.dice = store, queue, dice
        self.lives: list[Life] = []
        self.alive: dict[str, Life] = {}
        self.slow: list[tuple[str, Any, dict[int, str]]] = []
        self.sent = self.dropped = self.doubled = 0
        self._number = 0
        self._delayed: list[str] = []

    def act(self) -> None:
        """One thing that a writer does."""
        what = self.dice.choices(
            ("put", "overwrite", "delete", "begin", "finish"), (5, 2, 2, 1, 2)
        )[0]
        known = sorted(self.alive)
        if what == "overwrite" and known:
            self.put(self.dice.choice(known))
        elif what == "delete" and known:
            self.delete(self.dice.choice(known))
        elif what == "begin":
            key = self._new_key()
            upload = self.store.begin_upload(BUCKET, key)
            self.slow.append((key, upload, {1: upload.put_part(1, self._content())}))
        elif what == "finish" and self.slow:
            # its last-modified is the instant the upload began: long ago
            key, upload, etags = self.slow.pop(0)
            self._born(key, str(upload.complete(etags).etag), "CompleteMultipartUpload")
        else:
            self.put(self._new_key())

    def put(self, key: str) -> None:
        """A new version; no two have the same content."""
        self._born(key, str(self.store.put(BUCKET, key, self._content()).etag), "Put")

    def delete(self, key: str) -> None:
        """The key is gone."""
        self.store.delete(BUCKET, [key])
        self._end(key)
        self._tell("ObjectRemoved:Delete", key, None)

    def finish_uploads(self) -> None:
        """Complete what is still under way."""
        while self.slow:
            key, upload, etags = self.slow.pop(0)
            self._born(key, str(upload.complete(etags).etag), "CompleteMultipartUpload")

    def flush(self) -> None:
        """Send the events so far: some lost, some twice, in any order, some not yet."""
        self.dice.shuffle(self._delayed)
        later = self._delayed[: len(self._delayed) // 4]
        bodies = self._delayed[len(later) :]
        self._delayed = later
        if bodies:
            self.queue.send(bodies)
            self.sent += len(bodies)

    def flush_all(self) -> None:
        """Send every event that was not lost."""
        while self._delayed:
            self.flush()

    def _born(self, key: str, etag: str, how: str) -> None:
        self._end(key)
        life = Life(key, etag.strip('"'), datetime.now(UTC))
        self.lives.append(life)
        self.alive[key] = life
        self._tell(f"ObjectCreated:{how}", key, life.etag)

    def _end(self, key: str) -> None:
        life = self.alive.pop(key, None)
        if life is not None:
            life.ended = datetime.now(UTC)

    def _tell(self, name: str, key: str, etag: str | None) -> None:
        self._number += 1
        change = ObjectChange(
            name,
            key,
            BUCKET,
            size_bytes=len(self._content(self._number)),
            etag=etag or "",
            sequencer=f"{self._number:012X}",
            at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        )
        if self.dice.random() < 0.2:
            self.dropped += 1
            return
        body = render_event(self.dice.choice(("s3", "sns", "eventbridge")), change)
        self._delayed.append(body)
        if self.dice.random() < 0.2:
            self.doubled += 1
            self._delayed.append(body)

    def _content(self, number: int | None = None) -> bytes:
        if number is None:
            self._number += 1
        return b"%012d" % (number or self._number)

    def _new_key(self) -> str:
        # names in any order: a lexical cursor is passed all the time
        return f"{PREFIX}{self.dice.choice(_FOLDERS)}/f{self.dice.randrange(10**6):06}.csv"


class Worker:
    """The child: work is sent to it, and it may die of it."""

    def __init__(self, *arguments: str, point: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD), *arguments],
            env={**os.environ, "STOCKTAKE_KILL_AT": point},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.alive = self._process.stdout.readline() == "ready\n"

    def send(self, work: str) -> None:
        """Begin a piece of work."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{work}\n")
        self._process.stdin.flush()

    def answer(self) -> str | None:
        """What came of it; None if it was killed."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.alive = False
            self.close()
            return None
        return line.rstrip("\n")

    def kill(self) -> None:
        """As `kill -9`."""
        self._process.kill()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


@dataclass(frozen=True, slots=True)
class Seen:
    """What the feed says: its claim, the newest row per key, how many rows, no gap in them."""

    claim: Claim
    newest: dict[str, dict[str, Any]]
    rows: list[dict[str, Any]]


def look(location: Path, state_url: str | None) -> Seen:
    """Read the whole feed."""
    with open_catalog(str(location), state_url=state_url) as catalog:
        feed = open_feed(catalog, S3Url(BUCKET, PREFIX))
        claim = feed.claim()  # before the rows: they may only be newer
        rows = [row for batch in feed.read(0, 10**6) for row in batch.to_pylist()]
    return Seen(claim, {row["key"]: row for row in rows}, rows)


def false_claims(seen: Seen, lives: list[Life]) -> list[str]:
    """Objects that were there at the instant of the claim, still are, and are not in the feed."""
    through = seen.claim.complete_through
    if through is None:
        return []
    wrong = []
    for life in lives:
        if life.ended is None and life.since <= through:
            row = seen.newest.get(life.key)
            if row is None or row["change"] == "deleted" or row["etag"] != life.etag:
                wrong.append(f"{life.key}: {life} but {row}")
    return wrong


def loaded(dataset: Path) -> list[dict[str, Any]]:
    """Every row of the sink."""
    return [row for file in sorted(dataset.glob("*.parquet")) for row in _rows(file)]


def _rows(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(file, partitioning=None).to_pylist()
    return rows


def listed(store: Store) -> dict[str, str]:
    """What is in the bucket now."""
    pages = iter_listing(store, ListQuery(BUCKET, PREFIX))
    return {entry.key: str(entry.etag) for page in pages for entry in page.objects}
