"""Digests of local files: one reading for all of them, and a cache that knows when they are stale.

A file counts as unchanged while device, inode, size, mtime and ctime are the same. Its content
could change within one tick of the file system's clock after it was read: what was written to so
shortly before is not kept, and read again the next time.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from stocktake.clock import Clock, SystemClock, format_utc
from stocktake.errors import LocalFolderError, MissingExtraError, SourceUnreadableError
from stocktake.manifests._local_files import (
    LocalFile,
    changed_error,
    open_local,
    recheck_local,
)
from stocktake.state import State, file_digests
from stocktake.store import crc64nvme, encode_crc64nvme

PIECE_BYTES = 1 << 20
PAGE_ROWS = 1_000
BATCH_ROWS = 500
"""Digests that a killed process may have to find again."""

SURPLUS_ROWS_MAX = 10_000
"""Rows of files that are gone, beyond as many as there are files."""

_TICK_NS = 100_000_000
_COARSE_TICK_NS = 2_000_000_000
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FileDigests:
    """What is known of a file's bytes.

    Attributes:
        md5: Hex.
        sha256: Hex.
        crc64nvme: Base64 as S3 has it; None without the extra that computes it.
    """

    size_bytes: int
    md5: str
    sha256: str
    crc64nvme: str | None


class FileHasher:
    """All digests of bytes that come in pieces."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._crc: int | None = _crc_start()
        self._size_bytes = 0

    def update(self, piece: bytes | memoryview) -> None:
        """The next bytes."""
        self._md5.update(piece)
        self._sha256.update(piece)
        if self._crc is not None:
            self._crc = crc64nvme(piece, self._crc)
        self._size_bytes += len(piece)

    def digests(self) -> FileDigests:
        """Of everything so far."""
        crc = None if self._crc is None else encode_crc64nvme(self._crc)
        return FileDigests(self._size_bytes, self._md5.hexdigest(), self._sha256.hexdigest(), crc)


def digest_file(root: Path, file: LocalFile) -> FileDigests:
    """Read a file of the folder once. The digests are those of one content, or an error.

    Raises:
        SourceChangedError: It changed since it was walked, or while it was read.
        SourceVanishedError: It is not there any more.
        SourceUnreadableError: It cannot be opened or read.
    """
    hasher = FileHasher()
    with open_local(root, file) as opened:
        left = file.size_bytes + 1
        while left:
            try:
                piece = os.read(opened.fileno(), min(PIECE_BYTES, left))
            except OSError as error:
                raise SourceUnreadableError(
                    f"`{file.key}` cannot be read: {error.strerror}", path=file.key
                ) from error
            if not piece:
                break
            hasher.update(piece)
            left -= len(piece)
        recheck_local(root, file, opened)
    if left != 1:
        raise changed_error(file)
    return hasher.digests()


