"""Work of `bench`: a synthetic report, a local store, and an import in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stocktake.cli._run import Run
from stocktake.cli._text import count_text, size_text
from stocktake.errors import InvalidSettingError, StocktakeError
from stocktake.inventory import parse_format
from stocktake.model import S3Url
from stocktake.testing import (
    DirectoryStore,
    ReportLook,
    SyntheticBucket,
    start_fake_s3,
    write_synthetic_report,
)

_BUCKET = "bench-data"
_REPORTS = "bench-reports"
_RSS_UNIT_BYTES = 1024 if sys.platform == "linux" else 1


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What `bench` was asked for."""

    rows: int
    file_format: str
    parts: int
    directory: str


def run_bench(run: Run, request: BenchRequest) -> int:
    """Answer `bench`."""
    root = Path(request.directory).absolute()
    look = ReportLook(file_format=parse_format(request.file_format), parts=request.parts)
    if root.exists():
        raise InvalidSettingError(
            f"`{root}` is there already",
            hint="it would be removed at the end: name another with --dir",
            path=str(root),
        )
    try:
        facts = _measure(run, request, look, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if run.out.json:
        run.out.document(facts)
        return 0
    run.out.line(
        f"{count_text(facts['rows'])} rows of {facts['format']} in {facts['parts']} parts, "
        f"{size_text(facts['report_bytes'])}"
    )
    run.out.line(f"  time         {facts['wall_s']:.2f} s")
    run.out.line(f"  CPU          {facts['cpu_s']:.2f} s on {facts['cores']} cores")
    run.out.line(f"  peak memory  {size_text(facts['peak_rss_bytes'])}")
    run.out.line(f"  speed        {count_text(facts['rows_per_s'])} rows/s")
    run.out.note("the server shares the cores; start-up of the process is in it")
    return 0


def _measure(run: Run, request: BenchRequest, look: ReportLook, root: Path) -> dict[str, Any]:
    bucket = SyntheticBucket(rows=request.rows, name=_BUCKET)
    with run.watch() as progress:
        progress.phase("generating the report", None, "rows")
        written = write_synthetic_report(
            bucket, DirectoryStore(root / "store"), S3Url(_REPORTS), look
        )
        progress.advance(written.rows)
        with start_fake_s3(root, files=root / "store") as server:
            progress.phase("importing it", None, "rows")
            environment = {**os.environ, **server.environment()}
            command = _command(look, root)
            usage = _run_measured(run, command, environment, root / "import.json")
            progress.advance(written.rows)
    return {
        "rows": written.rows,
        "format": look.file_format.value.lower(),
        "parts": len(written.parts),
        "report_bytes": written.size_bytes,
        **usage,
        "rows_per_s": round(written.rows / usage["wall_s"]),
        "cores": os.cpu_count(),
    }


def _command(look: ReportLook, root: Path) -> list[str]:
    address = f"s3://{_REPORTS}/{_BUCKET}/{look.config_id}"
    catalog = ["--catalog", str(root / "catalog")]
    return [sys.executable, "-m", "stocktake", "inventory", "import", address, "--json", *catalog]


def _run_measured(
    run: Run, command: list[str], environment: dict[str, str], answer: Path
) -> dict[str, Any]:
    """Run a command to its end; wall time, CPU and peak memory of its process."""
    started_s = run.clock.monotonic_s()
    with answer.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--quiet"], env=environment, stdout=sink, cwd=answer.parent
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = run.clock.monotonic_s() - started_s
    if process.returncode != 0:
        error = json.loads(answer.read_text() or "{}").get("error", {})
        raise StocktakeError(
            f"the import ended with {process.returncode}: {error.get('message', 'no answer')}",
            hint=error.get("hint"),
        )
    return {
        "wall_s": round(wall_s, 3),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_rss_bytes": usage.ru_maxrss * _RSS_UNIT_BYTES,
    }
