"""What one worker needs: peak memory and speed of both sweeps, for the sources that are worst.

Every case runs in a process of its own that may write no file, against a server that checks
checksums and keeps nothing. The bound is 320 MB for everything.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import keep, table

DATA = Path(__file__).parent / "data" / "ship-worker"
MB = 1_000_000
RSS_MB_MAX = 320


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench ship-worker", description=__doc__)
    parser.add_argument("--only", default=",".join(CASES), help=", ".join(CASES))
    parser.add_argument(
        "--scale", type=float, default=1.0, help="sizes, as a part of the full ones"
    )
    parser.add_argument("--remove", action="store_true", help="remove each case's data after it")
    chosen, _ = parser.parse_known_args(argv)
    results = []
    for name in chosen.only.split(","):
        folder = DATA / f"{name}-{chosen.scale:g}"
        if not folder.is_dir():
            folder.mkdir(parents=True)
            CASES[name](folder, chosen.scale)
        results.append({"case": name} | measured(folder))
        print(results[-1], flush=True)
        if chosen.remove:
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            folder.rmdir()
    columns = ["case", "source_mb", "objects", "wall_s", "plan_s", "cpu_s", "imports_mb", "rss_mb"]
    table("one worker", columns, [[result[name] for name in columns] for result in results])
    keep(f"ship-worker-{chosen.scale:g}", results)
    return 0


def measured(folder: Path) -> dict[str, object]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    name = "*" if len(files) > 1 else files[0].relative_to(folder).as_posix()
    with server() as url:
        command = [sys.executable, "-m", "bench.ship_worker_task", url, str(folder), name]
        environment = os.environ | {
            "MALLOC_ARENA_MAX": "2",
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    said: dict[str, object] = json.loads(done.stdout)
    return {"source_mb": sum(path.stat().st_size for path in files) / MB} | said


@contextmanager
def server() -> Iterator[str]:
    command = [sys.executable, "-m", "bench.ship_worker_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def lines(size_bytes: int, seed: int = 1) -> Iterator[bytes]:
    """Rows of a table, about that many bytes, a block at a time."""
    dice = random.Random(seed)
    made = 0
    number = 0
    yield b"id,code,amount,at,text,flag,note\n"
    texts = [f"text-{dice.randrange(10**9)}" for _ in range(5000)]
    while made < size_bytes:
        block = "".join(
            f"{number + n},{(number + n) % 1000:05d},{n * 37 % 100000 / 100:.2f},"
            f"2026-01-{n % 28 + 1:02d}T{n % 24:02d}:00:00Z,{texts[n]},{n % 3 == 0},"
            f"{'' if n % 3 else chr(34) + 'a, note' + chr(34)}\n"
            for n in range(5000)
        ).encode()
        number += 5000
        made += len(block)
        yield block


def large_table(folder: Path, scale: float) -> None:
    with (folder / "t.csv").open("wb") as file:
        file.writelines(lines(int(2000 * MB * scale)))


def zip_bomb(folder: Path, scale: float) -> None:
    row = b"0,0,0,0,0\n" * 100_000
    box = zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED)
    with box, box.open("t.csv", "w", force_zip64=True) as member:
        member.write(b"a,b,c,d,e\n")
        for _ in range(int(1000 * scale)):
            member.write(row)


def seven_zip_bomb(folder: Path, scale: float) -> None:
    import py7zr

    zeros = folder / "zeros.bin"
    with zeros.open("wb") as file:
        file.truncate(int(1000 * MB * scale))
    with py7zr.SevenZipFile(folder / "bomb.7z", "w") as archive:
        archive.write(zeros, "zeros.bin")
    zeros.unlink()


def many_columns(folder: Path, scale: float) -> None:
    dice = random.Random(2)
    columns = 5000
    with (folder / "wide.csv").open("w") as file:
        file.write(",".join(f"column_{n}" for n in range(columns)) + "\n")
        for _ in range(int(10_000 * scale)):
            file.write(",".join(str(dice.randrange(10_000)) for _ in range(columns)) + "\n")


def large_plain(folder: Path, scale: float) -> None:
    piece = random.Random(3).randbytes(16 << 20)
    with (folder / "large.bin").open("wb") as file:
        for number in range(int(320 * scale)):
            file.write(number.to_bytes(8, "big") + piece[8:])


def many_members(folder: Path, scale: float) -> None:
    dice = random.Random(4)
    with zipfile.ZipFile(folder / "many.zip", "w", zipfile.ZIP_DEFLATED) as box:
        for number in range(int(10_000 * scale)):
            box.writestr(f"d{number % 100}/m{number}.txt", dice.randbytes(2000).hex())


def many_files(folder: Path, scale: float) -> None:
    dice = random.Random(5)
    for number in range(int(10_000 * scale)):
        path = folder / f"d{number % 100:02}" / f"f{number}.dat"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(dice.randbytes(4096))


def large_json(folder: Path, scale: float) -> None:
    with (folder / "t.jsonl").open("wb") as file:
        for number in range(int(4_000_000 * scale)):
            file.write(
                b'{"id": %d, "name": "n%d", "v": [1, 2], "o": {"a": 1.5}}\n' % (number, number)
            )


CASES: dict[str, Callable[[Path, float], None]] = {
    "csv": large_table,
    "zip-bomb": zip_bomb,
    "7z-bomb": seven_zip_bomb,
    "columns": many_columns,
    "plain": large_plain,
    "members": many_members,
    "files": many_files,
    "jsonl": large_json,
}


if __name__ == "__main__":
    sys.exit(main())
