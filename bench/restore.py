"""`stocktake manifest restore` and `verify` beside s5cmd, rclone and aws: 10,000 small files.

Whole commands, on one local server that counts requests. Ours compares every byte with the SHA-256
and CRC64NVME of the manifest, has each file on the disk (fsync) before it gets its name, and notes
the run; the others do neither. "again" is the same command over a folder that is there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.manifests import counts
from bench.measure import Cost, keep, run, table
from bench.peers import PEERS, install_peers
from bench.uploads import BUCKET, DATA
from stocktake.testing import Server, start_put_server

FOLDER = DATA / "restore-folder"
CATALOG = DATA / "restore-catalog"
TARGET = DATA / "restored"
SOURCE = f"s3://{BUCKET}/set/"
OURS = "stocktake manifest restore"
PROGRAMS = (OURS, "rclone copy", "s5cmd cp", "aws s3 cp")
LEVELS = ("list", "head", "full", "local")


@dataclass(frozen=True)
class Restored:
    """One command of one program."""

    phase: str
    program: str
    wall_s: float
    cpu_s: float
    rss_mb: float
    calls: str


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench restore", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--file-bytes", type=int, default=4096)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", action="append", choices=PROGRAMS)
    chosen, _ = parser.parse_known_args(argv)
    install_peers()
    DATA.mkdir(parents=True, exist_ok=True)
    make_folder(chosen.files, chosen.file_bytes)
    shutil.rmtree(CATALOG, ignore_errors=True)
    best: dict[tuple[str, str], Restored] = {}
    with start_put_server(DATA, BUCKET) as server:
        fill(server)
        for _ in range(chosen.times):
            for row in one_round(server, chosen):
                at = (row.phase, row.program)
                if at not in best or row.wall_s < best[at].wall_s:
                    best[at] = row
    table(
        f"{chosen.files:,} files of {chosen.file_bytes:,} bytes; best of {chosen.times}",
        ["phase", "program", "wall s", "CPU s", "MB", "calls"],
        [list(asdict(row).values()) for row in best.values()],
    )
    keep(f"restore-{chosen.files}", [asdict(row) for row in best.values()])
    return 0


def make_folder(files: int, file_bytes: int) -> None:
    """Files of their own bytes, a hundred in a folder."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for number in range(files):
        folder = FOLDER / f"{number // 100:04}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06}.bin").write_bytes(number.to_bytes(8, "big") * (file_bytes // 8))


def fill(server: Server) -> None:
    """Put the folder into the bucket."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "stocktake",
        "AWS_SECRET_ACCESS_KEY": "stocktake-secret",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "RCLONE_CONFIG": os.devnull,
    }
    command = [str(Path(sys.executable).with_name("stocktake")), "sync", str(FOLDER), SOURCE]
    command += ["--dataset", "bench", "--catalog", str(CATALOG), "--quiet"]
    run("stocktake sync", [*command, "--endpoint-url", server.endpoint_url])


def one_round(server: Server, chosen: argparse.Namespace) -> list[Restored]:
    """Every program restores to an empty folder and once more; then ours verifies."""
    rows = []
    for program in chosen.only or PROGRAMS:
        shutil.rmtree(TARGET, ignore_errors=True)
        TARGET.mkdir()
        command = restore_command(program, server)
        rows += [measured(phase, program, server, command) for phase in ("restore", "again")]
        files = sum(path.is_file() for path in TARGET.rglob("*"))
        if files != chosen.files:
            raise SystemExit(f"{program} restored {files:,} files, not {chosen.files:,}")
    for level in LEVELS:
        command = [*ours(server), "verify", "bench", "--level", level, "--quiet"]
        command += ["--folder", str(FOLDER)] if level == "local" else []
        rows.append(measured(f"verify by {level}", "stocktake manifest verify", server, command))
    return rows


def measured(phase: str, program: str, server: Server, command: list[str]) -> Restored:
    """Run a command and count its requests."""
    before = counts(server)
    cost: Cost = run(program, command)
    now = counts(server)
    calls = {name: now[name] - before.get(name, 0) for name in now}
    told = ", ".join(f"{count} {name}" for name, count in calls.items() if count)
    return Restored(phase, program, cost.wall_s, cost.cpu_s, cost.rss_mb, told)


def ours(server: Server) -> list[str]:
    """The beginning of a command of ours."""
    program = str(Path(sys.executable).with_name("stocktake"))
    options = ["--catalog", str(CATALOG), "--endpoint-url", server.endpoint_url]
    # options of a command come behind its name: a shell puts them in place
    return ["sh", "-c", f'exec "{program}" manifest "$@" {" ".join(options)}', "stocktake"]


def restore_command(program: str, server: Server) -> list[str]:
    """How a program is asked to bring everything down."""
    bin_dir = PEERS / "bin"
    if program == OURS:
        return [*ours(server), "restore", "bench", "--to", str(TARGET), "--quiet"]
    if program.startswith("s5cmd"):
        command = [str(bin_dir / "s5cmd"), "--log", "error", "--endpoint-url", server.endpoint_url]
        return [*command, "cp", f"{SOURCE}*", f"{TARGET}/"]
    if program.startswith("aws"):
        command = [str(bin_dir / "aws"), "--endpoint-url", server.endpoint_url]
        return [*command, "s3", "cp", "--recursive", "--only-show-errors", SOURCE, str(TARGET)]
    remote = (
        f":s3,provider=Other,env_auth=true,region=us-east-1,force_path_style=true,"
        f"list_version=2,no_check_bucket=true,endpoint='{server.endpoint_url}':{BUCKET}/set"
    )
    return [str(bin_dir / "rclone"), "copy", "--transfers", "16", remote, str(TARGET)]
