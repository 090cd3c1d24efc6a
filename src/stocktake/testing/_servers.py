"""Real S3 servers as child processes on 127.0.0.1, for tests and the demo.

    with start_ministack(Path("work")) as server:
        store = open_store(server.options())

A server ends with its `with` block, and also when this process is killed: it runs on a leash
(`_leash.py`). Its output goes to a file below the directory that was given.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stocktake.clock import Clock, SystemClock
from stocktake.errors import ServerStartError
from stocktake.store import S3StoreOptions
from stocktake.testing import _leash

HOST = "127.0.0.1"
_START_S = 60.0
_LOG_TAIL_BYTES = 1500


@dataclass(frozen=True, slots=True)
class Credentials:
    """Static credentials of a local server."""

    access_key_id: str = "stocktake"
    secret_access_key: str = field(default="stocktake-secret", repr=False)


@dataclass(slots=True)
class Server:
    """A running server. Use it as a context manager, or call `stop`."""

    name: str
    endpoint_url: str
    credentials: Credentials
    log_path: Path
    region: str = "us-east-1"
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def options(self, **changes: Any) -> S3StoreOptions:
        """Store options that reach this server."""
        values: dict[str, Any] = {
            "endpoint_url": self.endpoint_url,
            "region": self.region,
            "access_key_id": self.credentials.access_key_id,
            "secret_access_key": self.credentials.secret_access_key,
        }
        return S3StoreOptions(**(values | changes))

    def environment(self) -> dict[str, str]:
        """Variables with which the stocktake command and AWS tools reach this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
            "AWS_REGION": self.region,
        }

    def stop(self) -> None:
        """End the processes, newest first. Calling it again does nothing."""
        while self.processes:
            process = self.processes.pop()
            if process.stdin is not None:
                process.stdin.close()
            process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def spawn(
    command: Sequence[str | Path],
    log_path: Path,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command on a leash; its output is appended to `log_path`."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    leash = [sys.executable, "-I", "-S", _leash.__file__]
    with log_path.open("ab") as log:
        return subprocess.Popen(
            [*leash, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=log_path.parent,
            env=dict(environment) if environment is not None else None,
        )


def plain_environment(**additions: str) -> dict[str, str]:
    """This process's environment without AWS settings, plus some variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | additions


def wait_until_up(server: Server, *, path: str = "/", clock: Clock | None = None) -> Server:
    """Return the server once it answers HTTP.

    Raises:
        ServerStartError: A process ended, or did not answer in time; says the log's last lines.
    """
    clock = clock or SystemClock()
    deadline_s = clock.monotonic_s() + _START_S
    while not _answers(server.endpoint_url, path):
        ended = [process.returncode for process in server.processes if process.poll() is not None]
        if ended or clock.monotonic_s() > deadline_s:
            why = f"it ended with status {ended[0]}" if ended else "it does not answer"
            server.stop()
            raise ServerStartError(
                f"{server.name} did not start: {why}; {server.log_path} ends with: "
                f"{_tail(server.log_path)}",
                server=server.name,
                log_path=str(server.log_path),
            )
        clock.sleep(0.05)
    return server


def _answers(endpoint_url: str, path: str) -> bool:
    address = urlsplit(endpoint_url)
    connection = http.client.HTTPConnection(address.hostname or HOST, address.port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(path: Path) -> str:
    data = path.read_bytes() if path.exists() else b""
    return data[-_LOG_TAIL_BYTES:].decode(errors="replace").strip() or "(nothing)"
