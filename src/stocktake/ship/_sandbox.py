"""What a worker process gives up before it reads anything: writing files, and outliving its daemon.

With `RLIMIT_FSIZE` 0 the kernel refuses every byte to a file (EFBIG), so a library that would spill
to disk fails instead. Pipes and sockets are not files in this sense.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def enter(parent_pid: int) -> None:
    """Give it up, for the rest of this process. Ends it if its parent is gone already."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # a Ctrl-C, and what stops a service, go to the whole group: the daemon says what happens then
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.dont_write_bytecode = True
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(0)
