"""For all tests: the user's own settings and the network closed off, and servers on demand."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from postgres_server import PostgresServer, running_postgres
from stocktake.testing import (
    FakeS3,
    Server,
    install_rgw,
    install_swift,
    start_ministack,
    start_moto,
    start_rgw,
    start_swift,
)

REPOSITORY = Path(__file__).parents[1]
SERVERS = REPOSITORY / ".servers"

# a busy machine is no failure; CI tries the same examples every time, a developer's run new ones
settings.register_profile(
    "house",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")


def _only_this_machine(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse connections that leave the machine, whoever makes them."""
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = arguments[1][0]
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise RuntimeError(f"a test connects to {host}: tests talk to this machine only")


sys.addaudithook(_only_this_machine)


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "STOCKTAKE_")):
            monkeypatch.delenv(name)
    home = str(tmp_path_factory.getbasetemp() / "home")
    monkeypatch.setenv("XDG_CONFIG_HOME", f"{home}/config")
    monkeypatch.setenv("XDG_DATA_HOME", f"{home}/data")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo's server."""
    with start_ministack(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The emulator that has the inventory API."""
    with start_moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The genuine storage server, installed into `.servers` if `make setup` has not yet."""
    install_swift(SERVERS, REPOSITORY / "requirements" / "swift.txt")
    with start_swift(tmp_path_factory.mktemp("swift"), SERVERS) as server:
        yield server


@pytest.fixture(scope="session")
def rgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Ceph's gateway, for the slow tests."""
    install_rgw(SERVERS)
    with start_rgw(tmp_path_factory.mktemp("rgw"), SERVERS) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def fake_s3() -> Iterator[FakeS3]:
    """Our own strict S3, empty."""
    with FakeS3() as fake:
        yield fake
