"""Reading archives makes no file, as the kernel sees it; and memory stays small. SHP-13."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archive_world import (
    FIXTURES,
    PACKERS,
    TREE,
    deflate64,
    seven_zip_of,
    tar_of,
    zip_by_hand,
    zip_of,
    zip_ppmd,
)

READ_ALL = """
import resource, signal, sys
sys.dont_write_bytecode = True
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from stocktake.clock import SystemClock
from stocktake.unpack import UnpackLimits, walk
print("begin", flush=True)
limits = UnpackLimits(member_ratio_max=1e9)
for name in sys.argv[1:]:
    count = 0
    with open(name, "rb") as file, walk(file, name, limits, clock=SystemClock()) as members:
        for opened in members:
            for block in opened.blocks():
                count += len(block)
    print(count, flush=True)
print("end", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
"""

CREATES = re.compile(
    r"\b(?:open|openat|openat2|creat)\([^)]*O_(?:CREAT|WRONLY|RDWR|TMPFILE)"
    r"|\b(?:creat|mkdir|mkdirat|mknod|mknodat|memfd_create|link|linkat|symlink|symlinkat|rename\w*)\("
)


@pytest.fixture
def archives(tmp_path: Path) -> list[str]:
    rows = TREE["data/rows.csv"]
    made = {
        "x.zip": zip_of({**TREE, "i.zip": zip_of(TREE), "i.7z": seven_zip_of(TREE)}),
        "odd.zip": zip_by_hand(
            [(b"a", 9, deflate64(rows), rows), (b"b", 98, zip_ppmd(rows), rows)]
        ),
        "x.tar": tar_of({**TREE, "i.zip": zip_of(TREE)}),
        "x.7z": seven_zip_of(TREE),
        **{f"x.tar.{packing}": pack(tar_of(TREE)) for packing, pack in PACKERS.items()},
        "x.rar": (FIXTURES / "rar5-crc.rar").read_bytes(),
        "old.rar": (FIXTURES / "rar3-subdirs.rar").read_bytes(),
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    return [str(tmp_path / name) for name in made]


def test_everything_is_read_where_no_file_may_have_a_byte(archives: list[str]) -> None:
    """Trap: rarfile and ctypes.util.find_library write temporary files."""
    command = [sys.executable, "-c", READ_ALL, *archives]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "end" in output
    assert len(output.splitlines()) == len(archives) + 2


def test_no_file_is_made_or_opened_for_writing(archives: list[str], tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("strace is not installed: apt-get install strace")
    trace = tmp_path / "trace"
    command = [strace, "-f", "-o", str(trace), "-e", "trace=file,desc,process", sys.executable]
    subprocess.run([*command, "-c", READ_ALL, *archives], check=True, stdout=subprocess.PIPE)
    lines = trace.read_text(errors="replace").splitlines()
    first = next(at for at, line in enumerate(lines) if 'write(1, "begin' in line)
    assert any('write(1, "end' in line for line in lines[first:])
    made = [line for line in lines[first:] if CREATES.search(line) and "/dev/null" not in line]
    assert made == []
    assert not [line for line in lines[first:] if "execve(" in line]  # nor a program started


@pytest.mark.parametrize(
    "line",
    [
        '1 openat(AT_FDCWD, "/tmp/x", O_RDWR|O_CREAT|O_EXCL, 0600) = 3',
        '1 open("x", O_WRONLY) = 3',
        '1 mkdir("/tmp/y", 0700) = 0',
        '1 memfd_create("x", 0) = 3',
    ],
)
def test_trace_would_show_a_file_that_is_made(line: str) -> None:
    assert CREATES.search(line)
    assert not CREATES.search('1 openat(AT_FDCWD, "x", O_RDONLY|O_CLOEXEC) = 3')


def rss_mb(*paths: Path) -> float:
    command = [sys.executable, "-c", READ_ALL, *map(str, paths)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(output.split()[-1]) / 1024


def test_memory_of_bombs_is_that_of_small_archives(tmp_path: Path) -> None:
    size_bytes = 64 << 20
    zeros = bytes(size_bytes)
    small, bombs = [], []
    for name, make in (
        ("b.zip", lambda data: zip_of({"zeros": data})),
        ("b.7z", lambda data: seven_zip_of({"zeros": data})),
        ("b.gz", lambda data: gzip.compress(data, 1)),
        ("b.zst", PACKERS["zst"]),
        ("b.xz", lambda data: lzma.compress(data, preset=0)),
        ("d.zip", lambda data: zip_by_hand([(b"a", 9, deflate64(data), data)])),
    ):
        for folder, content, paths in (("small", b"1", small), ("bomb", zeros, bombs)):
            path = tmp_path / folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(make(content))
            paths.append(path)
    assert rss_mb(*bombs) - rss_mb(*small) < 48
