"""One task in a process like a worker's: `python -m bench.ship_worker_task URL FOLDER NAME...`.

The process may write no file. Its ledger is in memory, so what is measured is the worker alone.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import secrets
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any


class Recorder:
    """Keeps what a worker asks for again."""

    def __init__(self) -> None:
        self.planned: list[Any] = []
        self.done: set[int] = set()
        self.summary: Any = None

    def add_planned(self, source_id: int, objects: Any) -> None:
        self.planned.extend(objects)

    def end_plan(self, source_id: int, summary: Any) -> None:
        self.summary = summary

    def next_objects(self, source_id: int, after_ordinal: int, limit: int) -> list[Any]:
        from stocktake.ship._records import ObjectJob

        waiting = (
            ObjectJob(number, f"{number:032x}", planned)
            for number, planned in enumerate(self.planned)
            if number not in self.done and planned.ordinal > after_ordinal
        )
        return list(itertools.islice(waiting, limit))

    def record(self, step: Any) -> None:
        return

    def complete(self, results: Any) -> None:
        self.done.update(result.object_id for result in results)

    def end_source(self, source_id: int) -> None:
        return


class Nobody:
    """Listens to nothing."""

    def progress(self, *_: Any) -> None:
        return

    def outage(self, error: Any) -> None:
        print(error, file=sys.stderr)

    def recovered(self) -> None:
        return


def peak_mb() -> float:
    """Of this program alone: `ru_maxrss` still has what the process was before its exec."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    from stocktake.clock import SystemClock
    from stocktake.ship._folder import identity_of
    from stocktake.ship._keys import plain_key
    from stocktake.ship._kinds import kind_of
    from stocktake.ship._records import FileJob, SourceJob
    from stocktake.ship._settings import ShipSettings
    from stocktake.ship._tasks import Tasks
    from stocktake.store import S3_UPLOADS, S3StoreOptions, open_store

    url, folder, *names = sys.argv[1:]
    options = S3StoreOptions(
        endpoint_url=url, region="us-east-1", access_key_id="bench", secret_access_key="bench-bench"
    )
    settings = ShipSettings(folder=Path(folder), bucket="bench", store=options)
    limits = replace(settings.limits, member_ratio_max=1e9)
    settings = replace(settings, limits=limits)
    recorder = Recorder()
    clock = SystemClock()
    tasks = Tasks(
        settings,
        open_store(options, clock=clock),
        recorder,
        ship_id="bench",
        knows_token=lambda token: True,
        profile=S3_UPLOADS,
        clock=clock,
        listener=Nobody(),
    )

    def job_of(number: int, name: str) -> SourceJob:
        path = os.fsencode(name)
        identity = identity_of((Path(folder) / name).stat())
        return SourceJob(number, path, identity, kind_of(settings, path, 0), 0)

    started = os.times()
    begun_s = time.perf_counter()
    before_mb = peak_mb()
    laps: list[float] = []
    if names == ["*"]:
        found = sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.dat"))
        jobs = [
            FileJob(job_of(n, name), n, secrets.token_hex(16), plain_key(settings, name.encode()))
            for n, name in enumerate(found)
        ]
        started = os.times()
        begun_s = time.perf_counter()
        ends = list(tasks.put_files(jobs))
    else:
        job = job_of(1, names[0])
        ends = [tasks.plan(job)]
        laps.append(time.perf_counter() - begun_s)
        if recorder.summary is not None:
            ends.append(tasks.ship(replace(job, sha256=recorder.summary.sha256)))
    ended = os.times()
    said = {
        "failed": [end.error for end in ends if end.error][:3],
        "wall_s": time.perf_counter() - begun_s,
        "plan_s": laps[0] if laps else 0.0,
        "cpu_s": ended.user + ended.system - started.user - started.system,
        "imports_mb": before_mb,
        "rss_mb": peak_mb(),
        "objects": len(recorder.done),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
