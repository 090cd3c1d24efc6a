"""Runs a server on a leash: `python _leash.py COMMAND...` ends it when our standard input closes.

A pipe closes also when the process that holds its other end is killed, so no server survives its
test run. Run as a script, with the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys

_POLL_S = 0.5
_GRACE_S = 3.0


def main(command: list[str]) -> int:
    """Run the command in a process group of its own until it ends or the leash is dropped."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while server.poll() is None:
        readable, _, _ = select.select([0], [], [], _POLL_S)
        if readable and not os.read(0, 1):
            _end(server)
    return server.returncode


def _end(server: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
