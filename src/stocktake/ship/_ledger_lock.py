"""One process per ledger: a lock that also lives as long as its workers do."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from pathlib import Path

from stocktake.errors import DiskFullError, LedgerError, ShipRunningError, StocktakeError


def lock_ledger(path: Path) -> int:
    """Lock `<path>.lock`; the lock lasts until the last process that has the descriptor ends.

    Raises:
        ShipRunningError: Another process, or an orphaned worker of one, has it.
        LedgerError: Nothing can be written or locked there.
        DiskFullError: No space is left there.
    """
    name = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _cannot(name, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    except BlockingIOError:
        owner = os.pread(descriptor, 500, 0).decode("utf-8", "replace").strip()
        os.close(descriptor)
        said = owner or "a process that did not say who it is"
        raise ShipRunningError(
            f"the ledger {path} is in use by {said}, or by a worker that it left behind",
            path=str(path),
            owner=owner,
        ) from None
    except OSError as error:
        os.close(descriptor)
        raise _cannot(name, error) from error
    return descriptor


def _cannot(name: Path, error: OSError) -> StocktakeError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFullError(
            f"no space for {name}: {error.strerror}",
            hint="free space where the ledger lies (--state-folder)",
            retryable=True,
        )
    return LedgerError(
        f"cannot write or lock {name}: {error.strerror}",
        hint="the state folder must be on a local disk and writable (--state-folder)",
        path=str(name),
    )
