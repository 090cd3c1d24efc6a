"""One process per ledger: a lock that also lives as long as its workers do."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from stocktake.errors import ShipRunningError


def lock_ledger(path: Path) -> int:
    """Lock `<path>.lock`; the lock lasts until the last process that has the descriptor ends.

    Raises:
        ShipRunningError: Another process, or an orphaned worker of one, has it.
    """
    name = path.with_name(path.name + ".lock")
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 500, 0).decode("utf-8", "replace").strip()
        os.close(descriptor)
        said = owner or "a process that did not say who it is"
        raise ShipRunningError(
            f"the ledger {path} is in use by {said}, or by a worker that it left behind",
            path=str(path),
            owner=owner,
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return descriptor
