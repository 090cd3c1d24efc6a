"""A dataset's manifest in the control database: cost per entry, beside rewriting a JSON file.

Processor seconds are given beside the clock: the rest is waiting for the disk, and for others.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.measure import keep, python, table

PLACE = Path("/var/tmp") / "stocktake-bench-datasets"
FILES_PER_COMMIT = 500
_SINCE = datetime(2026, 11, 20, tzinfo=UTC)


def records(files: int, salt: str = "") -> Iterator[object]:
    """Uploads with digests as random as real ones, paths of 60 bytes, in key order."""
    from stocktake.manifests import UploadRecord

    for number in range(files):
        name = (
            f"site-{number // 5000:03d}/2026-11-{number % 28 + 1:02d}/image-{number:08d}-full.jpeg"
        )
        digest = hashlib.sha256(f"{salt}{number}".encode()).hexdigest()
        size_bytes = 10_000 + number % 977
        yield UploadRecord(
            s3_key=f"styles/16/{name}",
            size_bytes=size_bytes,
            etag=digest[:32],
            version_id=None,
            md5=digest[:32],
            sha256=digest,
            crc64nvme=digest[:11] + "=",
            part_size_bytes=None,
            token=digest[32:],
            uploaded_at=_SINCE + timedelta(milliseconds=number),
            verified_by="checksum",
            source=name,
            source_raw=None,
            source_sha256=digest,
            source_size_bytes=size_bytes,
            source_mtime_ns=1_795_000_000_000_000_000 + number,
        )


class Steps:
    """Times steps and keeps what they cost."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def time(self, name: str, count: int, work: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.rows.append({"name": name, "count": count, "wall_s": wall, "cpu_s": cpu})


def task(address: str, files: int, folder: Path) -> dict[str, object]:
    """Everything, in a process of its own; says what it cost and how large it became."""
    from stocktake.clock import SystemClock
    from stocktake.manifests import (
        DatasetSpec,
        PutEntry,
        Reason,
        create_dataset,
        render_manifest,
        write_manifest_file,
    )
    from stocktake.state import open_state

    steps = Steps()
    with open_state(address, clock=SystemClock()) as state:
        one = create_dataset(state, DatasetSpec("one", "", "photos", "styles/16/"))
        puts = (PutEntry(record) for record in records(files))
        steps.time("one commit of all", files, lambda: one.commit(puts, Reason.SYNC))
        steps.time("read all in order", files, lambda: sum(1 for _ in one.entries()))
        chance = random.Random(5)
        keys = [record.s3_key for record in records(files) if chance.random() < 1000 / files]
        steps.time("find a file", len(keys), lambda: [one.find(key) for key in keys])
        some = [PutEntry(one) for at, one in enumerate(records(files, "b")) if at % 100 == 0]
        steps.time("replace 1 %", len(some), lambda: one.commit(some, Reason.SYNC))
        lonely = [PutEntry(record) for record in records(40, "c")]
        steps.time(
            "a commit of one file",
            len(lonely),
            lambda: [one.commit([each], Reason.SYNC) for each in lonely],
        )
        last = one.info().version
        steps.time("what changed", len(some), lambda: sum(1 for _ in one.changes(1, last)))
        steps.time("read the first version", files, lambda: sum(1 for _ in one.entries(version=1)))
        steps.time("figures", files, one.stats)
        steps.time("draw the JSON", files, lambda: sum(map(len, render_manifest(one))))
        steps.time("write the JSON file", files, lambda: write_manifest_file(one, folder))
        peak_mb = peak_of_this_process_mb()
        two = create_dataset(state, DatasetSpec("two", "", "photos", "styles/"))
        everything = [PutEntry(record) for record in records(min(files, 100_000))]

        groups = range(0, len(everything), FILES_PER_COMMIT)
        steps.time(
            f"commits of {FILES_PER_COMMIT}",
            len(everything),
            lambda: [
                two.commit(everything[at : at + FILES_PER_COMMIT], Reason.SYNC) for at in groups
            ],
        )
        bytes_per_row = database_bytes(state) / (files + len(some) + two.info().total_files)
    json_bytes = next(folder.glob("*.json")).stat().st_size
    return {
        "steps": steps.rows,
        "peak_mb": peak_mb,
        "bytes_per_row": bytes_per_row,
        "json_bytes_per_file": json_bytes / files,
    }


