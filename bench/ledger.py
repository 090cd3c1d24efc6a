"""The ledger alone: completions, bytes per file, a restart, a rebuild, a plan of a million members.

Processor seconds are given beside the clock: the rest is waiting for the disk, and for others.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import random
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import keep, table

PLACE = Path("/var/tmp") / "stocktake-bench-ledger"
THREADS = 16


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def path_of(number: int) -> bytes:
    folder = f"cameras/site-{number % 37:03d}/2026-11-{number % 28 + 1:02d}"
    return f"{folder}/image-{number:08d}-full-quality.jpeg".encode()


def sources(files: int, folder: Path | None = None):
    from stocktake.ship import Identity, ReadySource, SourceKind

    for number in range(files):
        path = path_of(number)
        stamp = 1_795_000_000 * 10**9 + number * 1_000_003
        identity = Identity(66306, 30_000_000 + number, 9, stamp, stamp + 123_456)
        if folder is not None:
            status = (folder / os.fsdecode(path)).stat()
            identity = Identity(
                *(status.st_dev, status.st_ino, status.st_size),
                *(status.st_mtime_ns, status.st_ctime_ns),
            )
        yield ReadySource(path, identity, SourceKind.PLAIN)


def result(object_id: int, size: int):
    from stocktake.ship import ObjectResult

    chance = random.Random(object_id)
    md5, crc = chance.randbytes(16).hex(), base64.b64encode(chance.randbytes(8)).decode()
    sha256 = chance.randbytes(32).hex()
    return ObjectResult(object_id, size, crc, md5, sha256, md5, None, None, None, "checksum")


def claim(ledger, files_max: int):
    return ledger.claim_files(
        files_max=files_max,
        bytes_max=1 << 60,
        small_max_bytes=8 << 20,
        key_of=lambda path: "in/" + path.decode(),
    )[0]


def complete_all(ledger, threads: int) -> int:
    """Each thread completes one file after the other and waits for the disk every time."""
    jobs = iter(claim(ledger, 10**7))
    lock = threading.Lock()
    done = [0] * threads

    def work(thread: int) -> None:
        while True:
            with lock:
                job = next(jobs, None)
            if job is None:
                return
            ledger.complete([result(job.object_id, job.source.identity.size_bytes)])
            done[thread] += 1

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    return sum(done)


def write_all(ledger, log) -> None:
    from stocktake.ship._ledger_segments import write_segments

    write_segments(ledger, log)


def fsync_s(place: Path) -> float:
    """What one synchronous write costs here."""
    with (place / "probe").open("wb", buffering=0) as file:
        started = time.perf_counter()
        for _ in range(200):
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
        return (time.perf_counter() - started) / 200


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench ledger")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--growth", action="store_true", help="only: memory as files come")
    chosen = parser.parse_args(argv)
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    figures: dict[str, float] = {"fsync_ms": fsync_s(PLACE) * 1000, "files": chosen.files}
    rows: list[list[object]] = []
    if chosen.growth:
        return show_growth(chosen.files)
    run_files(chosen.files, figures, rows)
    run_rebuild(chosen.files, figures, rows)
    run_members(chosen.members, figures, rows)
    table(
        f"The ledger with {chosen.files:,} files (one synchronous write: "
        f"{figures['fsync_ms']:.2f} ms)",
        ["what", "wall s", "CPU s", "per second", "note"],
        rows,
    )
    keep("ledger", figures)
    shutil.rmtree(PLACE)
    return 0


def show_growth(files: int) -> int:
    """Resident memory as the ledger grows: two page caches fill, then it is level."""
    from stocktake.clock import SystemClock
    from stocktake.ship._ledger import Ledger

    ledger = Ledger.open(PLACE / "g.db", clock=SystemClock())
    before_bytes, rows, ready = resident_bytes(), [], sources(files)
    last = 0.0
    for tenth in range(1, 11):
        ledger.add_sources([next(ready) for _ in range(files // 10)])
        ledger.counts()
        grown = (resident_bytes() - before_bytes) / 1e6
        rows.append([tenth * files // 10, grown, (grown - last) * 1e6 / (files // 10)])
        last = grown
    table("The ledger's memory as files come", ["files", "MB more", "bytes per new file"], rows)
    keep("ledger-growth", {"files": files, "grown_mb": last, "last_bytes_per_file": rows[-1][2]})
    ledger.close()
    shutil.rmtree(PLACE)
    return 0


def resident_bytes() -> int:
    """Of this process."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def run_files(files: int, figures: dict[str, float], rows: list[list[object]]) -> None:
    from stocktake.clock import SystemClock
    from stocktake.ship._ledger import Ledger

    clock = SystemClock()
    ledger = Ledger.open(PLACE / "a.db", clock=clock)
    ready = list(sources(files))
    wall, cpu = timed(lambda: ledger.add_sources(ready))
    rows.append(["files recorded as pending", wall, cpu, int(files / wall), "1,000 a commit"])
    wall, cpu = timed(lambda: complete_all(ledger, THREADS))
    figures |= {"complete_s": wall, "complete_cpu_s": cpu, "complete_per_s": files / wall}
    note = f"{THREADS} threads, each waits for its own"
    rows.append(["files completed one by one", wall, cpu, int(files / wall), note])
    numbers = ledger.uploads_after(0, 10**7)
    ledger.segment_written(numbers[-1][0], "segment")
    del numbers
    for _ in range(400):  # what the backlog took is given back while nobody waits
        if ledger.figures().file_bytes <= 195 * files:
            break
        clock.sleep(0.05)
    size = ledger.figures().file_bytes
    ledger.close()
    figures["bytes_per_file"] = size / files
    rows.append(["its size", "", "", "", f"{size / files:.1f} bytes per file, paths of 60 bytes"])

    def restart() -> None:
        again = Ledger.open(PLACE / "a.db", clock=clock)
        again.release_all()
        assert sum(1 for _ in again.identities()) == files
        again.counts()
        again.close()

    wall, cpu = timed(restart)
    figures |= {"restart_s": wall, "restart_cpu_s": cpu}
    rows.append(["restart", wall, cpu, int(files / wall), "check, release, all identities"])


