"""SHP-43: the kernel's own word that shipping writes nothing but its ledger.

The whole chain (daemon, workers, archives, tables, multipart) runs under strace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from debian_packages import strace
from ship_world import ShipWorld
from stocktake.testing import FakeS3

CALLS = (
    "open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,link,linkat,symlink,symlinkat,"
    "rename,renameat,renameat2,unlink,unlinkat,truncate,memfd_create,setrlimit,prlimit64,execve"
)
CREATING = re.compile(
    r"\b(open|openat|openat2|creat)\(.*?\"(?P<path>[^\"]*)\".*(O_CREAT|O_TMPFILE)"
)
MAKING = re.compile(r"\b(mkdir|mknod|link|symlink|rename|unlink)\w*\((.*)\)\s+= 0")
QUOTED = re.compile(r"\"([^\"]*)\"")


@pytest.fixture
def ship(tmp_path: Path) -> Iterator[ShipWorld]:
    with FakeS3() as fake:
        yield ShipWorld(tmp_path, fake)


def test_nothing_but_the_ledger_is_created_by_the_whole_chain(ship: ShipWorld) -> None:
    ship.arrive("a")
    tracer = strace()
    log = ship.root / "calls"
    ended = ship.run(
        *(tracer.path, "-f", "-qq", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(log)),
        PYTHONDONTWRITEBYTECODE="1",
        **tracer.environment,
    )
    assert ended.status == 0, ended.errors
    ship.check()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    assert len(lines) > 1000, "strace saw nothing"
    made = sorted(set(_made(lines)))
    ledger = str(ship.state)
    assert [path for path in made if not path.startswith((ledger, "/dev/"))] == []
    assert any("ledger.db" in path for path in made), "the pattern does not find what is created"
    workers = _limited(lines)
    assert len(workers) >= 2, "no worker took its right to write away"
    assert [line for line in lines if _pid(line) in workers and CREATING.search(line)] == []
    assert not [line for line in lines if "memfd_create" in line]


def _made(lines: list[str]) -> Iterator[str]:
    for line in lines:
        creating = CREATING.search(line)
        if creating and " = -1 " not in line:
            yield creating["path"]
        making = MAKING.search(line)
        if making:
            yield QUOTED.findall(making[2])[-1]


def _limited(lines: list[str]) -> set[str]:
    """Processes that set RLIMIT_FSIZE to 0."""
    pattern = re.compile(r"RLIMIT_FSIZE, \{rlim_cur=0,")
    return {_pid(line) for line in lines if pattern.search(line)}


def _pid(line: str) -> str:
    return line.split(maxsplit=1)[0]
