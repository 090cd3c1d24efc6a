"""Opening a catalog: its files, its control database and its engine, checked to belong together.

>>> with open_catalog("/data/catalog", create=True) as catalog:
...     catalog.files.location
'/data/catalog'
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from stocktake.catalog._catalog_binding import bind_state
from stocktake.catalog._files import CatalogFiles
from stocktake.catalog._files_local import LocalFiles
from stocktake.catalog._files_s3 import ENGINE_SCHEME, S3Files
from stocktake.catalog.engines._duckdb import DuckDbEngine
from stocktake.catalog.engines._duckdb_connection import (
    MEMORY_MB,
    THREADS,
    DuckDbConnections,
    DuckDbSettings,
)
from stocktake.catalog.engines._duckdb_filesystem import StoreFileSystem
from stocktake.clock import Clock, SystemClock
from stocktake.errors import (
    CatalogCorruptError,
    CatalogError,
    CatalogNotFoundError,
    CatalogVersionError,
    InvalidSettingError,
)
from stocktake.model import S3Url
from stocktake.state import State, open_state
from stocktake.store import Store

MARKER_NAME = "catalog.json"
MARKER_FORMAT = "stocktake-catalog"
MARKER_VERSION = 1
SNAPSHOTS_FOLDER = "snapshots"
STATE_NAME = "state.db"
TEMP_NAME = "tmp"

# what a creation that was killed halfway may have left, besides the marker that it writes last
_UNFINISHED = frozenset(
    {STATE_NAME, *(f"{STATE_NAME}-{end}" for end in ("wal", "shm", "journal")), TEMP_NAME}
)


@dataclass(slots=True)
class Catalog:
    """An open catalog. Use it as a context manager; safe to share between threads.

    Attributes:
        id: Its own id, the same for everybody who opens it.
        files: The files: snapshots, diffs.
        state: The control database.
        engine: Computes over the files.
        clock: What stamps and leases are taken from.
        temp_parent: Local folder for the engine's temporary files.
    """

    id: str
    files: CatalogFiles
    state: State
    engine: DuckDbEngine
    clock: Clock
    temp_parent: Path

    @property
    def location(self) -> str:
        """The directory or `s3://` address, for people."""
        return self.files.location

    def close(self) -> None:
        """Give back the engine's memory and the database's connections."""
        self.engine.close()
        self.state.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_catalog(
    location: str,
    *,
    state_url: str | None = None,
    create: bool = False,
    store: Store | None = None,
    clock: Clock = SystemClock(),
    memory_mb: int = MEMORY_MB,
    threads: int = THREADS,
) -> Catalog:
    """The catalog in a directory or below `s3://bucket/prefix`.

    Args:
        location: Directory or S3 address.
        state_url: Control database. Default: `state.db` in the directory; for S3 a SQLite file
            in the user's data directory, which only this user on this machine sees.
        create: Make it if it is not there.
        store: The object store, needed for an S3 address.
        clock: What stamps and leases are taken from.
        memory_mb: Memory limit of the engine in MiB.
        threads: Threads of the engine.

    Raises:
        CatalogNotFoundError: Not there, and `create` is False.
        CatalogVersionError: Made by a newer stocktake.
        CatalogError: Something else is there.
        StateError: The control database is another catalog's, or cannot be used.
    """
    place = _place(location, store)
    marker_id = _read_marker(place.files)
    if marker_id is None:
        _check_free(place, create=create)
        place.prepare()
    state = open_state(state_url or place.state_url, clock=clock)
    try:
        # while it was not there, another process may have made it
        marker_id = marker_id or _read_marker(place.files)
        catalog_id = bind_state(state, marker_id, place.files.location)
        if marker_id is None:
            _write_marker(place.files, catalog_id)
    except BaseException:
        state.close()
        raise
    settings = DuckDbSettings(memory_mb, threads, place.temp_parent, place.file_system)
    engine = DuckDbEngine(DuckDbConnections(settings))
    return Catalog(catalog_id, place.files, state, engine, clock, place.temp_parent)


def snapshot_folder(bucket: str, config_id: str, snapshot_id: str) -> str:
    """The folder of a snapshot's files, relative to the catalog."""
    names = [_file_name(bucket), _file_name(config_id), snapshot_id]
    return "/".join([SNAPSHOTS_FOLDER, *names])


