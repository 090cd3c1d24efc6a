"""Servers that are one process: ministack (the demo's), moto (inventory API), our own fake.

The emulators do not check signatures, and sort all keys for every page of a listing: they are for
behaviour, not for speed. The fake checks everything and is for both.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from stocktake.errors import MissingExtraError
from stocktake.testing._page_server import PageDelays
from stocktake.testing._servers import (
    HOST,
    Credentials,
    Server,
    free_port,
    plain_environment,
    spawn,
    wait_until_up,
)

MINISTACK_VERSION = "1.5.33"


def start_ministack(root: Path) -> Server:
    """An S3, SQS and SNS emulator; objects live in its memory. Logs to `root/ministack.log`.

    Raises:
        MissingExtraError: The demo extra is not installed.
        ServerStartError: It does not come up.
    """
    _need("ministack", "demo")
    port = free_port()
    log_path = root / "ministack.log"
    environment = plain_environment(
        # by default it listens on all interfaces, starts an MQTT and an SFTP listener, and cleans
        # up Docker containers: all off
        BIND_HOST=HOST,
        GATEWAY_PORT=str(port),
        SERVICES="s3,sqs,sns",
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        DOCKER_HOST="unix:///nonexistent",
        S3_PERSIST="0",
        PERSIST_STATE="0",
    )
    process = spawn([sys.executable, "-m", "ministack"], log_path, environment)
    server = Server(
        "ministack", f"http://{HOST}:{port}", Credentials(), log_path, processes=[process]
    )
    return wait_until_up(server, path="/_ministack/health")


def start_moto(root: Path) -> Server:
    """An S3 emulator that keeps inventory configurations. Logs to `root/moto.log`.

    Raises:
        MissingExtraError: moto is not installed.
        ServerStartError: It does not come up.
    """
    _need("moto", "dev")
    _need("flask", "dev")
    port = free_port()
    log_path = root / "moto.log"
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    process = spawn(command, log_path, plain_environment())
    server = Server("moto", f"http://{HOST}:{port}", Credentials(), log_path, processes=[process])
    return wait_until_up(server)


def start_fake_s3(
    root: Path, *, files: Path | None = None, keys: Mapping[str, Path] | None = None
) -> Server:
    """Our own fake as a process, so that it does not share a benchmark's interpreter.

    Args:
        root: Where its log goes.
        files: Directory whose folders are buckets of files.
        keys: Files of keys, one per line, by bucket: objects of one byte.

    Raises:
        ServerStartError: It does not come up.
    """
    port = free_port()
    log_path = root / "fake_s3.log"
    command = [sys.executable, "-m", "stocktake.testing.fake_s3", "--port", str(port)]
    if files is not None:
        command += ["--root", str(files.resolve())]
    for bucket, path in (keys or {}).items():
        command += ["--keys", f"{bucket}={path.resolve()}"]
    process = spawn(command, log_path, plain_environment())
    server = Server("fake_s3", f"http://{HOST}:{port}", Credentials(), log_path)
    server.processes.append(process)
    return wait_until_up(server)


def start_page_server(
    root: Path, shape: str, count: int, *, seed: int = 0, delays: PageDelays = PageDelays()
) -> Server:
    """A server of listing pages as a process: `count` keys of a shape in every bucket.

    Args:
        root: Where its log goes.
        shape: One of `KEY_SHAPES`.
        count: How many keys; a million take about 300 MB there and 5 s to make.
        seed: Chooses among sets of the same shape, as in `key_shape`.
        delays: How long it takes to answer.

    Raises:
        ServerStartError: It does not come up.
    """
    port = free_port()
    log_path = root / f"page_server_{port}.log"
    command = [sys.executable, "-m", "stocktake.testing.page_server", "--port", str(port)]
    command += ["--shape", shape, "--keys", str(count), "--seed", str(seed)]
    command += ["--page-delay-ms", str(delays.page_s * 1000)]
    command += ["--least-delay-ms", str(delays.least_s * 1000)]
    command += ["--in-flight-max", str(delays.in_flight_max)]
    command += ["--chunk-bytes", str(delays.chunk_bytes)]
    process = spawn(command, log_path, plain_environment())
    address = f"http://{HOST}:{port}"
    return wait_until_up(
        Server("page_server", address, Credentials(), log_path, processes=[process])
    )


def start_put_server(root: Path, *buckets: str, delay_ms: float = 0.0) -> Server:
    """A sink of uploads as a process, for benchmarks: it keeps sizes and checksums.

    Args:
        root: Where its log goes.
        buckets: Made at the start.
        delay_ms: Every answer comes that much later.

    Raises:
        ServerStartError: It does not come up.
    """
    port = free_port()
    log_path = root / f"put_server_{port}.log"
    command = [sys.executable, "-m", "stocktake.testing.put_server", "--port", str(port)]
    command += ["--delay-ms", str(delay_ms)]
    for name in buckets:
        command += ["--bucket", name]
    process = spawn(command, log_path, plain_environment())
    address = f"http://{HOST}:{port}"
    return wait_until_up(
        Server("put_server", address, Credentials(), log_path, processes=[process])
    )


def _need(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(
            f"{module} is not installed", hint=f"pip install 'stocktake[{extra}]'", extra=extra
        )
