"""Archives read to their verified end, beside the standard library and py7zr; and what bombs take.

CPU seconds of one thread, as MB of content per second. The rounds are interleaved and the fastest
counts, because machines are noisy. Memory is that of a process of its own that reads one archive.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import lzma
import random
import struct
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import inflate64
import py7zr
import zstandard

from bench.measure import keep, python, table
from stocktake.clock import SystemClock
from stocktake.unpack import UnpackLimits, walk

PIECE = 1 << 20
LIMITS = UnpackLimits(member_ratio_max=1e9)
LZMA2 = [{"id": py7zr.FILTER_LZMA2, "preset": 1}]


def rows(size_mb: int) -> bytes:
    """Text of a table: numbers, codes, words; deflate makes a fifth of it."""
    draw = random.Random(5)
    words = [f"{draw.getrandbits(40):x}" for _ in range(5000)]
    block = "".join(
        f"{n},{draw.randrange(10**6):06},{draw.random() * 1000:.2f},2026-01-{n % 28 + 1:02},"
        f"{draw.choice(words)} {draw.choice(words)}\n"
        for n in range(60_000)
    ).encode()
    return (block * (size_mb * 1_000_000 // len(block) + 1))[: size_mb * 1_000_000]


def zip_of(path: Path, members: dict[str, bytes], method: int) -> None:
    with zipfile.ZipFile(path, "w", method, compresslevel=6) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def deflate64_zip(path: Path, content: bytes) -> None:
    deflater = inflate64.Deflater()
    packed = deflater.deflate(content) + deflater.flush()
    numbers = (zlib.crc32(content), len(packed), len(content), 1, 0)
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 9, 0, 0x21, *numbers) + b"a"
    fields = (0x314, 20, 0, 9, 0, 0x21, *numbers, 0, 0, 0, 0, 0)
    record = struct.pack("<4s6H3L5H2L", b"PK\1\2", *fields) + b"a"
    sizes = (len(record), len(head) + len(packed))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, *sizes, 0)
    path.write_bytes(head + packed + record + end)


def tar_of(members: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return held.getvalue()


def seven_zip_of(path: Path, members: dict[str, bytes]) -> None:
    with py7zr.SevenZipFile(path, "w", filters=LZMA2) as archive:
        for name, content in members.items():
            archive.writestr(content, name)


def ours(path: Path) -> int:
    count = 0
    with path.open("rb") as file, walk(file, path.name, LIMITS, clock=SystemClock()) as members:
        for opened in members:
            for block in opened.blocks():
                count += len(block)
    return count


def pieces(file: Any) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def by_zipfile(path: Path) -> int:
    count = 0
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                count += sum(map(len, pieces(member)))
    return count


def by_tarfile(path: Path) -> int:
    count = 0
    with tarfile.open(path, "r|*") as archive:
        for info in archive:
            member = archive.extractfile(info)
            count += sum(map(len, pieces(member)))
    return count


def by_opener(opener: Callable[[Path], Any]) -> Callable[[Path], int]:
    def read(path: Path) -> int:
        with opener(path) as file:
            return sum(map(len, pieces(file)))

    return read


class Counting(py7zr.io.Py7zIO):
    """Where py7zr writes to: counts."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, data: Any) -> int:
        self.count += len(data)
        return len(data)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        pass

    def size(self) -> int:
        return self.count


class Factory(py7zr.io.WriterFactory):
    def __init__(self) -> None:
        self.made: list[Counting] = []

    def create(self, filename: str) -> Counting:
        self.made.append(Counting())
        return self.made[-1]


def by_py7zr(path: Path) -> int:
    factory = Factory()
    with py7zr.SevenZipFile(path) as archive:
        archive.extractall(factory=factory)
    return sum(made.count for made in factory.made)


def by_zstandard(path: Path) -> int:
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        return sum(map(len, pieces(reader)))


