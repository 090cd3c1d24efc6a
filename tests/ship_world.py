"""A folder with everything in it, the bucket it goes to, and what must be true afterwards."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.store import Store, open_store
from stocktake.testing import FakeS3
from stocktake.testing._object_table import Versioning

BUCKET = "landing"
PREFIX = "in/"
MIB = 1 << 20
CHILD = Path(__file__).parent / "crash" / "ship_child.py"
LONGEST_S = 120

Rows = list[list[str]]


@dataclass
class Ended:
    """How a run of the shipper ended."""

    status: int
    output: str
    errors: str

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


@dataclass
class ShipWorld:
    """One watched folder, its state, and a strict S3 that keeps every version."""

    root: Path
    fake: FakeS3
    plain: dict[str, bytes] = field(default_factory=dict)
    tables: dict[str, Rows] = field(default_factory=dict)
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    endpoint_url: str = ""

    def __post_init__(self) -> None:
        for path in (self.folder, self.temporary):
            path.mkdir(parents=True)
        self.endpoint_url = self.fake.endpoint_url
        self.fake.create_bucket(BUCKET).table.versioning = Versioning.ENABLED

    @property
    def folder(self) -> Path:
        return self.root / "watched"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    def arrive(self, name: str) -> None:
        """Small files, a large one, tables, and archives, in a folder of that name."""
        place = self.folder / name
        place.mkdir()
        for number in range(6):
            self._plain(place / f"note-{number}.txt", self.dice.randbytes(50 + number))
        self._plain(place / "large.bin", self.dice.randbytes(6 * MIB + 17))
        self._table(place / "small.csv", self._rows(20, 8))
        self._table(place / "wide.csv", self._rows(3_000, 2_000))
        with zipfile.ZipFile(place / "box.zip", "w", zipfile.ZIP_DEFLATED) as box:
            for number in range(5):
                body = self.dice.randbytes(40)
                box.writestr(f"sub/member-{number}.dat", body)
                self.plain[f"{PREFIX}{name}/box/sub/member-{number}.dat"] = body
            rows = self._rows(30, 8)
            box.writestr("inner.csv", as_csv(rows))
            self.tables[f"{PREFIX}{name}/box/inner.parquet"] = rows
        with tarfile.open(place / "crate.tar.gz", "w:gz") as crate:
            for member, size in (("first.dat", 30), ("second.dat", 6 * MIB), ("third.dat", 40)):
                body = self.dice.randbytes(size)
                entry = tarfile.TarInfo(member)
                entry.size = size
                crate.addfile(entry, io.BytesIO(body))
                self.plain[f"{PREFIX}{name}/crate/{member}"] = body

    def _plain(self, path: Path, body: bytes) -> None:
        path.write_bytes(body)
        self.plain[PREFIX + path.relative_to(self.folder).as_posix()] = body

    def _table(self, path: Path, rows: Rows) -> None:
        path.write_bytes(as_csv(rows))
        key = PREFIX + path.with_suffix(".parquet").relative_to(self.folder).as_posix()
        self.tables[key] = rows

    def _rows(self, count: int, width: int) -> Rows:
        """Numbers with leading zeros, and text that cannot be compressed much."""
        rows = [["id", "code", "text"]]
        for number in range(count):
            text = self.dice.randbytes(width // 2).hex()
            rows.append([str(number), f"{self.dice.randrange(1000):05d}", text])
        return rows

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the developer's own; its temporary folder is watched by `check_no_strays`."""
        kept = {
            name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ
        }
        return kept | {"HOME": str(self.root / "home"), "TMPDIR": str(self.temporary)} | more

    def start(self, *prefix: str, **environment: str) -> subprocess.Popen[str]:
        """`ship once` in a process group of its own."""
        command = [sys.executable, str(CHILD), self.endpoint_url]
        command += [str(self.folder), str(self.state)]
        return subprocess.Popen(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(**environment),
            start_new_session=True,
        )

    def run(self, *prefix: str, **environment: str) -> Ended:
        """One run from start to end, or to its death."""
        process = self.start(*prefix, **environment)
        try:
            output, errors = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
            raise AssertionError(f"still running after {LONGEST_S} s:\n{errors[-3000:]}") from None
        return Ended(process.returncode, output, errors)

    def check(self) -> None:
        """Every source exactly once with the right content, no open upload, no stray file."""
        with closing(open_store(self.fake.options())) as store:
            self.check_objects(store)
        self.check_versions()
        self.check_open_uploads()
        self.check_no_strays()
        self.check_ledger()

    def check_objects(self, store: Store) -> None:
        keys = set(self._keys())
        wanted = set(self.plain) | set(self.tables)
        assert keys == wanted, f"missing {wanted - keys}, unexpected {keys - wanted}"
        for key, body in self.plain.items():
            assert read(store, key) == body, f"{key} has other bytes"
        for key, rows in self.tables.items():
            assert as_rows(read(store, key)) == rows, f"{key} has other values"

    def _keys(self) -> list[str]:
        table = self.fake.buckets[BUCKET].table
        return [
            version.key
            for version, _ in table.page("", "", "", 10**6).versions
            if ".stocktake" not in version.key
        ]

    def check_versions(self) -> None:
        """The bucket keeps versions: a second upload of the same would be seen."""
        table = self.fake.buckets[BUCKET].table
        seen: dict[str, int] = {}
        for version, _ in table.versions_page("", "", ("", ""), 10**6).versions:
            if ".stocktake" not in version.key:  # neither the probe's nor the manifest's
                assert version.blob is not None, f"{version.key} was deleted"
                seen[version.key] = seen.get(version.key, 0) + 1
        often = {key: count for key, count in seen.items() if count != 1}
        assert often == {}, f"written more than once: {often}"

    def check_open_uploads(self) -> None:
        with closing(open_store(self.fake.options())) as store:
            answer = store.describe("ListMultipartUploads", BUCKET)
        left = [(upload["Key"], upload["UploadId"]) for upload in answer.get("Uploads", [])]
        assert left == [], f"open uploads: {left}"

    def check_no_strays(self) -> None:
        """Nothing but the ledger was written; the sources are as they were."""
        assert list(self.temporary.iterdir()) == []
        home = self.root / "home"
        assert not home.exists() or list(home.rglob("*")) == []
        wrong = [
            path.name
            for path in self.state.rglob("*")
            if path.is_file() and not path.name.startswith("ledger.")
        ]
        assert wrong == []
        hidden = [path for path in self.folder.rglob("*") if path.name.startswith(".")]
        assert hidden == []

    def check_ledger(self) -> None:
        (path,) = self.state.rglob("ledger.db")
        connection = sqlite3.connect(path)
        try:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        finally:
            connection.close()

    def summary(self, ended: Ended) -> Mapping[str, object]:
        """What the child said of its run."""
        said: Mapping[str, object] = json.loads(ended.output.strip().splitlines()[-1])
        return said


def as_csv(rows: Rows) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def as_rows(parquet: bytes) -> Rows:
    """The table as the text it was made of."""
    table = pq.read_table(io.BytesIO(parquet))
    columns = [column.cast(pa.string()).to_pylist() for column in table.columns]
    return [table.column_names, *(list(row) for row in zip(*columns, strict=True))]


def read(store: Store, key: str) -> bytes:
    with store.get(BUCKET, key) as body:
        return body.read()