def run_rebuild(files: int, figures: dict[str, float], rows: list[list[object]]) -> None:
    """Real files, a store in this process: what the ledger and the manifest cost, not the net."""
    from stocktake.clock import SystemClock
    from stocktake.manifests import SegmentLog, manifest_prefix
    from stocktake.ship import ShipSettings
    from stocktake.ship._ledger import Ledger
    from stocktake.ship._rebuild import rebuild_ledger
    from stocktake.testing import MemoryStore

    folder = PLACE / "watched"
    for number in range(files):
        place = folder / os.fsdecode(path_of(number))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"%09d" % number)
    clock = SystemClock()
    store = MemoryStore(clock=clock)
    store.describe("CreateBucket", "b")
    ledger = Ledger.open(PLACE / "b.db", clock=clock)
    ledger.add_sources(list(sources(files, folder)))
    while jobs := claim(ledger, 1000):
        done = []
        for job in jobs:
            body = b"x"
            etag = hashlib.md5(body).hexdigest()
            store.put("b", job.key, body)
            one = result(job.object_id, 9)
            done.append(
                type(one)(
                    *(job.object_id, 9, one.crc64nvme, etag, one.sha256),
                    etag,
                    *(None,) * 3,
                    "checksum",
                )
            )
        ledger.complete(done)
    log = SegmentLog(store, "b", manifest_prefix("in/", "d"))
    wall, cpu = timed(lambda: write_all(ledger, log))
    packed = sum(one.size_bytes for one in log.segments())
    figures |= {"segments_s": wall, "segment_bytes_per_file": packed / files}
    note = f"{len(log.segments())} segments, {packed / files:.0f} bytes per record"
    rows.append(["records written to segments", wall, cpu, int(files / wall), note])
    ledger.close()
    ledger = Ledger.open(PLACE / "c.db", clock=clock)
    settings = ShipSettings(folder, "b", prefix="in/", dataset="d")
    reports = []
    wall, cpu = timed(lambda: reports.append(rebuild_ledger(ledger, store, settings)))
    assert (reports[0].matched, reports[0].headed) == (files, 0), reports
    size = ledger.figures().file_bytes
    ledger.close()
    figures |= {"rebuild_s": wall, "rebuild_cpu_s": cpu, "rebuilt_bytes_per_file": size / files}
    note = f"{size / files:.0f} bytes per file: tokens of another ledger are kept"
    rows.append(["rebuilt from segments and folder", wall, cpu, int(files / wall), note])


def run_members(members: int, figures: dict[str, float], rows: list[list[object]]) -> None:
    import resource

    from stocktake.clock import FixedClock
    from stocktake.ship import Identity, PlannedObject, PlanSummary, ReadySource, SourceKind
    from stocktake.ship._ledger import Ledger

    ledger = Ledger.open(PLACE / "d.db", clock=FixedClock(datetime(2026, 1, 1, tzinfo=UTC)))
    ledger.add_sources([ReadySource(b"x.zip", Identity(1, 1, 1, 1, 1), SourceKind.ARCHIVE)])
    job = ledger.claim_plan()
    assert job is not None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def plan() -> None:
        for start in range(0, members, 500):
            some = [
                PlannedObject(
                    n, f"photos/{n:08d}.jpeg", f"in/x/photos/{n:08d}.jpeg", None, n, n, "ab" * 32
                )
                for n in range(start, min(members, start + 500))
            ]
            ledger.add_planned(job.source_id, some)
        ledger.end_plan(job.source_id, PlanSummary("ab" * 32, members))

    wall, cpu = timed(plan)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    size = ledger.figures().file_bytes
    figures |= {"plan_members": members, "plan_s": wall, "plan_cpu_s": cpu, "plan_grown_mb": grown}
    note = f"{size / members:.0f} bytes per member, memory grew by {max(0.0, grown):.0f} MB"
    rows.append([f"plan of {members:,} members", wall, cpu, int(members / wall), note])
    wall, cpu = timed(ledger.counts)
    rows.append(["states counted", wall, cpu, "", ""])
    ledger.close()
    assert sqlite3.sqlite_version_info >= (3, 37)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
