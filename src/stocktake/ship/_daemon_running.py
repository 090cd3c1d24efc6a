"""Whether a shipper is at work on a ledger, found out without taking its lock."""

from __future__ import annotations

import os
from pathlib import Path

_LOCKS = Path("/proc/locks")


def is_locked(ledger: Path) -> bool:
    """True if a process of this machine has the ledger of that path.

    Looks at the kernel's list of locks: trying the lock would keep a daemon from starting at that
    moment. False where there is no such list, or for a process of another container.
    """
    lock = ledger.with_name(ledger.name + ".lock")
    try:
        status = lock.stat()
        locks = _LOCKS.read_text(encoding="ascii")
    except OSError:
        return False
    wanted = (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
    return any(_inode(line) == wanted for line in locks.splitlines() if " FLOCK " in line)


def _inode(line: str) -> tuple[int, int, int] | None:
    """`1: FLOCK ADVISORY WRITE 123 08:01:456 0 EOF`; None for a process that waits for a lock."""
    words = line.split()
    if len(words) < 6 or words[1] == "->":
        return None
    major, minor, inode = words[5].split(":")
    return int(major, 16), int(minor, 16), int(inode)
