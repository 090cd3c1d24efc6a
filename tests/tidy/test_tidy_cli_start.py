"""The command answers at once: help does not load what only work needs."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

STARTS = 5
HELP_S_MAX = 0.3
HEAVY = ("pyarrow", "duckdb", "numpy", "sqlalchemy", "alembic", "botocore", "rich.progress")


def help_cpu_s() -> float:
    """CPU seconds of one `stocktake --help`: what it costs on a machine that is not busy."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = Path(sys.executable).with_name("stocktake")
    subprocess.run([program, "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def test_help_takes_less_than_300_ms() -> None:
    help_cpu_s()  # the first start may write compiled files
    assert statistics.median(help_cpu_s() for _ in range(STARTS)) < HELP_S_MAX


def test_help_loads_no_engine() -> None:
    script = (
        "import sys; from stocktake.cli._main import run; run(['--help']); "
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    loaded = set(done.stderr.decode().split())
    assert loaded & set(HEAVY) == set()


@pytest.mark.parametrize("room", ["store", "events", "listing", "catalog", "ingest"])
def test_importing_a_room_does_not_bring_the_s3_client_in(room: str) -> None:
    """It takes 0.3 s, which commands that only read the catalog do not pay."""
    script = f"import sys, stocktake.{room}; print('botocore' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
