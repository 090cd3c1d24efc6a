"""`stocktake sync` beside rclone, s5cmd and aws: a folder that is new, has 1 % changed, or nothing.

Whole commands, on one local server that counts requests. Ours hashes every file, sends conditional
writes with checksums, and keeps the manifest in SQLite on disk; the others compare by size and
time (rclone here by checksum), and keep nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.measure import Cost, keep, run, table
from bench.peers import PEERS, install_peers
from bench.ship_peers import check
from bench.uploads import BUCKET, DATA
from stocktake.testing import Server, start_put_server

OURS = "stocktake sync"
PROGRAMS = (OURS, "rclone sync --checksum", "s5cmd sync", "aws s3 sync")
PHASES = ("first", "nothing", "1 % changed", "nothing again")
FOLDER = DATA / f"sync-folder-{os.getpid()}"
CATALOG = DATA / f"sync-catalog-{os.getpid()}"


@dataclass(frozen=True)
class Synced:
    """One command of one program."""

    phase: str
    program: str
    wall_s: float
    cpu_s: float
    rss_mb: float
    requests: int
    calls: str


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench sync", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--file-bytes", type=int, default=4096)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--delay-ms", type=float, default=0.0, help="of every answer")
    parser.add_argument("--only", action="append", choices=PROGRAMS)
    chosen, _ = parser.parse_known_args(argv)
    install_peers()
    DATA.mkdir(parents=True, exist_ok=True)
    best: dict[tuple[str, str], Synced] = {}
    for _ in range(chosen.times):
        for program in chosen.only or PROGRAMS:
            for row in phases(program, chosen):
                at = (row.phase, row.program)
                if at not in best or row.wall_s < best[at].wall_s:
                    best[at] = row
    rows = sorted(best.values(), key=lambda row: PHASES.index(row.phase))
    table(
        f"{chosen.files:,} files of {chosen.file_bytes:,} bytes; {chosen.delay_ms:g} ms an answer; "
        f"best of {chosen.times}",
        ["phase", "program", "wall s", "CPU s", "MB", "requests", "calls"],
        [list(asdict(row).values()) for row in rows],
    )
    keep(f"sync-{chosen.files}-{chosen.delay_ms:g}ms", [asdict(row) for row in rows])
    return 0


def phases(program: str, chosen: argparse.Namespace) -> list[Synced]:
    """A new folder and an empty bucket, then the same again, with changes, and again."""
    make_folder(chosen.files, chosen.file_bytes)
    shutil.rmtree(CATALOG, ignore_errors=True)
    rows = []
    with start_put_server(DATA, BUCKET, delay_ms=chosen.delay_ms) as server:
        before = counts(server)
        for phase in PHASES:
            if phase == "1 % changed":
                change(chosen.files)
            cost = sync(program, server)
            now = counts(server)
            calls = {name: now[name] - before.get(name, 0) for name in now}
            told = ", ".join(f"{count} {name}" for name, count in calls.items() if count)
            before = now
            rows.append(
                Synced(
                    phase,
                    program,
                    cost.wall_s,
                    cost.cpu_s,
                    cost.rss_mb,
                    sum(calls.values()),
                    told,
                )
            )
        check(server, program, chosen.files)
    for folder in (FOLDER, CATALOG):
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def make_folder(files: int, file_bytes: int) -> None:
    """Files of their own bytes, a hundred in a folder."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for number in range(files):
        if number % 100 == 0:
            (FOLDER / f"{number // 100:04}").mkdir(parents=True)
        (FOLDER / f"{number // 100:04}" / f"{number:06}.bin").write_bytes(
            number.to_bytes(8, "big") * (file_bytes // 8)
        )


def change(files: int) -> None:
    """Every hundredth file gets other bytes of the same size."""
    for number in range(0, files, 100):
        path = FOLDER / f"{number // 100:04}" / f"{number:06}.bin"
        path.write_bytes(b"changed!" * (path.stat().st_size // 8))


def counts(server: Server) -> dict[str, int]:
    """Requests so far, by operation."""
    with urllib.request.urlopen(f"{server.endpoint_url}/_counts", timeout=10) as answer:
        said = json.load(answer)
    return dict(said.get("requests", said.get("calls", {})))


def sync(program: str, server: Server) -> Cost:
    """One command from start to end."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "stocktake",
        "AWS_SECRET_ACCESS_KEY": "stocktake-secret",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "RCLONE_CONFIG": os.devnull,
    }
    bin_dir, target = PEERS / "bin", f"s3://{BUCKET}/set/"
    if program == OURS:
        command = [str(Path(sys.executable).with_name("stocktake")), "sync", str(FOLDER), target]
        command += ["--dataset", "bench", "--catalog", str(CATALOG), "--quiet"]
        return run(program, [*command, "--endpoint-url", server.endpoint_url])
    if program.startswith("s5cmd"):
        command = [str(bin_dir / "s5cmd"), "--log", "error", "--endpoint-url", server.endpoint_url]
        return run(program, [*command, "sync", f"{FOLDER}/", target])
    if program.startswith("aws"):
        command = [str(bin_dir / "aws"), "--endpoint-url", server.endpoint_url]
        return run(program, [*command, "s3", "sync", "--only-show-errors", str(FOLDER), target])
    remote = (
        f":s3,provider=Other,env_auth=true,region=us-east-1,force_path_style=true,"
        f"list_version=2,no_check_bucket=true,endpoint='{server.endpoint_url}':{BUCKET}/set"
    )
    command = [str(bin_dir / "rclone"), "sync", "--checksum", "--transfers", "16"]
    return run(program, [*command, str(FOLDER), remote])
