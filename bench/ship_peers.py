"""`stocktake ship once` beside s5cmd and rclone: 10,000 small files, and one large one.

The same server, files and calls as `bench uploads`, but the whole command: start-up, scan, settling
(switched off here: `--settle-s 0`), two hashes of every file, the ledger on disk, the manifest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from bench.measure import Cost, keep, run, table
from bench.peers import install_peers
from bench.uploads import BUCKET, DATA, Uploaded, make_sources, server_cpu_s, upload
from stocktake.store import ListQuery, iter_listing, open_store
from stocktake.testing import Server, start_put_server

STATE = DATA / "ship-state"
OURS = "stocktake ship once"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench ship-peers", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--file-bytes", type=int, default=4096)
    parser.add_argument("--large-bytes", type=int, default=5 << 30)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--delay-ms", type=float, default=0.0, help="of every answer")
    parser.add_argument("--only", choices=["small", "large"])
    chosen, _ = parser.parse_known_args(argv)
    install_peers()
    DATA.mkdir(parents=True, exist_ok=True)
    small, large = make_sources(chosen.files, chosen.file_bytes, chosen.large_bytes)
    rows: list[Uploaded] = []
    if chosen.only != "large":
        rows += compare("small files", small, chosen.files, chosen)
    if chosen.only != "small":
        rows += compare("one large file", large, 1, chosen)
    table(
        f"{chosen.files:,} files of {chosen.file_bytes:,} bytes, and one of "
        f"{chosen.large_bytes:,}; {chosen.delay_ms:g} ms an answer; best of {chosen.times}",
        ["task", "program", "wall s", "CPU s", "server CPU s"],
        [list(asdict(row).values()) for row in rows],
    )
    keep(f"ship-peers-{chosen.files}-{chosen.delay_ms:g}ms", [asdict(row) for row in rows])
    return 0


def compare(name: str, source: Path, objects: int, chosen: argparse.Namespace) -> list[Uploaded]:
    """Every program in turn, some rounds of all, so that a busy minute hits all alike."""
    best: dict[str, Uploaded] = {}
    for _ in range(chosen.times):
        for program in (OURS, "s5cmd", "rclone"):
            with start_put_server(DATA, BUCKET, delay_ms=chosen.delay_ms) as server:
                cost = ship(server, source) if program == OURS else upload(program, server, source)
                check(server, program, objects)
                row = Uploaded(name, program, cost.wall_s, cost.cpu_s, server_cpu_s(server))
            if program not in best or row.wall_s < best[program].wall_s:
                best[program] = row
    return list(best.values())


def ship(server: Server, source: Path) -> Cost:
    """Our command, with a new ledger; a single file is shipped from a folder of its own."""
    shutil.rmtree(STATE, ignore_errors=True)
    folder = source
    if source.is_file():
        folder = DATA / "large-folder"
        folder.mkdir(exist_ok=True)
        (folder / source.name).unlink(missing_ok=True)
        (folder / source.name).hardlink_to(source)
    os.environ |= {
        "AWS_ACCESS_KEY_ID": server.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.credentials.secret_access_key,
        "AWS_REGION": "us-east-1",
    }
    command = [str(Path(sys.executable).with_name("stocktake")), "ship", "once", str(folder)]
    command += [f"s3://{BUCKET}", "--endpoint-url", server.endpoint_url, "--quiet"]
    command += ["--settle-s", "0", "--state-folder", str(STATE)]
    return run(OURS, command)


def check(server: Server, program: str, objects: int) -> None:
    """All objects are there, beside what we keep for ourselves."""
    store = open_store(server.options())
    keys = [one.key for page in iter_listing(store, ListQuery(BUCKET)) for one in page.objects]
    store.close()
    found = sum(not key.startswith(".stocktake/") for key in keys)
    if found != objects:
        raise SystemExit(f"{program} uploaded {found:,} objects, not {objects:,}")
