"""Any weather: requests and answers lost, refused and doubled, and the worker killed at any call.

Whatever happens, at the end there is exactly one object with the right bytes and our token, no
upload of ours is open, and no upload of anybody else was touched (SHP-30, 31, 32, 41).
"""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ship_recorder import BUCKET, NOW, Desk, MemoryLedger, open_uploads
from stocktake.clock import FixedClock
from stocktake.errors import PreconditionFailedError, StoreUnavailableError, ThrottledError
from stocktake.ship._records import ObjectState, Outcome
from stocktake.ship._recover import recover_uploads
from stocktake.store import MIB, PutOptions
from stocktake.testing import MemoryStore, _uploads

BODY = random.Random(5).randbytes(2 * MIB + 100)
SMALL = BODY[:1000]
WEATHER = ["fine", "lost request", "lost answer", "slow down", "doubled", "refused", "killed"]


class Killed(BaseException):
    """The process is dead: nothing it does has an effect any more."""


class Weather:
    """Store and ledger behind a line on which things happen, one call after the other."""

    def __init__(self, inner: Any, ledger: MemoryLedger, forecast: list[str]) -> None:
        self.inner = inner
        self.ledger = ledger
        self.forecast = forecast
        self.lock = threading.Lock()
        self.dead = False

    def revive(self) -> None:
        self.dead = False

    def send(self, verb: str, action: Callable[[], Any]) -> Any:
        with self.lock:
            if self.dead:
                raise Killed
            weather = self.forecast.pop(0) if self.forecast else "fine"
            if weather == "killed":
                self.dead = True
                if random.Random(len(self.forecast)).random() < 0.5:
                    action()  # the request was on its way
                raise Killed
            if weather == "lost request":
                raise StoreUnavailableError("no answer")
            if weather == "slow down":
                raise ThrottledError("slow down")
            if weather == "refused" and verb in {"put", "complete"}:
                raise PreconditionFailedError("412")
            if weather == "doubled":
                self._first(action)
            result = action()
            if weather == "lost answer":
                raise StoreUnavailableError("no answer")
            return result

    def _first(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception:  # noqa: BLE001 - the second one tells
            return

    # the store
    def head(self, *args: Any, **more: Any) -> Any:
        return self.send("head", lambda: self.inner.head(*args, **more))

    def get(self, *args: Any, **more: Any) -> Any:
        return self.send("get", lambda: self.inner.get(*args, **more))

    def put(self, *args: Any, **more: Any) -> Any:
        return self.send("put", lambda: self.inner.put(*args, **more))

    def describe(self, *args: Any, **more: Any) -> Any:
        return self.send("describe", lambda: self.inner.describe(*args, **more))

    def begin_upload(self, *args: Any, **more: Any) -> Any:
        if more.get("upload_id"):
            upload = self.inner.begin_upload(*args, **more)
        else:
            upload = self.send("begin", lambda: self.inner.begin_upload(*args, **more))
        return WeatherUpload(self, upload)


class WeatherUpload:
    def __init__(self, line: Weather, inner: Any) -> None:
        self.line = line
        self.inner = inner
        self.upload_id = inner.upload_id

    def put_part(self, number: int, body: Any) -> Any:
        return self.line.send("part", lambda: self.inner.put_part(number, body))

    def complete(self, *args: Any) -> Any:
        return self.line.send("complete", lambda: self.inner.complete(*args))

    def abort(self) -> Any:
        return self.line.send("abort", self.inner.abort)


class MortalLedger(MemoryLedger):
    """Takes nothing from the dead."""

    line: Weather | None = None

    def record(self, step: Any) -> None:
        self.alive()
        super().record(step)

    def complete(self, results: Any) -> None:
        self.alive()
        super().complete(results)

    def alive(self) -> None:
        if self.line is not None and self.line.dead:
            raise Killed


def run(desk: Desk, line: Weather, work: Callable[[], Outcome]) -> Outcome | None:
    """One life of a worker; None if it was killed."""
    try:
        outcome = work()
    except Killed:
        outcome = None
    finally:
        desk.tasks._context.uploader.close()
    return None if line.dead else outcome


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_uploads, "PART_BYTES_MIN", 1)
    return tmp_path / "world"


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    forecast=st.lists(st.sampled_from(WEATHER), max_size=30),
    there=st.sampled_from(["nothing", "other", "same", "ours before"]),
    foreign=st.booleans(),
)
def test_large_file_ends_as_one_object_in_any_weather(
    folder: Path, forecast: list[str], there: str, foreign: bool
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    clock = FixedClock(NOW)
    store = MemoryStore(clock=clock)
    store.describe("CreateBucket", BUCKET)
    ledger = MortalLedger(clock)
    line = Weather(store, ledger, list(forecast))
    ledger.line = line
    changes = {"part_bytes_min": MIB, "small_max_bytes": MIB}
    desk = Desk(folder, line, ledger=ledger, clock=clock, changes=changes)  # type: ignore[arg-type]
    job = desk.job("big.bin", BODY)
    theirs = store.begin_upload(BUCKET, "in/big.bin").upload_id if foreign else None
    put_before(store, ledger, there, "in/big.bin", BODY)
    clock.advance(timedelta(hours=1).total_seconds())
    assert desk.plan(job).outcome is Outcome.DONE
    for _ in range(60):
        outcome = run(desk, line, lambda: desk.ship(job).outcome)
        line.revive()
        if outcome is Outcome.DONE:
            break
        assert outcome in {None, Outcome.OUTAGE, Outcome.TRANSIENT, Outcome.FAILED}, outcome
        recover(desk, line, ledger)
        desk.again()
    check(store, ledger, "in/big.bin", BODY, there)
    assert [one["UploadId"] for one in open_uploads(store)] == ([theirs] if theirs else [])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    forecast=st.lists(st.sampled_from(WEATHER), max_size=20),
    there=st.sampled_from(["nothing", "other", "same", "ours before"]),
)
def test_small_file_ends_as_one_object_in_any_weather(
    folder: Path, forecast: list[str], there: str
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    clock = FixedClock(NOW)
    store = MemoryStore(clock=clock)
    store.describe("CreateBucket", BUCKET)
    ledger = MortalLedger(clock)
    line = Weather(store, ledger, list(forecast))
    ledger.line = line
    desk = Desk(folder, line, ledger=ledger, clock=clock)  # type: ignore[arg-type]
    put_before(store, ledger, there, "in/small.bin", SMALL)
    job = desk.file_job("small.bin", SMALL)
    for _ in range(60):
        outcome = run(desk, line, lambda: next(iter(desk.put([job]).values())).outcome)
        line.revive()
        if ledger.rows[job.object_id].state is ObjectState.COMPLETED:
            break
        assert outcome is not Outcome.DONE
        desk.again()
    check(store, ledger, "in/small.bin", SMALL, there)


def put_before(store: MemoryStore, ledger: MemoryLedger, there: str, key: str, body: bytes) -> None:
    if there == "other":
        store.put(BUCKET, key, b"somebody's")
    elif there == "same":
        store.put(BUCKET, key, body)
    elif there == "ours before":
        ledger.known.add("0" * 32)
        metadata = {"stocktake-token": "0" * 32}
        store.put(BUCKET, key, b"our own, before", PutOptions(metadata=metadata))


def recover(desk: Desk, line: Weather, ledger: MemoryLedger) -> None:
    for _ in range(40):
        try:
            recover_uploads(ledger, line, desk.settings, clock=desk.clock)  # type: ignore[arg-type]
        except (Killed, StoreUnavailableError, ThrottledError):
            line.revive()
            continue
        if not ledger.open_uploads():
            return
    raise AssertionError("recovery does not end")


def check(store: MemoryStore, ledger: MemoryLedger, key: str, body: bytes, there: str) -> None:
    (row,) = [row for row in ledger.rows.values() if row.planned.key == key]
    assert row.state is ObjectState.COMPLETED
    assert row.result is not None
    head = store.head(BUCKET, key)
    with store.get(BUCKET, key) as found:
        assert found.read() == body
    assert row.result.etag == head.etag
    if row.result.verified_by == "adopted":
        assert there == "same"
    else:
        assert head.metadata["stocktake-token"] == row.token