def peak_of_this_process_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def database_bytes(state) -> int:
    from sqlalchemy import text

    with state.read() as connection:
        if state.dialect == "sqlite":
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            return pages * connection.execute(text("PRAGMA page_size")).scalar_one()
        return connection.execute(text("SELECT pg_total_relation_size('dataset_entries')")).scalar()


def rewrite_task(files: int, folder: Path) -> dict[str, object]:
    """What such manifests were: read the whole file, change one entry, write the whole file."""
    path = folder / "naive.json"
    steps = Steps()
    kept = [{"filename": one.source, "s3_key": one.s3_key, "s3_url": "https://photos.s3.amazonaws"
             f".com/{one.s3_key}", "size_bytes": one.size_bytes, "md5_hash": one.md5,
             "uploaded_at": one.uploaded_at.isoformat(), "local_path": one.source}
            for one in records(files)]  # fmt: skip
    path.write_text(json.dumps({"files": kept}, indent=2))

    def change() -> None:
        document = json.loads(path.read_text())
        name = document["files"][files // 2]["filename"]
        entry = next(one for one in document["files"] if one["filename"] == name)
        others = [one for one in document["files"] if one["filename"] != name]
        document["files"] = sorted([*others, entry], key=lambda one: one["filename"])
        with path.open("w") as sink:
            json.dump(document, sink, indent=2)
            sink.flush()
            os.fsync(sink.fileno())

    steps.time("JSON file: one file changed", 1, change)
    return {"steps": steps.rows}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench datasets")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--state-url", help="a PostgreSQL database, empty; else SQLite")
    parser.add_argument("--task", choices=["ours", "rewrite"])
    chosen = parser.parse_args(argv)
    folder = PLACE / "json"
    address = chosen.state_url or f"sqlite:///{PLACE}/state.db"
    if chosen.task:
        done = (
            task(address, chosen.files, folder)
            if chosen.task == "ours"
            else rewrite_task(chosen.files, folder)
        )
        print(json.dumps(done))
        return 0
    shutil.rmtree(PLACE, ignore_errors=True)
    folder.mkdir(parents=True)
    given = ["--files", str(chosen.files)] + (["--state-url", address] if chosen.state_url else [])
    ours, rewrite = (
        json.loads(python(name, "bench.manifest_store", *given, "--task", name).output)
        for name in ("ours", "rewrite")
    )
    where = "PostgreSQL" if chosen.state_url else "SQLite"
    show(ours, rewrite, where, chosen.files)
    shutil.rmtree(PLACE)
    return 0


def show(ours: dict, rewrite: dict, where: str, files: int) -> None:
    steps = [*ours["steps"], *rewrite["steps"]]
    table(
        f"A manifest of {files:,} files in {where} (peak {ours['peak_mb']:.0f} MB)",
        ["what", "how many", "wall s", "CPU s", "us of wall each", "us of CPU each"],
        [
            [
                *(one["name"], f"{one['count']:,}", one["wall_s"], one["cpu_s"]),
                *(round(1e6 * one[unit] / one["count"], 1) for unit in ("wall_s", "cpu_s")),
            ]
            for one in steps
        ],
    )
    print(f"{ours['bytes_per_row']:.0f} bytes per row with all indexes, "
          f"{ours['json_bytes_per_file']:.0f} per file of the JSON")  # fmt: skip
    keep(f"datasets-{where.lower()}-{files}", {**ours, "rewrite": rewrite["steps"]})


if __name__ == "__main__":
    sys.exit(main())
