"""Folders that are synchronised with one dataset, the bucket, and what must be true of them."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stocktake.clock import SystemClock
from stocktake.manifests import RunKind, UploadRecord, list_datasets, open_dataset
from stocktake.model import normalise_etag
from stocktake.state import open_state
from stocktake.store import open_store
from stocktake.testing import FakeS3
from stocktake.testing._object_table import Version, Versioning

BUCKET = "landing"
PREFIX = "styles/16/"
MIB = 1 << 20
CHILD = Path(__file__).parent / "crash" / "sync_child.py"
LONGEST_S = 120


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@dataclass
class Ended:
    """How a process ended."""

    status: int
    output: str
    errors: str

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL

    @property
    def said(self) -> dict[str, Any]:
        """What it printed of its result."""
        said: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return said


@dataclass
class Child:
    """A process, and where it writes."""

    pid: int
    output: Path
    errors: Path

    def kill(self) -> None:
        """As `kill -9`; it is there, living or not, until it is waited for."""
        os.kill(self.pid, signal.SIGKILL)


class Children:
    """Starts processes by forking one that has loaded the program."""

    def __init__(self) -> None:
        kept = ("PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR")
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._server = subprocess.Popen(
            [sys.executable, str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: os.environ[name] for name in kept if name in os.environ},
        )

    def start(self, wanted: dict[str, Any], kill_at: str | None, folder: Path) -> Child:
        number = next(self._numbers)
        output, errors = folder / f"{number}.out", folder / f"{number}.err"
        for path in (output, errors):
            path.touch()  # it may be killed before it comes to that
        asked = {"start": wanted, "kill_at": kill_at}
        pid = self._ask(asked | {"output": str(output), "errors": str(errors)})
        return Child(pid, output, errors)

    def wait(self, child: Child) -> Ended:
        """Until it has ended; one that hangs is killed."""
        timer = threading.Timer(LONGEST_S, child.kill)
        timer.start()
        try:
            status = self._ask({"wait": child.pid})
        finally:
            timer.cancel()
        return Ended(status, child.output.read_text(), child.errors.read_text())

    def _ask(self, asked: dict[str, Any]) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with self._lock:
            self._server.stdin.write(json.dumps(asked) + "\n")
            self._server.stdin.flush()
            return int(self._server.stdout.readline())

    def close(self) -> None:
        """End it."""
        with self._server:
            assert self._server.stdin is not None
            self._server.stdin.close()


@dataclass
class Host:
    """A folder and what is in it."""

    folder: Path
    files: dict[str, bytes] = field(default_factory=dict)

    def write(self, name: str, body: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        self.files[name] = body

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()
        del self.files[name]

    def found(self) -> dict[str, bytes]:
        """What is in it indeed."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@dataclass