class DigestCache:
    """Digests of the files of one folder, kept in the control database.

    Safe to share between threads. Cheapest when files are asked for in the order of a walk: then
    one query serves `PAGE_ROWS` of them. Use it as a context manager: what is new is committed in
    batches and at the end. Losing rows costs reading files again, nothing else.
    """

    def __init__(self, state: State, root: Path, *, clock: Clock | None = None) -> None:
        """`clock` is the machine's, which also stamps the files."""
        self._state = state
        self._root = root
        self._clock = clock or SystemClock()
        self._place = place_of(root)
        self._lock = threading.Lock()
        self._page: list[Row[Any]] = []
        self._page_covers: tuple[bytes, bytes | None] | None = None
        self._fresh: dict[bytes, tuple[LocalFile, FileDigests]] = {}

    def __enter__(self) -> DigestCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flush()

    def known(self, file: LocalFile) -> FileDigests | None:
        """What the cache has of exactly this content; never reads the file."""
        with self._lock:
            fresh = self._fresh.get(file.path)
            if fresh is not None:
                return fresh[1] if fresh[0] == file else None
            row = self._row(file.path)
        if row is None or not _is_of(row, file):
            return None
        return FileDigests(row.size_bytes, row.md5, row.sha256, row.crc64nvme)

    def digests(self, file: LocalFile) -> FileDigests:
        """From the cache, or by reading the file.

        Raises:
            SourceChangedError: It changed since it was walked, or while it was read.
            SourceVanishedError: It is not there any more.
            SourceUnreadableError: It cannot be opened or read.
        """
        found = self.known(file)
        if found is not None and (found.crc64nvme is not None or _crc_start() is None):
            return found
        began_ns = self.now_ns()
        found = digest_file(self._root, file)
        self.remember(file, found, began_ns=began_ns)
        return found

    def now_ns(self) -> int:
        """The machine's time, to be taken before a file is read."""
        return int(self._clock.now().timestamp() * _SECOND_NS)

    def remember(self, file: LocalFile, digests: FileDigests, *, began_ns: int) -> None:
        """Keep digests that somebody else found; `began_ns` is `now_ns()` from before the reading.

        The caller has made sure that the file did not change since (`recheck_local`).
        """
        if _is_too_young(file, began_ns):
            return
        with self._lock:
            self._fresh[file.path] = (file, digests)
            if len(self._fresh) < BATCH_ROWS:
                return
        self.flush()

    def flush(self) -> None:
        """Commit what is new."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
            self._page_covers = None
        if not fresh:
            return
        at = format_utc(self._clock.now())
        rows = [_values(self._place, file, found, at) for file, found in fresh.values()]
        with self._state.write() as connection:
            _upsert(connection, sorted(rows, key=lambda row: row["path"]))

    def drop_surplus(self, files: int, walk: Callable[[], Iterable[LocalFile]]) -> int:
        """Drop rows of files that are gone, once they are most of them; returns how many.

        Args:
            files: How many there are.
            walk: Gives them all, in key order; only called if there is a surplus.
        """
        self.flush()
        query = select(func.count()).where(file_digests.c.place == self._place)
        with self._state.read() as connection:
            rows = connection.execute(query).scalar_one()
        if rows <= 2 * files + SURPLUS_ROWS_MAX:
            return 0
        # escaped names come in another order than paths: a row that is lost to that is made anew
        return self._forget_missing(file.path for file in walk())

    def _forget_missing(self, seen: Iterable[bytes]) -> int:
        kept, after, dropped = iter(seen), b"", 0
        there = next(kept, None)
        while True:
            rows = self._query(after, inclusive=False)
            gone: list[bytes] = []
            for row in rows:
                path = bytes(row.path)
                while there is not None and there < path:
                    there = next(kept, None)
                if there != path:
                    gone.append(path)
            if gone:
                self._drop(gone)
                dropped += len(gone)
            if len(rows) < PAGE_ROWS:
                return dropped
            after = bytes(rows[-1].path)

    def _drop(self, paths: Sequence[bytes]) -> None:
        table = file_digests
        with self._state.write() as connection:
            connection.execute(
                delete(table).where(table.c.place == self._place, table.c.path.in_(paths))
            )

    def _row(self, path: bytes) -> Row[Any] | None:
        covers = self._page_covers
        if covers is None or path < covers[0] or (covers[1] is not None and path > covers[1]):
            self._page = self._query(path, inclusive=True)
            full = len(self._page) == PAGE_ROWS
            self._page_covers = (path, bytes(self._page[-1].path) if full else None)
        at = bisect_left(self._page, path, key=lambda row: bytes(row.path))
        if at < len(self._page) and bytes(self._page[at].path) == path:
            return self._page[at]
        return None

    def _query(self, path: bytes, *, inclusive: bool) -> list[Row[Any]]:
        table = file_digests
        bound = table.c.path >= path if inclusive else table.c.path > path
        statement = (
            select(table)
            .where(table.c.place == self._place, bound)
            .order_by(table.c.path)
            .limit(PAGE_ROWS)
        )
        with self._state.read() as connection:
            return list(connection.execute(statement))


def place_of(root: Path) -> str:
    """The folder, as rows about it have it: `host:/absolute/folder`.

    Raises:
        LocalFolderError: It is not there.
    """
    try:
        real = root.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise LocalFolderError(f"the folder `{root}` is not there", folder=str(root)) from error
    return f"{socket.gethostname()}:{os.fsencode(real).decode('utf-8', 'backslashreplace')}"


def _crc_start() -> int | None:
    try:
        return crc64nvme(b"")
    except MissingExtraError:
        return None


def _is_too_young(file: LocalFile, began_ns: int) -> bool:
    """Whether it could be written to once more without its times showing it."""
    coarse = file.mtime_ns % _SECOND_NS == 0 and file.ctime_ns % _SECOND_NS == 0
    return file.ctime_ns + (_COARSE_TICK_NS if coarse else _TICK_NS) > began_ns


def _is_of(row: Row[Any], file: LocalFile) -> bool:
    return (
        int(row.size_bytes) == file.size_bytes
        and int(row.mtime_ns) == file.mtime_ns
        and int(row.ctime_ns) == file.ctime_ns
        and str(row.device) == str(file.device)
        and str(row.inode) == str(file.inode)
    )


def _values(place: str, file: LocalFile, found: FileDigests, at: str) -> dict[str, Any]:
    return {
        "place": place,
        "path": file.path,
        "device": str(file.device),
        "inode": str(file.inode),
        "size_bytes": file.size_bytes,
        "mtime_ns": file.mtime_ns,
        "ctime_ns": file.ctime_ns,
        "md5": found.md5,
        "sha256": found.sha256,
        "crc64nvme": found.crc64nvme,
        "hashed_at": at,
    }


def _upsert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    table = file_digests
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    names = [column.name for column in table.columns if not column.primary_key]
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[table.c.place, table.c.path],
            set_={name: statement.excluded[name] for name in names},
        ),
        rows,
    )
