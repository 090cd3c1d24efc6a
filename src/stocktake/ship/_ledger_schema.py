"""The ledger's tables, and how its file is opened. docs/formats/ledger.md explains them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from stocktake.errors import LedgerError
from stocktake.ship._records import ObjectState, SourceKind, SourceState

VERSION = 1
"""`user_version` of the files that this code writes."""

_FREE_PAGES = 64

RETIRED = 0
"""A source row whose path has newer content; its objects may still be in the bucket."""

STATE_CODES = {
    SourceState.COMPLETED: 1,
    SourceState.PENDING: 2,
    SourceState.PLANNING: 3,
    SourceState.PLANNED: 4,
    SourceState.SHIPPING: 5,
    SourceState.RETRY: 6,
    SourceState.FAILED: 7,
    SourceState.VANISHED: 8,
}
"""0 and 1 take no byte in a row, and nearly all rows are completed."""

STATES = {code: state for state, code in STATE_CODES.items()}

OBJECT_CODES = {
    ObjectState.SUPERSEDED: 0,
    ObjectState.COMPLETED: 1,
    ObjectState.PLANNED: 2,
    ObjectState.INTENT: 3,
    ObjectState.UPLOADING: 4,
    ObjectState.COMPLETING: 5,
}
OBJECT_STATES = {code: state for state, code in OBJECT_CODES.items()}

SMALL_PLAIN = 0
"""Plain files below the limit are shipped without sweep 1; their facts are in their source row."""

LARGE_PLAIN = 1
KIND_CODES = {SourceKind.PLAIN: LARGE_PLAIN, SourceKind.TABLE: 2, SourceKind.ARCHIVE: 3}
KINDS = {SMALL_PLAIN: SourceKind.PLAIN} | {code: kind for kind, code in KIND_CODES.items()}

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID, STRICT;
CREATE TABLE sessions (first_id INTEGER PRIMARY KEY, secret BLOB NOT NULL) STRICT;
CREATE TABLE sources (
    source_id INTEGER PRIMARY KEY,
    path BLOB NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    dev INTEGER NOT NULL,
    ino INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_after_ns INTEGER NOT NULL,
    since_s INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER,
    objects INTEGER,
    sha256 BLOB,
    crc64nvme BLOB,
    md5 BLOB,
    extra TEXT
) STRICT;
CREATE TABLE paths (hash INTEGER NOT NULL, source_id INTEGER NOT NULL,
    PRIMARY KEY (hash, source_id)) WITHOUT ROWID, STRICT;
CREATE INDEX work ON sources (state, (kind > 0), source_id) WHERE state > 1;
CREATE INDEX due ON sources (due_ms) WHERE due_ms IS NOT NULL;
CREATE TABLE objects (
    object_id INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    entry BLOB,
    key TEXT,
    state INTEGER NOT NULL,
    table_kind TEXT,
    size_bytes INTEGER NOT NULL,
    bound_bytes INTEGER,
    since_s INTEGER NOT NULL,
    sha256 BLOB,
    crc64nvme BLOB,
    md5 BLOB,
    plan BLOB,
    extra TEXT
) STRICT;
CREATE INDEX objects_of ON objects (source_id, ordinal);
CREATE INDEX open_objects ON objects (state) WHERE state > 2;
CREATE TABLE keys (hash INTEGER NOT NULL, id INTEGER NOT NULL,
    PRIMARY KEY (hash, id)) WITHOUT ROWID, STRICT;
CREATE TABLE tokens (token TEXT PRIMARY KEY) WITHOUT ROWID, STRICT;
CREATE TABLE unwritten (number INTEGER PRIMARY KEY, id INTEGER NOT NULL, record TEXT) STRICT;
CREATE INDEX unwritten_of ON unwritten (id);
CREATE TABLE garbage (source_id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE counters (next_id INTEGER NOT NULL, next_number INTEGER NOT NULL,
    last_segment INTEGER NOT NULL, files INTEGER NOT NULL, objects INTEGER NOT NULL,
    bytes INTEGER NOT NULL) STRICT;
INSERT INTO counters VALUES (1, 1, 0, 0, 0, 0);
"""


def connect(path: Path, *, mode: str, busy_s: float = 10.0) -> sqlite3.Connection:
    """A connection whose transactions are begun by hand; any thread may use it, one at a time.

    Raises:
        LedgerError: There is no ledger, or it is not a database.
    """
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=busy_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
    except sqlite3.Error as error:
        raise LedgerError(f"cannot open the ledger {path}: {error}", path=str(path)) from error
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -16384")
    except sqlite3.Error as error:
        connection.close()
        raise LedgerError(f"cannot read the ledger {path}: {error}", path=str(path)) from error
    return connection


def migrate(connection: sqlite3.Connection, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Bring an open file to `VERSION`; `fill` adds the first rows of a new one.

    Raises:
        LedgerError: A newer stocktake wrote it.
    """
    if check_version(connection) == VERSION:
        return
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in TABLES.split(";\n"):
            connection.execute(statement)
        fill(connection)
        connection.execute("PRAGMA user_version = 1")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def shrink(connection: sqlite3.Connection) -> bool:
    """Give some pages back, if nothing is on a few in a hundred; True if some went."""
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    if free <= max(8, pages // 64):
        return False
    connection.execute(f"PRAGMA incremental_vacuum({_FREE_PAGES})").fetchall()
    return True


def check_version(connection: sqlite3.Connection) -> int:
    """The file's version; 0 is an empty file. Raises LedgerError if it is newer than ours."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise LedgerError(
            f"the ledger has version {version}, this stocktake knows {VERSION}",
            hint="upgrade: pip install --upgrade stocktake",
        )
    return version