class SyncWorld:
    """A strict S3 that keeps every version, one control database, and some folders."""

    root: Path
    fake: FakeS3
    children: Children
    database: str = ""
    dice: random.Random = field(default_factory=lambda: random.Random(11))
    written: set[tuple[str, str]] = field(default_factory=set)
    """Every (key, digest) that any folder ever had."""

    def __post_init__(self) -> None:
        self.fake.create_bucket(BUCKET).table.versioning = Versioning.ENABLED
        self.database = self.database or f"sqlite:///{self.root}/state.db"
        self.manifests.mkdir()

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    def host(self, name: str) -> Host:
        folder = self.root / name
        folder.mkdir()
        return Host(folder)

    def write(self, host: Host, name: str, size_bytes: int) -> None:
        """A file whose bytes no other file ever has."""
        body = self.dice.randbytes(size_bytes)
        self.written.add((PREFIX + name, digest(body)))
        host.write(name, body)

    def turn(self, host: Host, name: str, *, large: bool = True) -> None:
        """New files, one of them large, and of those that are there some changed, some gone.

        A file that was sent by a process that died before it could say so, and is deleted then, is
        an object that nobody knows of: so only files that the manifest knows are deleted.
        """
        before = sorted(host.files)
        known = self.records() if before else {}
        for number in range(4):
            self.write(host, f"{name}/{number}.txt", 40 + number)
        if large:
            self.write(host, f"{name}/large.bin", 5 * MIB + 17)
        if len(before) > 6:
            changed, *gone = self.dice.sample(before, 3)
            self.write(host, changed, 33)
            for one in gone:
                if PREFIX + one in known:
                    host.remove(one)

    def turn_of_new_files(self, host: Host, number: int) -> None:
        """New files only, in a place of the folder's own."""
        for each in range(15):
            self.write(host, f"{host.folder.name}/{number}-{each}.txt", 60 + each)
        if number % 2:
            self.write(host, f"{host.folder.name}/{number}.bin", 5 * MIB + 1)

    def start(
        self,
        host: Host,
        what: str = "sync",
        *,
        kill_at: str | None = None,
        delete: bool = True,
        two_way: bool = False,
    ) -> Child:
        """A process that is at it."""
        wanted = {
            "what": what,
            "endpoint_url": self.fake.endpoint_url,
            "state": self.database,
            "folder": str(host.folder),
            "bucket": BUCKET,
            "prefix": PREFIX,
            "manifests": str(self.manifests),
            "delete": delete,
            "two_way": two_way,
        }
        return self.children.start(wanted, kill_at, self.root)

    def run(self, host: Host, what: str = "sync", **more: Any) -> Ended:
        """One process from start to end, or to its death."""
        return self.children.wait(self.start(host, what, **more))

    def check(self, *hosts: Host) -> None:
        """After a clean end: folders, bucket and manifest are the same, and nothing is left."""
        self.check_always()
        files = {name: body for host in hosts for name, body in host.files.items()}
        for host in hosts:
            self.check_folder(host)
        self.check_bucket(files)
        self.check_nothing_open()
        records = self.records()
        assert sorted(records) == sorted(PREFIX + name for name in files)
        for version in self.current():
            record = records[version.key]
            assert record.etag == normalise_etag(version.etag), version.key
            assert record.version_id in {None, version.version_id}, version.key
            assert record.sha256 == digest(bytes_of(version)), version.key

    def check_always(self) -> None:
        """Whenever a process dies: nothing half, nothing twice, nothing that never was."""
        seen: dict[str, list[str]] = {}
        for version in self.versions():
            if ".stocktake" not in version.key:
                seen.setdefault(version.key, []).append(
                    "deleted" if version.blob is None else digest(bytes_of(version))
                )
        for key, digests in seen.items():
            bodies = [one for one in digests if one != "deleted"]
            assert len(bodies) == len(set(bodies)), f"{key} was written twice"
            assert {(key, one) for one in bodies} <= self.written, f"{key} has bytes of nobody"
            for one, other in itertools.pairwise(digests):
                assert (one, other) != ("deleted", "deleted"), f"{key} was deleted twice"
        for key, record in self.records().items():
            assert record.sha256 in seen.get(key, []), f"{key} is not what the manifest says"
        self.check_manifest_file()

    def check_folder(self, host: Host) -> None:
        found, name = host.found(), host.folder.name
        strange = sorted(found.keys() - host.files.keys())
        missing = sorted(host.files.keys() - found.keys())
        assert (strange, missing) == ([], []), f"{name}: strange and missing files"
        assert found == host.files

    def check_bucket(self, files: dict[str, bytes]) -> None:
        found = {version.key: digest(bytes_of(version)) for version in self.current()}
        wanted = {PREFIX + name: digest(body) for name, body in files.items()}
        missing, extra = sorted(wanted.keys() - found), sorted(found.keys() - wanted)
        assert found == wanted, f"missing {missing}, unexpected {extra}"

    def check_nothing_open(self) -> None:
        with closing(open_store(self.fake.options())) as store:
            answer = store.describe("ListMultipartUploads", BUCKET)
        left = [(upload["Key"], upload["UploadId"]) for upload in answer.get("Uploads", [])]
        assert left == [], f"open uploads: {left}"
        with open_state(self.database, clock=SystemClock()) as state:
            dataset = open_dataset(state, "16")
            assert dataset.uploads() == []
            runs = dataset.runs(RunKind.SYNC, limit=500)
            assert [run.state for run in runs if run.state == "running"] == []
            numbers = [one.version for one in dataset.history()]
            assert numbers == list(range(len(numbers), 0, -1))

    def check_manifest_file(self) -> None:
        """It is one version's, whole, and nothing lies beside it but what a kill left."""
        for path in self.manifests.iterdir():
            if path.suffix == ".json":
                manifest = json.loads(path.read_bytes())
                assert manifest["total_files"] == len(manifest["files"])

    def recorded(self, host: Host) -> list[str]:
        """Files that the manifest has as they are."""
        records = self.records()
        found = ((name, records.get(PREFIX + name)) for name in host.files)
        return [name for name, one in found if one and one.sha256 == digest(host.files[name])]

    def records(self) -> dict[str, UploadRecord]:
        """What the manifest says; nothing if it was never begun."""
        with open_state(self.database, clock=SystemClock()) as state:
            state.upgrade()
            if all(one.id != "16" for one in list_datasets(state)):
                return {}
            dataset = open_dataset(state, "16")
            return {entry.record.s3_key: entry.record for entry in dataset.entries()}

    def versions(self) -> list[Version]:
        """All of them, of each key the oldest first."""
        table = self.fake.buckets[BUCKET].table
        found = [one for one, _ in table.versions_page("", "", ("", ""), 10**6).versions]
        found.reverse()
        return sorted(found, key=lambda one: one.key)

    def current(self) -> list[Version]:
        """The objects that a listing shows, but for our own."""
        table = self.fake.buckets[BUCKET].table
        found = [version for version, _ in table.page("", "", "", 10**6).versions]
        return [version for version in found if ".stocktake" not in version.key]


def bytes_of(version: Version) -> bytes:
    """Of a version that is no delete marker."""
    assert version.blob is not None
    return version.blob.read(0, version.size_bytes)
