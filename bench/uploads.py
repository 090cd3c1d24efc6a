"""Uploads by the store alone, beside botocore, s5cmd and rclone, on one local server.

The server sums what it receives and keeps sizes and checksums (`stocktake.testing.put_server`), so
what is measured is the uploader. Ours sends metadata, a checksum and a condition with every object
and proves the large one by a HEAD; s5cmd and rclone run as they come, with the flags shown. Each
program uploads to an empty bucket, and is held to the right number of objects and bytes.
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

from bench.measure import Cost, keep, python, run, table
from bench.peers import PEERS, install_peers
from stocktake.store import ListQuery, iter_listing, open_store
from stocktake.testing import Server, start_put_server

DATA = Path(__file__).parent / "data" / "uploads"
BUCKET = "bench"


@dataclass(frozen=True)
class Uploaded:
    """The quickest run of one program."""

    task: str
    program: str
    wall_s: float
    cpu_s: float
    server_cpu_s: float


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench uploads", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--file-bytes", type=int, default=4096)
    parser.add_argument("--large-bytes", type=int, default=5 << 30)
    parser.add_argument("--times", type=int, default=3)
    chosen, _ = parser.parse_known_args(argv)
    install_peers()
    DATA.mkdir(parents=True, exist_ok=True)
    requests = each_request()
    small, large = make_sources(chosen.files, chosen.file_bytes, chosen.large_bytes)
    rows = compare("small files", small, chosen.files, chosen.files * chosen.file_bytes, chosen)
    rows += compare("one large file", large, 1, chosen.large_bytes, chosen)
    table(
        f"{chosen.files:,} files of {chosen.file_bytes:,} bytes, and one of "
        f"{chosen.large_bytes:,}; best of {chosen.times}",
        ["task", "program", "wall s", "CPU s", "server CPU s"],
        [list(asdict(row).values()) for row in rows],
    )
    keep(f"uploads-{chosen.files}", [requests, *[asdict(row) for row in rows]])
    return 0


def each_request() -> dict[str, dict[str, float]]:
    """CPU time of single requests."""
    with start_put_server(DATA, BUCKET) as server:
        found = {
            way: json.loads(task("each", server, Path(way)).output) for way in ("own", "botocore")
        }
    own, other = found["own"], found["botocore"]
    rows: list[list[object]] = [
        [kind, own[kind], other[kind], f"{other[kind] / own[kind]:.1f}x"] for kind in own
    ]
    table("CPU ms of one request", ["request", "ours", "botocore", "ratio"], rows)
    return found


def make_sources(files: int, file_bytes: int, large_bytes: int) -> tuple[Path, Path]:
    """A folder of small files, and a large file that takes no room on the disk."""
    folder = DATA / f"small-{files}-{file_bytes}"
    if not folder.is_dir():
        making = folder.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for number in range(files):
            (making / f"{number:07d}.bin").write_bytes(os.urandom(file_bytes))
        making.rename(folder)
    large = DATA / "large.bin"
    with large.open("wb") as file:
        file.truncate(large_bytes)
    return folder, large


def compare(
    name: str, source: Path, objects: int, size_bytes: int, chosen: argparse.Namespace
) -> list[Uploaded]:
    """Every program in turn, the quickest of its runs."""
    best: dict[str, Uploaded] = {}
    for _ in range(chosen.times):
        for program in ("stocktake store", "s5cmd", "rclone"):
            with start_put_server(DATA, BUCKET) as server:
                cost = upload(program, server, source)
                check(server, program, objects, size_bytes)
                row = Uploaded(name, program, cost.wall_s, cost.cpu_s, server_cpu_s(server))
            if program not in best or row.wall_s < best[program].wall_s:
                best[program] = row
    return list(best.values())


def upload(program: str, server: Server, source: Path) -> Cost:
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "stocktake",
        "AWS_SECRET_ACCESS_KEY": "stocktake-secret",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "RCLONE_CONFIG": os.devnull,
    }
    bin_dir = PEERS / "bin"
    if program == "stocktake store":
        return task("small" if source.is_dir() else "large", server, source)
    if program == "s5cmd":
        what = f"{source}/*" if source.is_dir() else str(source)
        command = [str(bin_dir / "s5cmd"), "--log", "error", "--endpoint-url", server.endpoint_url]
        return run(program, [*command, "cp", what, f"s3://{BUCKET}/"])
    remote = (
        f":s3,provider=Other,env_auth=true,region=us-east-1,force_path_style=true,"
        f"list_version=2,no_check_bucket=true,endpoint='{server.endpoint_url}':{BUCKET}"
    )
    flags = ["--transfers", "16", "--s3-chunk-size", "16M", "--s3-upload-concurrency", "4"]
    return run(program, [str(bin_dir / "rclone"), "copy", *flags, str(source), remote])


def task(name: str, server: Server, source: Path) -> Cost:
    return python(name, "bench.upload_task", name, server.endpoint_url, BUCKET, str(source))


def check(server: Server, program: str, objects: int, size_bytes: int) -> None:
    store = open_store(server.options())
    found = [
        one.size_bytes or 0
        for page in iter_listing(store, ListQuery(BUCKET))
        for one in page.objects
    ]
    store.close()
    if (len(found), sum(found)) != (objects, size_bytes):
        raise SystemExit(f"{program} uploaded {len(found):,} objects of {sum(found):,} bytes")


def server_cpu_s(server: Server) -> float:
    """What the server says it took."""
    with urllib.request.urlopen(f"{server.endpoint_url}/_counts") as answer:
        return float(json.load(answer)["cpu_s"])


if __name__ == "__main__":
    sys.exit(main())
