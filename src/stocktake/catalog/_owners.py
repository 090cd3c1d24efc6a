"""Which process owns a lease or a temporary folder, and whether it still runs."""

from __future__ import annotations

import os
import socket


def host() -> str:
    """This machine's name, as leases carry it."""
    return socket.gethostname()


def is_gone(owner_host: str, owner_pid: int) -> bool:
    """True if the owner certainly runs no more: a process of this host that is not there.

    Of other hosts nothing is known, and a number used again by another process counts as running.
    """
    if owner_host != host():
        return False
    try:
        os.kill(owner_pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
