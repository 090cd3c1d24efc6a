"""Failed files out of the way, with the reason beside them, and back again for another try.

A file is only ever renamed. Where that is not possible (another file system, a folder that cannot
be written) it stays where it is: the ledger knows that it failed. `a/b.csv` goes to `a/b.csv` in
the error folder, or to `a/b~2.csv` if that is taken, with `b~2.csv.error.json` beside it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stocktake.ship._error_folder_rename import exists_at, open_folder, rename_new
from stocktake.ship._folder import identity_of, open_parent
from stocktake.ship._keys import escape_path
from stocktake.ship._records import Identity

if TYPE_CHECKING:
    from stocktake.ship._settings import ShipSettings

NOTE_SUFFIX = b".error.json"
_FORMAT = 1
_TRIES = 10_000
_NOTE_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Restored:
    """What `restore_failed` did.

    Attributes:
        restored: Paths that are in the folder again.
        kept: Paths that are not, and why.
    """

    restored: list[bytes]
    kept: list[tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class _Note:
    """An `.error.json` of ours: what it is about, and where that lies."""

    path: bytes
    place: Path
    name: bytes


def move_failed(
    settings: ShipSettings,
    path: bytes,
    error: Mapping[str, Any],
    *,
    identity: Identity | None = None,
) -> Path | None:
    """Move a failed file to the error folder and write why beside it.

    Args:
        settings: Where the folders are.
        path: Relative to the watched folder.
        error: What failed, as JSON values.
        identity: Of what failed: another file of that name is left alone. None: not compared.

    Returns:
        Where it is now; None if it stays where it is.
    """
    with contextlib.ExitStack() as stack:
        try:
            source_at, name = open_parent(settings.folder, path)
            stack.callback(os.close, source_at)
            status = os.stat(name, dir_fd=source_at, follow_symlinks=False)
            if identity is not None and identity_of(status) != identity:
                return None
            if _device(settings.error_folder) != status.st_dev or not stat.S_ISREG(status.st_mode):
                return None
            target = _at(settings.error_folder, path).parent
            target.mkdir(parents=True, exist_ok=True)
            target_at = open_folder(target)
            stack.callback(os.close, target_at)
            free = _move(source_at, name, target_at)
        except OSError:
            return None
        if free is None:
            _tidy(settings, target)
            return None
        with contextlib.suppress(OSError):  # no space for the reason: the ledger has it, too
            _write_note(target_at, free, _note_of(path, free, status, error))
        return target / os.fsdecode(free)


def restore_failed(settings: ShipSettings, paths: Collection[bytes] | None = None) -> Restored:
    """Put failed files back where they were, to be shipped again.

    A file that is there under that name is never replaced; of several failures of one path the
    latest goes back, the others stay.

    Args:
        settings: Where the folders are.
        paths: Which, relative to the watched folder; None: all.
    """
    notes: dict[bytes, list[_Note]] = {}
    for note in _notes(settings.error_folder):
        if paths is None or note.path in paths:
            notes.setdefault(note.path, []).append(note)
    done = Restored([], [])
    for path in sorted(set(notes) | set(paths or ())):
        found = notes.get(path) or _without_note(settings, path)
        if not found:
            continue
        why = _restore(settings, _latest(found))
        if why is None:
            done.restored.append(path)
        else:
            done.kept.append((path, why))
    return done


def _move(source_at: int, name: bytes, target_at: int) -> bytes | None:
    """Rename to the first name that is free together with its note's; None if it cannot be."""
    for number in range(1, _TRIES):
        free = _numbered(name, number)
        if exists_at(target_at, free + NOTE_SUFFIX):
            continue
        try:
            rename_new(source_at, name, target_at, free)
        except FileExistsError:
            continue
        except OSError:
            return None
        return free
    return None


def _numbered(name: bytes, number: int) -> bytes:
    """`b.csv`, `b~2.csv`, `b~3.csv`, ..."""
    if number == 1:
        return name
    stem, dot, extension = name.rpartition(b".")
    return b"%s~%d%s%s" % ((stem, number, dot, extension) if stem else (name, number, b"", b""))


def _note_of(
    path: bytes, name: bytes, status: os.stat_result, error: Mapping[str, Any]
) -> Mapping[str, Any]:
    return {
        "stocktake": _FORMAT,
        "path": escape_path(path),
        "path_raw": path.hex(),
        "file_raw": name.hex(),
        "size_bytes": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "error": dict(error),
    }


def _write_note(folder_at: int, name: bytes, note: Mapping[str, Any]) -> None:
    """Under another name first: a note that can be seen is whole."""
    part = b"." + name + NOTE_SUFFIX + b".part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(part, flags, 0o666, dir_fd=folder_at)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(note, file, indent=2, default=str)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        rename_new(folder_at, part, folder_at, name + NOTE_SUFFIX)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=folder_at)
        raise
    os.fsync(folder_at)


def _at(folder: Path, path: bytes) -> Path:
    return folder / os.fsdecode(path)


def _device(folder: Path) -> int:
    """The device of a folder, or of where it would be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.stat().st_dev


def _notes(top: Path) -> Iterator[_Note]:
    for place, _, names in os.walk(top):
        for name in names:
            if name.endswith(NOTE_SUFFIX.decode()):
                note = _read_note(Path(place), os.fsencode(name))
                if note is not None:
                    yield note


def _read_note(place: Path, name: bytes) -> _Note | None:
    """A note of ours; None for any other file of such a name, or one whose file is gone."""
    try:
        with _at(place, name).open("rb") as file:
            said = json.loads(file.read(_NOTE_BYTES_MAX))
        if said["stocktake"] != _FORMAT:
            return None
        path, moved = bytes.fromhex(said["path_raw"]), bytes.fromhex(said["file_raw"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    ours = moved + NOTE_SUFFIX == name and b"/" not in moved
    return _Note(path, place, moved) if ours and os.path.lexists(_at(place, moved)) else None


def _without_note(settings: ShipSettings, path: bytes) -> Sequence[_Note]:
    """A file whose note was never written: it lies where it would lie."""
    there = _at(settings.error_folder, path)
    name = path.rpartition(b"/")[2]
    return [_Note(path, there.parent, name)] if os.path.lexists(there) else []


def _latest(notes: Sequence[_Note]) -> _Note:
    """The file that was moved last: a rename sets ctime."""
    return max(notes, key=lambda one: os.lstat(_at(one.place, one.name)).st_ctime_ns)


def _restore(settings: ShipSettings, note: _Note) -> str | None:
    """Why it stays; None if it is back."""
    with contextlib.ExitStack() as stack:
        try:
            source_at = open_folder(note.place)
            stack.callback(os.close, source_at)
            _at(settings.folder, note.path).parent.mkdir(parents=True, exist_ok=True)
            target_at, name = open_parent(settings.folder, note.path)
            stack.callback(os.close, target_at)
            rename_new(source_at, note.name, target_at, name)
        except FileExistsError:
            return "another file of this name is there"
        except OSError as error:
            if error.errno == errno.EXDEV:
                return "it is on another file system: move it by hand"
            return str(error.strerror)
        with contextlib.suppress(OSError):
            os.unlink(note.name + NOTE_SUFFIX, dir_fd=source_at)
    _tidy(settings, note.place)
    return None


def _tidy(settings: ShipSettings, place: Path) -> None:
    """Remove folders that are empty now, the error folder too."""
    with contextlib.suppress(OSError):
        while place == settings.error_folder or settings.error_folder in place.parents:
            place.rmdir()
            place = place.parent
