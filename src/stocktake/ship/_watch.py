"""Wakes the poll early: a notice of the kernel says "look now", never what has changed.

Where there are no notices (network file systems, no watchfiles, no inotify watches left) the poll
simply comes at its interval. A lost notice costs that interval and nothing else.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from stocktake.ship._lease import file_system

if TYPE_CHECKING:
    from stocktake.ship._settings import ShipSettings

_LOG = logging.getLogger(__name__)
_DEBOUNCE_MS = 200
_STEP_MS = 50
_LOOK_MS = 500
_JOIN_S = 5.0


class FolderWatch:
    """Notices of one folder. `why_not` says why there are none, or is None.

    A thread waits for them; `close` ends it.
    """

    def __init__(self, settings: ShipSettings) -> None:
        self._folder = os.fspath(settings.folder)
        self._woken = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.why_not: str | None = None
        why_not = self._start()
        if why_not is not None:
            self.why_not = why_not
            _LOG.warning(
                "no notices of changes, `%s` is scanned at intervals: %s",
                self._folder,
                why_not,
            )

    def wait(self, timeout_s: float) -> bool:
        """True as soon as something has changed, False after that time."""
        woken = self._woken.wait(timeout_s)
        self._woken.clear()
        return woken

    def wake(self) -> None:
        """End a `wait` from another thread."""
        self._woken.set()

    def close(self) -> None:
        """Give back the thread and its watches."""
        self._stop.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
            self._thread = None

    def __enter__(self) -> FolderWatch:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _start(self) -> str | None:
        try:
            name, local = file_system(os.fsencode(self._folder))
        except OSError as error:
            return f"{error.strerror}"
        if not local:
            return f"others may write to {name} without notice"
        try:
            from watchfiles._rust_notify import RustNotify
        except ImportError:
            return "watchfiles is not installed (pip install 'stocktake[ship]')"
        try:
            notices = RustNotify(
                watch_paths=[self._folder],
                debug=False,
                force_polling=False,
                poll_delay_ms=0,
                recursive=True,
                ignore_permission_denied=True,
            )
        except (OSError, RuntimeError) as error:  # ENOSPC: fs.inotify.max_user_watches
            return f"{error}"
        self._thread = threading.Thread(
            target=self._listen, args=(notices,), name="folder-watch", daemon=True
        )
        self._thread.start()
        return None

    def _listen(self, notices: Any) -> None:
        """Until `close`, or until the kernel gives up: then the interval is what is left."""
        try:
            while not self._stop.is_set():
                said = notices.watch(_DEBOUNCE_MS, _STEP_MS, _LOOK_MS, self._stop)
                if said not in ("timeout", "stop"):
                    self._woken.set()
                if said in ("stop", "signal"):
                    break
        except (OSError, RuntimeError) as error:
            self.why_not = f"{error}"
            _LOG.warning("notices of changes ended, scanning at intervals: %s", error)
        finally:
            notices.close()
