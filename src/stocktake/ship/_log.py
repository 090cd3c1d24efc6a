"""The log of a shipper: one line per event, for people or as JSON."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from stocktake.clock import format_utc
from stocktake.ship._daemon_context import path_text
from stocktake.ship._events import ShipEvent

LOG_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_SHOWN = {logging.WARNING: "WARN"}


class EventLog:
    """Writes events, and what the program itself logs, as lines. Safe to share between threads.

    Args:
        write: Takes one line without its end; may be called from any thread, one at a time.
        as_json: JSON objects instead of lines for people.
        level: The least level that is written (`logging.INFO`).
    """

    def __init__(self, write: Callable[[str], None], *, as_json: bool, level: int) -> None:
        self._write = write
        self._as_json = as_json
        self._lock = threading.Lock()
        self.level = level

    def on_event(self, event: ShipEvent) -> None:
        """Write an event."""
        if event.level < self.level:
            return
        line = json_line(event) if self._as_json else human_line(event)
        with self._lock:
            self._write(line)

    def handler(self) -> logging.Handler:
        """For records of the standard `logging`."""
        return _RecordHandler(self)

    def on_record(self, record: logging.LogRecord) -> None:
        """Write a record of the standard `logging`."""
        if record.levelno < self.level:
            return
        at = datetime.fromtimestamp(record.created, UTC)
        message = record.getMessage()
        if self._as_json:
            line = _dumped(at, record.levelno, {"event": "log", "message": message})
        else:
            line = f"{_head(at, record.levelno)} {message}"
        with self._lock:
            self._write(line)


class _RecordHandler(logging.Handler):
    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self._log.on_record(record)


def json_line(event: ShipEvent) -> str:
    """The event as one JSON object.

    `time`, `level` and `event` are always there; `path` is text, `path_hex` its bytes if they are
    no text; `error` is {type, message, hint, retryable, ...}; the rest depends on the event.
    """
    values: dict[str, Any] = {"event": event.kind.value}
    if event.path is not None:
        values["path"] = path_text(event.path)
        if not _is_text(event.path):
            values["path_hex"] = event.path.hex()
    if event.error is not None:
        values["error"] = _error_values(event.error)
    return _dumped(event.at, event.level, {**values, **event.details})


def human_line(event: ShipEvent) -> str:
    """The event as a line for people."""
    pieces = [_head(event.at, event.level), event.kind.value.ljust(9)]
    if event.path is not None:
        pieces.append(path_text(event.path))
    if event.error is not None:
        pieces.append(f"{event.error.get('message')} ({event.error.get('code')})")
        if event.error.get("hint"):
            pieces.append(f"[{event.error['hint']}]")
    pieces += [
        f"{name}={_short(value)}" for name, value in event.details.items() if value is not None
    ]
    return " ".join(pieces).replace("\n", " ")


def _error_values(error: Mapping[str, Any]) -> dict[str, Any]:
    known = {"code", "message", "hint", "retryable", "attrs"}
    values = {"type": error.get("code")}
    values |= {name: error.get(name) for name in ("message", "hint", "retryable")}
    values["details"] = error.get("attrs") or {}
    return values | {name: value for name, value in error.items() if name not in known}


def _dumped(at: datetime, level: int, values: Mapping[str, Any]) -> str:
    head = {"time": format_utc(at), "level": _level_name(level)}
    return json.dumps({**head, **values}, default=str)


def _head(at: datetime, level: int) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} {_level_name(level).ljust(5)}"


def _level_name(level: int) -> str:
    return _SHOWN.get(level, logging.getLevelName(level))


def _is_text(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    return str(value)
