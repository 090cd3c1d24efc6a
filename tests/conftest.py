"""Fixtures for all tests: the machine's own AWS settings closed off, and servers on demand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stocktake.store import RetryPolicy
from stocktake.testing import (
    FakeS3,
    Server,
    install_swift,
    start_ministack,
    start_moto,
    start_swift,
)

REPOSITORY = Path(__file__).parents[1]
SERVERS = REPOSITORY / ".servers"
QUICK = RetryPolicy(attempts_max=4, base_s=0.01, cap_s=0.05)


@pytest.fixture(autouse=True)
def _no_aws_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
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


@pytest.fixture
def fake_s3() -> Iterator[FakeS3]:
    """Our own strict S3, empty."""
    with FakeS3() as fake:
        yield fake