def make(folder: Path, size_mb: int, members: int) -> list[tuple[str, Path, str, Any]]:
    """Each archive, and who else reads it."""
    content = rows(size_mb)
    slow = content[: len(content) // 4]
    small = {f"folder-{n % 100}/{n}.txt": b"%d\n" % n * 20 for n in range(members)}
    one = {"rows.csv": content}
    works: list[tuple[str, Path, str, Any]] = [
        ("gz", folder / "a.csv.gz", "gzip", by_opener(gzip.open)),
        ("bz2", folder / "a.csv.bz2", "bz2", by_opener(bz2.open)),
        ("xz", folder / "a.csv.xz", "lzma", by_opener(lzma.open)),
        ("zst", folder / "a.csv.zst", "zstandard", by_zstandard),
        ("zip, deflate", folder / "a.zip", "zipfile", by_zipfile),
        ("zip, stored", folder / "s.zip", "zipfile", by_zipfile),
        ("zip, deflate64", folder / "d.zip", "", None),
        ("tar", folder / "a.tar", "tarfile", by_tarfile),
        ("tar.gz", folder / "a.tar.gz", "tarfile", by_tarfile),
        ("7z, LZMA2", folder / "a.7z", "py7zr", by_py7zr),
        (f"zip, {members:,} small", folder / "m.zip", "zipfile", by_zipfile),
        (f"tar, {members:,} small", folder / "m.tar", "tarfile", by_tarfile),
    ]
    tar = tar_of(one)
    (folder / "a.csv.gz").write_bytes(gzip.compress(content, 6))
    (folder / "a.csv.bz2").write_bytes(bz2.compress(slow))
    (folder / "a.csv.xz").write_bytes(lzma.compress(slow, preset=1))
    (folder / "a.csv.zst").write_bytes(zstandard.ZstdCompressor(3).compress(content))
    zip_of(folder / "a.zip", one, zipfile.ZIP_DEFLATED)
    zip_of(folder / "s.zip", one, zipfile.ZIP_STORED)
    deflate64_zip(folder / "d.zip", slow)
    (folder / "a.tar").write_bytes(tar)
    (folder / "a.tar.gz").write_bytes(gzip.compress(tar, 6))
    seven_zip_of(folder / "a.7z", {"rows.csv": slow})
    zip_of(folder / "m.zip", small, zipfile.ZIP_DEFLATED)
    (folder / "m.tar").write_bytes(tar_of(small))
    return works


def measure(
    works: list[tuple[str, Path, str, Any]], rounds: int
) -> dict[tuple[str, str], tuple[float, int]]:
    """Least CPU seconds and the bytes read, by archive and reader."""
    least: dict[tuple[str, str], tuple[float, int]] = {}
    for _ in range(rounds):
        for title, path, peer, by_peer in works:
            for reader, read in (("ours", ours), (peer, by_peer)):
                if read is None:
                    continue
                started = time.process_time()
                count = read(path)
                spent = time.process_time() - started
                known = least.get((title, reader), (spent, count))
                least[title, reader] = (min(spent, known[0]), count)
    return least


def make_bombs(folder: Path, size_mb: int) -> list[Path]:
    zeros = bytes(1 << 20)
    sparse = folder / "zeros"
    with sparse.open("wb") as file:
        file.truncate(size_mb << 20)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(sparse, "zeros")
    with py7zr.SevenZipFile(folder / "bomb.7z", "w", filters=LZMA2) as seven:
        seven.write(sparse, "zeros")
    with gzip.open(folder / "bomb.gz", "wb", 1) as packed:
        for _ in range(size_mb):
            packed.write(zeros)
    return [folder / name for name in ("bomb.zip", "bomb.7z", "bomb.gz")]


def peak_mb() -> float:
    """What this process had in memory at most; rusage also counts what its parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def report(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    works = make(folder, options.size_mb, options.members)
    least = measure(works, options.rounds)
    results: list[dict[str, Any]] = []
    for title, path, peer, by_peer in works:
        spent, count = least[title, "ours"]
        row: dict[str, Any] = {"archive": title, "mb_per_s": count / 1e6 / spent}
        if "small" in title:
            row["members_per_s"] = options.members / spent
        if by_peer is not None:
            theirs, same = least[title, peer]
            if same != count:
                raise SystemExit(f"{path}: {peer} reads {same} bytes, we {count}")
            row |= {"peer": peer, "peer_mb_per_s": count / 1e6 / theirs, "ratio": theirs / spent}
        results.append(row)
    for path in make_bombs(folder, options.bomb_mb):
        for reader in ("ours", *(["py7zr"] if path.suffix == ".7z" else [])):
            cost = python(reader, "bench.unpack", "--read", str(path), "--reader", reader)
            idle_mb, rss_mb = map(float, cost.output.split())
            results.append(
                {"archive": path.name, "reader": reader, "packed_bytes": path.stat().st_size,
                 "idle_mb": idle_mb, "rss_mb": rss_mb, "cpu_s": cost.cpu_s}
            )  # fmt: skip
    return results


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench unpack", description=__doc__)
    parser.add_argument("--size-mb", type=int, default=200)
    parser.add_argument("--members", type=int, default=50_000)
    parser.add_argument("--bomb-mb", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--reader", default="ours", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.read is not None:
        with suppress(BrokenPipeError):
            before_mb = peak_mb()
            {"ours": ours, "py7zr": by_py7zr}[options.reader](options.read)
            print(before_mb, peak_mb())
        return 0
    with tempfile.TemporaryDirectory() as folder:
        results = report(Path(folder), options)
    keep("unpack", results)
    speeds = [row for row in results if "mb_per_s" in row]
    head = ["archive", "MB/s", "members/s", "beside", "MB/s", "ratio"]
    names = ["archive", "mb_per_s", "members_per_s", "peer", "peer_mb_per_s", "ratio"]
    table("Content per CPU second", head, [[row.get(name, "") for name in names] for row in speeds])
    bombs = [row for row in results if "rss_mb" in row]
    names = ["archive", "reader", "packed_bytes", "idle_mb", "rss_mb", "cpu_s"]
    head = ["bomb", "reader", "packed bytes", "idle MB", "peak RSS MB", "CPU s"]
    title = f"{options.bomb_mb} MiB of zeros, a process each"
    table(title, head, [[row[name] for name in names] for row in bombs])
    return 0


if __name__ == "__main__":
    sys.exit(main())
