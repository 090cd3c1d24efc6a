"""Looking at a folder of many files again and again, beside walking it with os.walk and stat.

For each number of files, in 100 or more folders: a poll that finds them all for the first time, a
poll when all are known (what the daemon does every few seconds), and what remembering them costs.
The walk beside it compares nothing and remembers nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from bench.measure import keep, python, table

DATA = Path(__file__).parent / "data" / "arrival"
FILES_PER_FOLDER = 1000
TARGET_S = 1.0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench arrival", description=__doc__)
    parser.add_argument("--files", default="100000")
    chosen, _ = parser.parse_known_args(argv)
    results = []
    for files in map(int, chosen.files.split(",")):
        folder = make(files)
        for name in ("empty", "walk", "known", "first"):
            cost = python(name, "bench.arrival_task", name, str(folder))
            found = json.loads(cost.output)
            results.append({"files": files, **found, "peak_mb": round(cost.rss_mb)})
    table(
        f"a poll; target with {100_000:,} known files: {TARGET_S:g} s",
        ["files", "what", "best s", "median s", "CPU s", "found", "peak MB"],
        [
            [
                f"{r['files']:,}",
                *(r[name] for name in ("what", "best_s", "median_s", "cpu_s", "found", "peak_mb")),
            ]
            for r in results
        ],
    )
    keep("arrival-" + chosen.files.replace(",", "-"), results)
    return 0


def make(files: int) -> Path:
    """Files of one byte, a thousand to a folder; made once."""
    top = DATA / str(files)
    if (top / "made").exists():
        return top
    shutil.rmtree(top, ignore_errors=True)
    for start in range(0, files, FILES_PER_FOLDER):
        folder = top / "in" / f"folder-{start // FILES_PER_FOLDER:05}"
        folder.mkdir(parents=True)
        for number in range(start, min(files, start + FILES_PER_FOLDER)):
            (folder / f"file-{number:08}.dat").write_bytes(b"x")
    (top / "made").touch()
    return top


if __name__ == "__main__":
    raise SystemExit(main())
