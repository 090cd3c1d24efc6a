"""Runs a command as a process of its own and says what it cost."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds (children included), and peak resident memory of the largest process."""

    name: str
    wall_s: float
    cpu_s: float
    rss_mb: float
    output: str = ""

    def ratio(self, other: Cost) -> str:
        return f"{self.cpu_s / other.cpu_s:.2f}x"


def run(name: str, command: list[str]) -> Cost:
    """Run to the end; raises if it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    output = process.stdout.read().decode() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{name} failed with {process.returncode}: {' '.join(command)}")
    return Cost(name, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)


# as the command does
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def python(name: str, module: str, *arguments: str) -> Cost:
    return run(name, [sys.executable, "-m", module, *arguments])


@contextmanager
def file_server(root: Path):
    """A fake S3 that serves a directory's folders as buckets, in a process of its own."""
    from stocktake.testing import start_fake_s3

    logs = root.parent / f".{root.name}-server"
    logs.mkdir(exist_ok=True)
    with start_fake_s3(logs, files=root) as server:
        keys = server.credentials
        os.environ |= {
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        }
        yield server


def table(title: str, head: list[str], rows: list[list[object]]) -> None:
    """Print a table that is also Markdown."""
    cells = [[_text(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    sys.stdout.flush()


def _text(cell: object) -> str:
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)


def keep(name: str, results: object) -> None:
    """Write the results beside the machine they were measured on."""
    RESULTS.mkdir(exist_ok=True)
    machine = {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load_1m": os.getloadavg()[0],
    }
    rows = results if isinstance(results, list) else [results]
    plain = [asdict(row) if hasattr(row, "__dataclass_fields__") else row for row in rows]
    (RESULTS / f"{name}.json").write_text(
        json.dumps({"machine": machine, "results": plain}, indent=1)
    )
