"""The one place that opens DuckDB: settings, lifetime, and its failures as our errors.

Traps this page keeps everybody out of: extensions are never fetched; a path such as `a=b/x.parquet`
must not grow a column (`hive_partitioning=false`, see `PARQUET`); results are always taken whole,
because an unfinished one blocks the connection; temporary files of two processes must not meet.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from stocktake.catalog._owners import host, is_gone
from stocktake.catalog.engines._duckdb_filesystem import StoreFileSystem
from stocktake.errors import CatalogCorruptError, CatalogError, DiskFullError, QueryLimitError

PARQUET = "read_parquet(?, hive_partitioning=false, union_by_name=false)"
"""The table of a bound list of file names; every scan of catalog files is written so."""

_DUCKDB_TEXT = re.compile(r"[A-Z][\w ]* Error: ", re.IGNORECASE)

MEMORY_MB = 250
THREADS = 2


@dataclass(frozen=True, slots=True)
class DuckDbSettings:
    """How DuckDB is run.

    Attributes:
        memory_mb: Its memory limit in MiB; it goes some 80-100 MB beyond.
        threads: Its worker threads.
        temp_parent: Folder below which each instance makes its own for spilling; None: no spilling.
        file_system: Reads `stocktake://` names, for a catalog in an object store.
    """

    memory_mb: int = MEMORY_MB
    threads: int = THREADS
    temp_parent: Path | None = None
    file_system: StoreFileSystem | None = None


class DuckDbConnections:
    """One in-memory DuckDB, opened at first use, with a connection per thread."""

    def __init__(self, settings: DuckDbSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._root: duckdb.DuckDBPyConnection | None = None
        self._temp: Path | None = None
        self._local = threading.local()

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The calling thread's warm connection; failures inside the block become our errors."""
        with self.failures():
            yield self._of_thread()

    @contextmanager
    def separate(
        self, *, memory_mb: int | None = None, threads: int | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB of its own with its own limits, closed at the end of the block."""
        temp = self._temp_directory()
        with self.failures():
            connection = open_duckdb(
                memory_mb=memory_mb or self.settings.memory_mb,
                threads=threads or self.settings.threads,
                temp=temp,
                file_system=self.settings.file_system,
            )
            try:
                yield connection
            finally:
                connection.close()
                _drop_temp(temp)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn DuckDB's failures inside the block into ours.

        A stream of batches reports them as an `OSError` of Arrow's with DuckDB's text.
        """
        try:
            yield
        except (duckdb.Error, OSError) as error:
            if not isinstance(error, duckdb.Error) and not _DUCKDB_TEXT.match(str(error)):
                raise
            file_system = self.settings.file_system
            cause = file_system.take_failure() if file_system is not None else None
            raise cause or typed_failure(error) from error

    def close(self) -> None:
        """Give everything back, spilled files too. It may be used again afterwards."""
        with self._lock:
            if self._root is not None:
                self._root.close()
                self._root = None
            if self._temp is not None:
                _drop_temp(self._temp)
                self._temp = None
            self._local = threading.local()

    def _of_thread(self) -> duckdb.DuckDBPyConnection:
        mine: duckdb.DuckDBPyConnection | None = getattr(self._local, "connection", None)
        if mine is None:
            with self._lock:
                if self._root is None:
                    self._temp = self._temp_directory()
                    self._root = open_duckdb(
                        memory_mb=self.settings.memory_mb,
                        threads=self.settings.threads,
                        temp=self._temp,
                        file_system=self.settings.file_system,
                    )
                mine = self._local.connection = self._root.cursor()
        return mine

    def _temp_directory(self) -> Path | None:
        parent = self.settings.temp_parent
        if parent is None:
            return None
        try:  # DuckDB makes the last folder only
            parent.mkdir(parents=True, exist_ok=True)
        except OSError:  # somebody else's catalog: queries that need no spilling still run
            return None
        return parent / f"{host()}.{os.getpid()}.{secrets.token_hex(4)}"


def open_duckdb(
    *,
    memory_mb: int,
    threads: int,
    temp: Path | None = None,
    file_system: StoreFileSystem | None = None,
    **more: Any,
) -> duckdb.DuckDBPyConnection:
    """A new in-memory DuckDB that never fetches anything from the network by itself."""
    config: dict[str, Any] = {
        "memory_limit": f"{memory_mb}MiB",
        "threads": threads,
        # '' keeps it from spilling into `.tmp` of whatever directory the user is in
        "temp_directory": "" if temp is None else str(temp),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "allow_persistent_secrets": False,
        "preserve_insertion_order": False,
        # a table name must never find a Python variable of whoever calls
        "python_enable_replacements": False,
        **more,
    }
    connection = duckdb.connect(":memory:", config=config)
    # the footers of write-once files never change, and a query reads each of them
    connection.execute("SET GLOBAL parquet_metadata_cache = true")
    # on a terminal it would draw a bar of its own over ours
    connection.execute("SET enable_progress_bar = false")
    if file_system is not None:
        connection.register_filesystem(file_system)
    return connection


def remove_dead_temp(parent: Path) -> list[str]:
    """Delete spill folders of processes of this host that are gone; returns their names."""
    if not parent.is_dir():
        return []
    removed = []
    for folder in sorted(parent.iterdir()):
        match = re.fullmatch(r"(.+)\.(\d+)\.[0-9a-f]{8}", folder.name)
        if match and is_gone(match[1], int(match[2])):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder.name)
    return removed


def typed_failure(error: Exception) -> CatalogError:
    """DuckDB's failure as the catalog error it stands for."""
    text = " ".join(str(error).split())
    low = text.lower()
    if "no space left" in low or "disk quota" in low or "max_temp_directory_size" in low:
        return DiskFullError(f"no space left for the query's temporary files: {text}")
    if low.startswith("out of memory error"):
        return QueryLimitError(
            "the query needs more memory than it may have",
            hint="ask for less at once, or raise the limit: STOCKTAKE_MEMORY_MB",
            limit="memory",
        )
    if low.startswith("interrupt error"):
        return QueryLimitError("the query was stopped", limit="time")
    if low.startswith(("io error", "http error")) or "parquet" in low:
        return CatalogCorruptError(f"a catalog file cannot be read: {text}")
    return CatalogError(f"the query engine failed: {text}")


def _drop_temp(temp: Path | None) -> None:
    if temp is not None:
        shutil.rmtree(temp, ignore_errors=True)
