"""Sharing a dataset by its copy: push, pull, a merge of both sides' changes, exports, reading.

The store is in this process: what is measured is our own work, not a network. CPU seconds are
given beside the clock, which others share.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from bench.manifest_store import peak_of_this_process_mb, records
from bench.measure import keep, python, table

PLACE = Path("/var/tmp") / "stocktake-bench-copy"
CHANGED_SHARE = 100


@dataclass(frozen=True)
class Step:
    """One step over all files; `files_per_s` counts every file of the manifest."""

    step: str
    files: int
    wall_s: float
    cpu_s: float
    files_per_s: int | None
    rss_peak_mb: int


def main(argv: list[str]) -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="bench manifest-copy")
    parser.add_argument("--files", type=int, default=100_000)
    files = parser.parse_args(argv).files
    cost = python("manifest copy", "bench.manifest_copy", "--task", str(files))
    print(cost.output)


def task(files: int) -> None:
    """All steps, in a process of their own."""
    from stocktake.clock import SystemClock
    from stocktake.manifests import (
        Algorithm,
        DatasetSpec,
        PutEntry,
        Reason,
        create_dataset,
        export_bag,
        export_sums,
        import_records,
        parse_manifest,
        pull_copy,
        push_copy,
        render_manifest,
    )
    from stocktake.state import open_state
    from stocktake.testing import MemoryStore

    shutil.rmtree(PLACE, ignore_errors=True)
    store = MemoryStore()
    store.describe("CreateBucket", "photos")
    hosts = []
    for name in ("ada", "bob"):
        (PLACE / name).mkdir(parents=True)
        state = open_state(f"sqlite:///{PLACE / name / 'state.db'}", clock=SystemClock())
        state.upgrade()
        hosts.append(create_dataset(state, DatasetSpec("16", "", "photos", "styles/16/")))
    ada, bob = hosts
    steps: list[Step] = []

    def step(name: str, work: Callable[[], object]) -> None:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        work()
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        peak = round(peak_of_this_process_mb())
        rate = round(files / cpu_s) if cpu_s > 0.05 else None
        steps.append(Step(name, files, round(wall_s, 2), round(cpu_s, 2), rate, peak))

    ada.commit((PutEntry(one) for one in records(files)), Reason.SYNC)
    step("push, first", lambda: push_copy(ada, store))
    step("push, nothing new", lambda: push_copy(ada, store))
    step("pull, first", lambda: pull_copy(bob, store))
    step("pull, nothing new", lambda: pull_copy(bob, store))
    for host, since in ((ada, 0), (bob, 1)):
        changed = [
            replace(one, uploaded_at=one.uploaded_at + timedelta(days=1 + since), token=f"{since}")
            for number, one in enumerate(records(files, f"{since}"))
            if number % CHANGED_SHARE == since
        ]
        host.commit(map(PutEntry, changed), Reason.SYNC)
    step("push of 1 %", lambda: push_copy(ada, store))
    step("push of 1 % and merge of 1 %", lambda: push_copy(bob, store))
    text = b"".join(render_manifest(ada))
    step("read a manifest", lambda: parse_manifest(text))
    step("import what is there", lambda: import_records(ada, parse_manifest(text).records))
    step("export sha256sum", lambda: sum(map(len, export_sums(ada, Algorithm.SHA256))))
    step("export a bag", lambda: export_bag(ada, PLACE / "bag"))
    shutil.rmtree(PLACE)
    keep(f"manifest-copy-{files}", steps)
    table(
        f"{files:,} files, {len(text) >> 20} MiB of JSON",
        ["step", "wall s", "CPU s", "files/CPU s", "peak MB so far"],
        [
            [one.step, one.wall_s, one.cpu_s, one.files_per_s or "", one.rss_peak_mb]
            for one in steps
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        task(int(sys.argv[2]))
    else:
        main(sys.argv[1:])
