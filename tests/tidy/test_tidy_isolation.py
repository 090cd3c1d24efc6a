"""Tests neither leave the machine nor see what its user has configured."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from stocktake.settings import load_settings


@pytest.mark.parametrize("host", ["192.0.2.1", "198.51.100.7"])
def test_connections_to_other_machines_are_refused(host: str) -> None:
    with socket.socket() as one, pytest.raises(RuntimeError, match="this machine only"):
        one.connect((host, 9))


def test_connections_to_this_machine_are_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_the_users_own_settings_are_not_seen() -> None:
    assert [name for name in os.environ if name.startswith(("AWS_ACCESS", "STOCKTAKE_"))] == []
    assert str(Path.home()) not in load_settings(project_dir=Path("/none")).catalog