def _file_name(text: str) -> str:
    # quote leaves dots, and `.` or `..` alone would be another folder; `-` stands for no name
    quoted = quote(text, safe="") or "-"
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


@dataclass(frozen=True, slots=True)
class _Place:
    files: CatalogFiles
    state_url: str
    temp_parent: Path
    file_system: StoreFileSystem | None
    root: Path | None

    def prepare(self) -> None:
        """Make the folders that creating a catalog needs."""
        folders = [self.temp_parent, Path(self.state_url.removeprefix("sqlite:///")).parent]
        for folder in folders if self.root is None else [self.root, *folders]:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CatalogError(
                    f"cannot make the folder `{folder}`: {error.strerror}", path=str(folder)
                ) from error


def _place(location: str, store: Store | None) -> _Place:
    if location.startswith("s3://"):
        return _s3_place(location, store)
    if "://" in location:
        raise InvalidSettingError(
            f"a catalog cannot be at `{location}`",
            hint="name a directory or an s3://bucket/prefix address",
        )
    root = Path(location).expanduser().absolute()
    return _Place(LocalFiles(root), f"sqlite:///{root / STATE_NAME}", root / TEMP_NAME, None, root)


def _s3_place(location: str, store: Store | None) -> _Place:
    if store is None:
        raise InvalidSettingError(
            f"the catalog `{location}` needs an object store",
            hint="open the store first and pass it",
        )
    files = S3Files(store, S3Url.parse(location))
    own = user_data_folder(os.environ) / "catalogs"
    name = hashlib.sha256(files.location.encode()).hexdigest()[:24]
    return _Place(
        files,
        f"sqlite:///{own / name}.db",
        own / TEMP_NAME,
        StoreFileSystem(files, ENGINE_SCHEME),
        None,
    )


def user_data_folder(environ: Mapping[str, str]) -> Path:
    """Where this user's programs keep data: `stocktake` below XDG_DATA_HOME."""
    home = environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "stocktake"


def _read_marker(files: CatalogFiles) -> str | None:
    """The catalog's id, None if no catalog is there."""
    if not files.exists(MARKER_NAME):
        return None
    try:
        raw = json.loads(files.read(MARKER_NAME))
        if raw["format"] != MARKER_FORMAT:
            raise CatalogCorruptError(f"`{files.location}` is not a stocktake catalog")
        if raw["version"] > MARKER_VERSION:
            raise CatalogVersionError(
                f"the catalog `{files.location}` has version {raw['version']}, this stocktake "
                f"reads up to {MARKER_VERSION}",
                version=raw["version"],
            )
        return str(raw["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise CatalogCorruptError(
            f"`{MARKER_NAME}` in `{files.location}` cannot be read: {error!r}"
        ) from error


def _write_marker(files: CatalogFiles, catalog_id: str) -> None:
    raw = {"format": MARKER_FORMAT, "version": MARKER_VERSION, "id": catalog_id}
    with files.create(MARKER_NAME) as sink:
        sink.write(json.dumps(raw, indent=1).encode())


def _check_free(place: _Place, *, create: bool) -> None:
    if not create:
        raise CatalogNotFoundError(
            f"there is no catalog at `{place.files.location}`", location=place.files.location
        )
    if place.root is not None and place.root.exists():
        if not place.root.is_dir():
            raise CatalogError(f"`{place.root}` is a file, not a directory")
        others = sorted(p.name for p in place.root.iterdir() if p.name not in _UNFINISHED)
    elif place.root is None:
        others = list(islice(place.files.listing(""), 1))
    else:
        others = []
    # the marker's own leftover, of a creation that was killed while writing it, may stay
    # and the marker is there if another process has just made the same catalog
    others = [n for n in others if n != MARKER_NAME and not n.startswith(f".{MARKER_NAME}.")]
    if others:
        raise CatalogError(
            f"`{place.files.location}` is not a catalog and not empty: `{others[0]}` is there",
            hint="name an empty or a new directory",
            location=place.files.location,
        )
