"""Signals of a shipper: SIGTERM and SIGINT stop it, SIGHUP reloads it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from stocktake.ship._daemon import Daemon


@contextmanager
def signals_to(daemon: Daemon) -> Iterator[None]:
    """While the block runs, signals go to this daemon; afterwards to whoever had them before.

    A first SIGTERM or SIGINT lets tasks end, a second one does not. Outside of the main thread,
    where Python takes no signals, nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_stop(number: int, _frame: FrameType | None) -> None:
        daemon.stop(signal.Signals(number).name)

    def on_reload(_number: int, _frame: FrameType | None) -> None:
        daemon.reload()

    handlers = {signal.SIGTERM: on_stop, signal.SIGINT: on_stop, signal.SIGHUP: on_reload}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
