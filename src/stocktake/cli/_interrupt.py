"""Ctrl-C and SIGTERM: ask the work to stop, and stop it if it does not.

A thread that waits for a silent network cannot be asked. Everything on disk and in the control
database is made to survive a kill, so after a moment of grace the process simply ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

GRACE_S = 3.0
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_TERMINATED = 128 + signal.SIGTERM


class Interrupter:
    """Handles the two signals for the rest of the process.

    Args:
        last_words: Called with the exit code before the process is ended the hard way.
    """

    def __init__(self, last_words: Callable[[int], None]) -> None:
        self._last_words = last_words
        self._asked = False

    def install(self) -> None:
        """Take over the signals."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        code = EXIT_INTERRUPTED if number == signal.SIGINT else EXIT_TERMINATED
        if self._asked:
            self._end(code)
        self._asked = True
        timer = threading.Timer(GRACE_S, self._end, [code])
        timer.daemon = True
        timer.start()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(code)

    def _end(self, code: int) -> None:
        try:
            self._last_words(code)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
