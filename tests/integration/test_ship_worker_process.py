"""The whole chain of a worker against the strict S3, over HTTP; without a right to write files."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ship_recorder import BUCKET, Desk, LedgerDesk, open_uploads
from stocktake.clock import SystemClock
from stocktake.ship._records import Outcome
from stocktake.store import RetryPolicy, Store, open_store, probe_uploads
from stocktake.testing import FakeS3, Fault, FaultProxy, LostAnswer, Refuse, Status

CHILD = Path(__file__).parents[1] / "ship_worker_child.py"
DICE = random.Random(17)
PART_BYTES = 5 << 20
LARGE = DICE.randbytes(2 * PART_BYTES + 99)


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    with FakeS3() as fake:
        fake.create_bucket(BUCKET)
        yield fake


@pytest.fixture
def store(fake: FakeS3) -> Iterator[Store]:
    store = open_store(fake.options())
    yield store
    store.close()


def test_chain_from_zip_to_multipart_writes_no_file(
    tmp_path: Path, fake: FakeS3, store: Store
) -> None:
    """SHP-43: zip -> CSV -> Parquet -> multipart under RLIMIT_FSIZE 0."""
    folder, empty = tmp_path / "watched", tmp_path / "empty"
    folder.mkdir()
    empty.mkdir()
    lines = [f"{n},{DICE.randbytes(500).hex()}\n" for n in range(13_000)]
    body = ("n,text\n" + "".join(lines)).encode()
    with zipfile.ZipFile(folder / "box.zip", "w", zipfile.ZIP_DEFLATED) as box:
        box.writestr("t.csv", body)
        box.writestr("large.bin", LARGE)
        box.writestr("small.txt", b"small")
    keys = fake.credentials
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(CHILD.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(empty),
        "HOME": str(empty),
        "KEY_ID": keys.access_key_id,
        "KEY_SECRET": keys.secret_access_key,
    }
    command = [sys.executable, str(CHILD), str(folder), fake.endpoint_url, "box.zip"]
    done = subprocess.run(
        command, env=environment, cwd=empty, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["outcomes"] == ["done", "done"], said["errors"]
    assert said["steps"] == ["UploadIntended", "UploadOpened", "UploadCompleting"] * 2
    assert set(said["objects"].values()) == {"checksum"}
    assert said["rss_mb"] < 320
    assert list(empty.iterdir()) == []
    assert [path.name for path in folder.iterdir()] == ["box.zip"]
    with store.get(BUCKET, "in/box/t.parquet") as found:
        assert pq.read_table(io.BytesIO(found.read())).num_rows == 13_000
    with store.get(BUCKET, "in/box/large.bin") as found:
        assert found.read() == LARGE
    assert open_uploads(store) == []


def desk_behind(proxy: FaultProxy, fake: FakeS3, folder: Path) -> Desk:
    quick = RetryPolicy(attempts_max=2, base_s=0.01, cap_s=0.05)
    options = fake.options(endpoint_url=proxy.endpoint_url, retry=quick)
    changes = {"retry_cap_s": 0.1, "part_bytes_min": PART_BYTES}
    desk = Desk(folder, open_store(options), clock=SystemClock(), changes=changes)
    desk.ledger.clock = desk.clock
    desk.profile = probe_uploads(desk.store, BUCKET)
    return desk


ERROR_IN_200 = (
    b"<?xml version='1.0'?><Error><Code>InternalError</Code>"
    b"<Message>We encountered an internal error.</Message></Error>"
)
DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"


@pytest.mark.parametrize(
    ("match", "action", "times"),
    [
        (r"^PUT .*partNumber=2", Refuse(), 5),
        (r"^PUT .*partNumber=1", LostAnswer(), 5),
        (r"^PUT .*partNumber=", Status(500, b""), 6),
        (r"^PUT .*partNumber=", Status(503), 6),
        (r"^POST .*\?uploads", LostAnswer(), 3),
        (r"^POST .*uploadId=", LostAnswer(), 3),
        (r"^POST .*uploadId=", Refuse(), 3),
        (r"^POST .*uploadId=", Status(200, ERROR_IN_200), 3),
        (r"^POST .*uploadId=", Status(200, b""), 2),
        (r"^HEAD ", Refuse(), 3),
        (r"^(PUT|POST|HEAD|GET) ", Refuse(), 40),
    ],
)
def test_fault_60_real_failures_of_the_line_end_in_one_object(
    tmp_path: Path, fake: FakeS3, store: Store, match: str, action: Any, times: int
) -> None:
    """SHP-31, SHP-32: lost answers, resets, 500, SlowDown, and a 200 that is an error."""
    with FaultProxy(fake.endpoint_url) as proxy:
        desk = desk_behind(proxy, fake, tmp_path / "watched")
        job = desk.job("large.bin", LARGE)
        fault = proxy.add(Fault(match, action, times=times))
        end = desk.plan_and_ship(job)
        assert end.outcome is Outcome.DONE, end.error
        assert fault.hits > 0
        desk.tasks.close()
        desk.store.close()
    with store.get(BUCKET, "in/large.bin") as found:
        assert found.read() == LARGE
    assert open_uploads(store) == []


@pytest.mark.parametrize(
    ("action", "times"), [(Refuse(), 9), (LostAnswer(), 9), (Status(503), 9), (Status(200, b""), 1)]
)
def test_fault_60_small_files_through_a_bad_line(
    tmp_path: Path, fake: FakeS3, store: Store, action: Any, times: int
) -> None:
    with FaultProxy(fake.endpoint_url) as proxy:
        desk = desk_behind(proxy, fake, tmp_path / "watched")
        jobs = [desk.file_job(f"{n}.txt", b"%d" % n) for n in range(30)]
        proxy.add(Fault(r"^PUT /landing/in/", action, times=times, skip=3))
        ends = desk.put(jobs)
        assert {end.outcome for end in ends.values()} == {Outcome.DONE}
        desk.tasks.close()
        desk.store.close()
    for number in range(30):
        with store.get(BUCKET, f"in/{number}.txt") as found:
            assert found.read() == b"%d" % number


def test_fault_60_denied_bucket_fails_the_file_and_says_which_permission(
    tmp_path: Path, fake: FakeS3
) -> None:
    with FaultProxy(fake.endpoint_url) as proxy:
        desk = desk_behind(proxy, fake, tmp_path / "watched")
        proxy.add(Fault(r"^PUT ", Status(403, DENIED), times=9))
        (end,) = desk.put([desk.file_job("a.txt", b"1")]).values()
        assert end.outcome is Outcome.FAILED
        assert end.error is not None
        assert "s3:PutObject" in str(end.error)
        desk.tasks.close()
        desk.store.close()


def test_versioned_bucket_gets_one_version(tmp_path: Path, fake: FakeS3, store: Store) -> None:
    """Fault 60: and its version id is recorded."""
    status = {"Status": "Enabled"}
    store.describe("PutBucketVersioning", BUCKET, VersioningConfiguration=status)
    changes = {"part_bytes_min": PART_BYTES}
    desk = LedgerDesk(tmp_path / "watched", store, clock=SystemClock(), changes=changes)
    (desk.folder / "a.txt").write_bytes(b"1")
    (desk.folder / "large.bin").write_bytes(LARGE)
    desk.arrive("a.txt", "large.bin")
    desk.run()
    versions = [record.version_id for _, record in desk.ledger.uploads_after(0, 10)]
    assert len(versions) == 2
    assert None not in versions
    desk.close()
