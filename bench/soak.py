"""A shipper that runs for a long time: memory, descriptors and threads must stay flat.

`stocktake ship run` as a process of its own, a server that keeps sizes only, and files of all kinds
that arrive at random, some of them broken; shipped ones are removed after a while, as people do. A
worker is killed now and then. What is printed is the slope of the second half of each series.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.measure import keep, table
from stocktake.testing import start_put_server

DATA = Path(__file__).parent / "data" / "soak"
PROGRAM = Path(sys.executable).with_name("stocktake")
BUCKET = "soak"
FILES_KEPT = 2000
KIB = 1 << 10


@dataclass(frozen=True)
class Sample:
    """The processes at one instant."""

    at_s: float
    daemon_mb: float
    daemon_fds: int
    daemon_threads: int
    workers_mb: float
    workers_fds: int
    workers: int
    ledger_mb: float
    shipped: int


class Arrivals:
    """Writes files of all kinds, and removes old ones."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self._folder = folder
        self._dice = dice
        self._there: list[Path] = []
        self._text = "".join(chr(97 + dice.randrange(26)) for _ in range(4096))
        self.written = 0

    def some(self, files: int) -> None:
        for _ in range(files):
            self.written += 1
            path = self._folder / f"d{self.written % 50}" / self._name()
            path.parent.mkdir(exist_ok=True)
            part = path.with_name(path.name + ".part")
            part.write_bytes(self._body(path.suffix))
            part.rename(path)
            self._there.append(path)
        for path in self._there[:-FILES_KEPT]:
            path.unlink(missing_ok=True)
        del self._there[:-FILES_KEPT]
        shutil.rmtree(self._folder / ".stocktake-failed", ignore_errors=True)

    def _name(self) -> str:
        weights = {"txt": 80, "csv": 8, "jsonl": 4, "zip": 4, "gz": 3, "bin": 1}
        (ending,) = self._dice.choices(list(weights), list(weights.values()))
        return f"f{self.written}.{'tar.gz' if ending == 'gz' else ending}"

    def _body(self, suffix: str) -> bytes:
        rows = self._dice.randrange(10, 20_000)
        if suffix == ".csv":
            bad = self._dice.random() < 0.05
            lines = (
                f"{n},{n * 3 % 97:05d},{self._text[n % 4000 : n % 4000 + 20]}" for n in range(rows)
            )
            return ("id,code,text\n" + "\n".join(lines) + ("\n1,2\n" if bad else "\n")).encode()
        if suffix == ".jsonl":
            return "".join(f'{{"id":{n},"t":"{self._text[:20]}"}}\n' for n in range(rows)).encode()
        if suffix == ".zip":
            return self._zip()
        if suffix == ".gz":
            return self._tar()
        if suffix == ".bin":
            return self._dice.randbytes(self._dice.randrange(8 << 20, 30 << 20))
        return self._dice.randbytes(self._dice.randrange(0, 64 * KIB))

    def _zip(self) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as writing:
            for number in range(self._dice.randrange(1, 30)):
                writing.writestr(f"m/{number}.txt", self._text * self._dice.randrange(1, 20))
            writing.writestr("t.csv", "a,b\n" + "1,2\n" * 1000)
        body = packed.getvalue()
        return body[: len(body) // 2] if self._dice.random() < 0.02 else body

    def _tar(self) -> bytes:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as writing:
            for number in range(self._dice.randrange(1, 10)):
                entry = tarfile.TarInfo(f"m{number}.dat")
                entry.size = self._dice.randrange(0, 200 * KIB)
                writing.addfile(entry, io.BytesIO(self._dice.randbytes(entry.size)))
        return packed.getvalue()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench soak", description=__doc__)
    parser.add_argument("--duration", type=float, default=60.0, help="seconds")
    parser.add_argument("--files-per-s", type=float, default=40.0)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two samples")
    parser.add_argument("--kill-every", type=float, default=0.0, help="kill a worker so often")
    chosen, _ = parser.parse_known_args(argv)
    shutil.rmtree(DATA, ignore_errors=True)
    (DATA / "in").mkdir(parents=True)
    server = start_put_server(DATA, BUCKET)
    try:
        samples = soak(server.endpoint_url, chosen)
    finally:
        server.stop()
    report(samples)
    keep("soak", [asdict(sample) for sample in samples])
    return 0


def soak(endpoint_url: str, chosen: argparse.Namespace) -> list[Sample]:
    """Run it; gives the samples."""
    dice = random.Random(7)
    arrivals = Arrivals(DATA / "in", dice)
    samples: list[Sample] = []
    with (DATA / "log.jsonl").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, "ship", "run", DATA / "in", f"s3://{BUCKET}/", "--log-format", "json"],
            env=os.environ
            | {
                "STOCKTAKE_ENDPOINT_URL": endpoint_url,
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "stocktake",
                "AWS_SECRET_ACCESS_KEY": "stocktake-secret",
                "STOCKTAKE_SHIP_STATE_FOLDER": str(DATA / "state"),
                "STOCKTAKE_SHIP_SETTLE_S": "0.5",
                "STOCKTAKE_SHIP_INCOMPLETE_GRACE_S": "5",
                "STOCKTAKE_SHIP_MANIFEST_INTERVAL_S": "10",
            },
            stderr=log,
        )
        began_s = sampled_s = killed_s = time.monotonic()
        while (now_s := time.monotonic()) - began_s < chosen.duration:
            due = int((now_s - began_s) * chosen.files_per_s) - arrivals.written
            arrivals.some(max(0, due))
            if now_s - sampled_s >= chosen.every:
                sampled_s = now_s
                samples.append(sample(process.pid, now_s - began_s))
            if chosen.kill_every and now_s - killed_s >= chosen.kill_every:
                killed_s = now_s
                os.kill(dice.choice(children(process.pid)), signal.SIGKILL)
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    said = (DATA / "log.jsonl").read_text().count('"event": "uploaded"')
    print(f"exit code {code}; {arrivals.written:,} files arrived, {said:,} were shipped")
    return samples


