"""`stocktake scan` beside s5cmd, rclone, the AWS command line and obstore, on one local server.

The server lists from a sorted index in a process of its own; every program is asked for all keys
and held to the right count before anything is timed. Peers are installed from
`requirements/peers.txt` with their hashes, into a virtual environment below `.servers/`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.measure import Cost, keep, run, table

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".servers" / "peers"
LOCK = ROOT / "requirements" / "peers.txt"
DATA = Path(__file__).parent / "data" / "peers"
BUCKET = "bench-keys"
SHAPES = ("cloudtrail", "flat-hex")


@dataclass(frozen=True)
class Program:
    """A way to list the bucket, and how to tell from its output how many keys it saw.

    `inner` tells from the output how long the listing alone took, without the program's start.
    """

    name: str
    command: list[str]
    count: Callable[[str], int]
    inner: Callable[[str], float | None] = lambda output: None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench peers", description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--page-delay-ms", type=float, default=0.0)
    chosen, _ = parser.parse_known_args(argv)
    install_peers()
    results = []
    for shape in chosen.shapes.split(","):
        with serving(shape, chosen.objects, chosen.page_delay_ms / 1000) as endpoint:
            rows = [best(program, chosen.objects, chosen.times) for program in programs(endpoint)]
        table(
            f"{chosen.objects:,} objects, {shape}, {chosen.page_delay_ms:g} ms a page, "
            f"best of {chosen.times}",
            ["program", "wall s", "listing alone s", "CPU s"],
            [[row.program, row.wall_s, row.inner_s or "", row.cpu_s] for row in rows],
        )
        results += [{"shape": shape, "objects": chosen.objects, **asdict(row)} for row in rows]
    keep(f"peers-{chosen.objects}", results)
    return 0


def install_peers() -> None:
    """Make the peers' environment unless it is there and made from this lock file."""
    stamp = PEERS / ".lock"
    if stamp.is_file() and stamp.read_bytes() == LOCK.read_bytes():
        return
    shutil.rmtree(PEERS, ignore_errors=True)
    venv.create(PEERS, with_pip=True)
    flags = ["--quiet", "--disable-pip-version-check", "--require-hashes"]
    install = [PEERS / "bin" / "python", "-m", "pip", "install", *flags]
    subprocess.run([*install, "--only-binary", ":all:", "-r", LOCK], check=True)
    stamp.write_bytes(LOCK.read_bytes())


@contextmanager
def serving(shape: str, keys: int, page_delay_s: float = 0.0, *, skip_every: int = 0):
    """A server of listing pages with these keys, in a process of its own; gives its address."""
    arguments = ["--shape", shape, "--keys", str(keys), "--skip-every", str(skip_every)]
    arguments += ["--page-delay-ms", str(page_delay_s * 1000)]
    process = subprocess.Popen(
        [sys.executable, "-m", "stocktake.testing.page_server", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        endpoint = process.stdout.readline().strip()
        os.environ |= {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "stocktake",
            "AWS_SECRET_ACCESS_KEY": "stocktake-secret",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "RCLONE_CONFIG": os.devnull,
        }
        yield endpoint
    finally:
        process.terminate()
        process.wait()


def programs(endpoint: str) -> list[Program]:
    """Every program, ours last; the warm scan uses the snapshot of the cold one."""
    bin_dir = PEERS / "bin"
    catalog = DATA / "catalog"
    shutil.rmtree(catalog, ignore_errors=True)
    remote = (
        f":s3,provider=Other,env_auth=true,region=us-east-1,force_path_style=true,list_version=2,"
        f"endpoint='{endpoint}':{BUCKET}"
    )
    scan = [str(Path(sys.executable).with_name("stocktake")), "scan", f"s3://{BUCKET}", "--json"]
    scan += ["--quiet", "--catalog"]
    listed = [sys.executable, "-m", "bench.tasks", "list_keys", endpoint, BUCKET]
    arrow = [str(bin_dir / "python"), str(ROOT / "bench" / "peer_obstore.py"), endpoint, BUCKET]
    aws = [str(bin_dir / "aws"), "s3", "ls", "--recursive", f"s3://{BUCKET}"]
    s5cmd = [str(bin_dir / "s5cmd"), "--endpoint-url", endpoint]
    recursive = [str(bin_dir / "rclone"), "lsf", "-R", "--files-only"]
    return [
        Program("aws s3 ls --recursive", aws, lines),
        Program("s5cmd ls", [*s5cmd, "ls", f"s3://{BUCKET}/*"], lines),
        Program("rclone lsf -R", [*recursive, remote], lines),
        Program("rclone lsf -R --fast-list", [*recursive, "--fast-list", remote], lines),
        Program("obstore list, Arrow", arrow, counted, inner),
        Program("stocktake lister alone", listed, counted, inner),
        Program("stocktake scan, cold", [*scan, str(catalog / "cold-{n}")], scanned, taken),
        Program("stocktake scan, warm", [*scan, str(catalog / "warm")], scanned, taken),
    ]


@dataclass(frozen=True)
class Timed:
    """The quickest run of a program."""

    program: str
    wall_s: float
    inner_s: float | None
    cpu_s: float
    rss_mb: float


def best(program: Program, objects: int, times: int) -> Timed:
    """The quickest of several runs, after one that is only counted."""
    costs: list[Cost] = []
    for number in range(times + 1):
        command = [word.replace("{n}", str(number)) for word in program.command]
        cost = run(program.name, command)
        seen = program.count(cost.output)
        if seen != objects:
            raise SystemExit(f"{program.name} saw {seen:,} of {objects:,} keys")
        costs.append(cost)
    quickest = min(costs[1:], key=lambda cost: cost.wall_s)
    inner_s = program.inner(quickest.output)
    return Timed(program.name, quickest.wall_s, inner_s, quickest.cpu_s, quickest.rss_mb)


def lines(output: str) -> int:
    return output.count("\n")


def counted(output: str) -> int:
    return int(json.loads(output)["rows"])


def inner(output: str) -> float | None:
    return float(json.loads(output)["listing_s"])


def taken(output: str) -> float | None:
    return float(json.loads(output)["metrics"]["wall_s"])


def scanned(output: str) -> int:
    return int(json.loads(output)["stats"]["rows"])
