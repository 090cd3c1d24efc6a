"""The three sides of a sync as streams in key order, and the merge of them.

Each side is read once, front to back; memory is a page of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from stocktake.manifests._dataset_values import Entry
from stocktake.manifests._local_files import OWN_FOLDER, LocalFile, Skipped, walk_folder
from stocktake.manifests._local_names import Exclusions, local_key
from stocktake.manifests._restore_folder import is_unfinished


class Listing(Protocol):
    """Batches of a listing in key order, as a `listing.Lister` gives them."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches."""


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """An object as a listing has it. `etag` is normalised."""

    size_bytes: int
    etag: str | None


@dataclass(frozen=True, slots=True)
class KeyRow:
    """Everything that is known of one key; at least one of the three is there."""

    key: str
    entry: Entry | None
    file: LocalFile | None
    remote: RemoteObject | None


class LocalSide:
    """The files of a folder by their keys, and what of it nobody can say anything about."""

    def __init__(self, root: Path, prefix: str, exclude: Sequence[str]) -> None:
        self._root = root
        self._prefix = prefix
        self._exclude = exclude
        self._unknown: set[str] = set()
        self.skipped: list[Skipped] = []
        self.files = 0

    def __iter__(self) -> Iterator[tuple[str, LocalFile]]:
        for file in walk_folder(self._root, exclude=self._exclude, skipped=self._skip):
            if not is_unfinished(file.path):
                self.files += 1
                yield self._prefix + file.key, file

    def _skip(self, one: Skipped) -> None:
        self.skipped.append(one)
        self._unknown.add(local_key(one.path))

    def is_unknown(self, key: str) -> bool:
        """Whether the folder has something there that was not looked at: it is not deleted.

        To be asked once the walk is beyond the key.
        """
        if not self._unknown:
            return False
        path = key[len(self._prefix) :]
        while path:
            if path in self._unknown:
                return True
            path = path.rpartition("/")[0]
        return False


class KeyFilter:
    """Which keys below a prefix are part of a dataset that is synchronised with a folder."""

    def __init__(self, prefix: str, exclude: Sequence[str]) -> None:
        self._prefix = prefix
        self._own = f"{prefix}{OWN_FOLDER}/"
        self._exclusions = Exclusions.of(exclude)
        self._folder, self._folder_out = "", False

    def takes(self, key: str) -> bool:
        """Whether it is not stocktake's own, not excluded, and no folder is excluded above it."""
        if key.startswith(self._own) or not key.startswith(self._prefix):
            return False
        if not self._exclusions.globs:
            return True
        path = key[len(self._prefix) :]
        return not (self._is_below_excluded(path) or self._exclusions.matches(path))

    def _is_below_excluded(self, path: str) -> bool:
        folder = path.rpartition("/")[0]
        if folder != self._folder:
            names = folder.split("/")
            above = ("/".join(names[: depth + 1]) for depth in range(len(names)))
            self._folder, self._folder_out = folder, any(map(self._exclusions.matches, above))
        return self._folder_out


class RemoteSide:
    """The objects of a listing; folder markers are counted and left out."""

    def __init__(self, listing: Iterable[pa.RecordBatch], keys: KeyFilter) -> None:
        self._listing = listing
        self._keys = keys
        self.objects = 0
        self.markers = 0

    def __iter__(self) -> Iterator[tuple[str, RemoteObject]]:
        for batch in self._listing:
            columns = (batch.column(name).to_pylist() for name in ("key", "size_bytes", "etag"))
            for key, size_bytes, etag in zip(*columns, strict=True):
                if not self._keys.takes(key):
                    continue
                if key.endswith("/"):
                    self.markers += 1
                    continue
                self.objects += 1
                yield key, RemoteObject(size_bytes, etag)


def keyed_entries(entries: Iterable[Entry], keys: KeyFilter) -> Iterator[tuple[str, Entry]]:
    """The entries of a manifest that this sync is about."""
    for entry in entries:
        key = entry.record.s3_key
        if keys.takes(key) and not key.endswith("/"):
            yield key, entry


def merge_sides(
    entries: Iterable[tuple[str, Entry]],
    files: Iterable[tuple[str, LocalFile]],
    objects: Iterable[tuple[str, RemoteObject]],
) -> Iterator[KeyRow]:
    """One row for every key that any side has, in key order. Each side is in order, each key once.

    Text compares by code point, which is the order of its UTF-8 bytes.
    """
    base, local, remote = iter(entries), iter(files), iter(objects)
    entry, file, there = next(base, None), next(local, None), next(remote, None)
    while entry or file or there:
        key = min(one[0] for one in (entry, file, there) if one is not None)
        has_entry, has_file = entry is not None and entry[0] == key, file and file[0] == key
        row = KeyRow(
            key,
            entry[1] if entry is not None and has_entry else None,
            file[1] if file is not None and has_file else None,
            there[1] if there is not None and there[0] == key else None,
        )
        if row.entry is not None:
            entry = next(base, None)
        if row.file is not None:
            file = next(local, None)
        if row.remote is not None:
            there = next(remote, None)
        yield row