def sample(pid: int, at_s: float) -> Sample:
    """Look at the processes."""
    workers = children(pid)
    shipped = (DATA / "log.jsonl").read_bytes().count(b'"event": "uploaded"')
    ledger = sum(path.stat().st_size for path in (DATA / "state").glob("ledger.db*"))
    return Sample(
        round(at_s, 1),
        rss_mb(pid),
        fds(pid),
        len(list(Path(f"/proc/{pid}/task").iterdir())),
        round(sum(rss_mb(worker) for worker in workers), 1),
        sum(fds(worker) for worker in workers),
        len(workers),
        round(ledger / (1 << 20), 1),
        shipped,
    )


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def rss_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), 1)


def fds(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0


def slope_per_hour(samples: list[Sample], name: str) -> float:
    """Least squares over these samples."""
    times = [one.at_s / 3600 for one in samples]
    values = [float(getattr(one, name)) for one in samples]
    mean_t, mean_v = sum(times) / len(times), sum(values) / len(values)
    spread = sum((t - mean_t) ** 2 for t in times)
    return sum((t - mean_t) * (v - mean_v) for t, v in zip(times, values, strict=True)) / spread


def report(samples: list[Sample]) -> None:
    """Print each series at a few instants, and the slope of its second half."""
    half = samples[len(samples) // 2 :]
    rows: list[list[object]] = []
    for name in ("daemon_mb", "daemon_fds", "daemon_threads", "workers_mb", "workers_fds"):
        values = [getattr(one, name) for one in samples]
        middle = values[len(values) // 2 :]
        rows.append(
            [
                name,
                values[0],
                min(middle),
                max(middle),
                values[-1],
                f"{slope_per_hour(half, name):+.1f}",
            ]
        )
    head = ["series", "first", "min 2nd half", "max 2nd half", "last", "slope per hour"]
    table(f"{samples[-1].at_s:.0f} s, {samples[-1].shipped:,} files shipped", head, rows)


if __name__ == "__main__":
    sys.exit(main())
