"""Snapshots made of Python rows, and the catalog's rules in a few lines of plain Python."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from stocktake.catalog._format import ObjectFile, SnapshotManifest, SnapshotStats
from stocktake.catalog._ranges import thin
from stocktake.catalog._runs import RunWriter, WrittenRows
from stocktake.catalog.engines._protocol import SnapshotView
from stocktake.model import SourceHeader, SourceKind, object_schema

Row = dict[str, Any]

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = ("key", "size_bytes", "last_modified", "etag", "storage_class")
VERSIONED = ("key", "version_id", "is_latest", "is_delete_marker", *PLAIN[1:])
_numbers = itertools.count()

# few letters make many equal and neighbouring keys; the last three sort differently in UTF-16
LETTERS = "ab/%\x00 é\uffff\U0001f600\U0010ffff"
FIXED = ("/", "//", "///", "a", "a/", "a//", "a/b", "/a", "a//b", "\uffff/", "\U0001f600/b", "007")
keys = st.text(LETTERS, min_size=1, max_size=6) | st.sampled_from(FIXED)
hours = st.integers(0, 6).map(lambda hour: (EPOCH + timedelta(hours=hour)).replace(tzinfo=None))
rows = st.fixed_dictionaries(
    {
        "key": keys,
        "size_bytes": st.none() | st.integers(0, 3),
        "last_modified": st.none() | hours,
        "etag": st.none() | st.sampled_from(["e1", "e2", "e3"]),
        "storage_class": st.none() | st.sampled_from(["STANDARD", "GLACIER", "standard", ""]),
    }
)
columns = st.sets(st.sampled_from(PLAIN[1:])).map(lambda names: ("key", *sorted(names)))


def unique_rows(**sizes: int) -> st.SearchStrategy[list[Row]]:
    """Rows of distinct keys, in any order."""
    return st.lists(rows, unique_by=lambda row: row["key"], **sizes)


def batch_of(content: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array([row.get(f.name) for row in content], f.type) for f in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def header(columns: Sequence[str], excluded: Sequence[str] = ()) -> SourceHeader:
    return SourceHeader(
        kind=SourceKind.AWS_INVENTORY,
        bucket="photos",
        config_id="daily",
        as_of=EPOCH,
        identity="x",
        location="memory://",
        columns=tuple(object_schema(columns).names),
        excluded_prefixes=tuple(excluded),
    )


def manifest_of(
    files: Sequence[ObjectFile],
    columns: Sequence[str] = PLAIN,
    excluded: Sequence[str] = (),
    samples: Sequence[str] = (),
) -> SnapshotManifest:
    return SnapshotManifest(
        snapshot_id="snp_1",
        created_at="2026-01-01T00:00:00Z",
        header=header(columns, excluded),
        files=tuple(files),
        undecodable_files=(),
        stats=SnapshotStats(0, None, sum(file.rows for file in files), 0),
        quantiles=tuple(thin(list(samples), 100)),
    )


def write_parts(
    folder: Path,
    parts: Iterable[Sequence[Row]],
    columns: Sequence[str],
    excluded: Sequence[str] = (),
) -> tuple[SnapshotView, list[WrittenRows]]:
    """A snapshot's object files, one per part that has rows, as an import would write them."""
    schema = object_schema(columns)
    place = folder / f"snapshot-{next(_numbers)}"
    place.mkdir()
    files, written = [], []
    for index, part in enumerate(part for part in parts if part):
        name = f"{index}.parquet"
        with (place / name).open("wb") as sink:
            writer = RunWriter(sink, schema, run_rows=8)
            for start in range(0, len(part), 3):
                writer.add(batch_of(part[start : start + 3], schema))
            written.append(writer.close())
        files.append(written[-1].to_file(name, (place / name).stat().st_size))
    samples = [key for rows in written for key in rows.samples]
    manifest = manifest_of(files, columns, excluded, samples)
    paths = tuple(str(place / file.name) for file in files)
    return SnapshotView(manifest, paths, str(place / "folders.parquet")), written


def split(content: Sequence[Row], pieces: int) -> list[list[Row]]:
    """The rows dealt out to that many parts."""
    return [list(content[start::pieces]) for start in range(pieces)]


def current(
    content: Iterable[Row], columns: Sequence[str], excluded: Sequence[str] = ()
) -> list[Row]:
    """Rows that are objects now, with only the columns that are there."""
    found = []
    for row in content:
        known = {name: row.get(name) for name in columns}
        if "is_latest" in known and known["is_latest"] is not True:
            continue
        if known.get("is_delete_marker") is True or known["key"].startswith(tuple(excluded)):
            continue
        found.append(known)
    return found


def is_marker(row: Row) -> bool:
    return row["key"].endswith("/") and not row.get("size_bytes")


class Figures:
    """What one folder adds up to."""

    def __init__(self) -> None:
        self.objects = 0
        self.sizes: list[int] = []
        self.dates: list[datetime] = []
        self.classes: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        self.objects += 1
        if row.get("size_bytes") is not None:
            self.sizes.append(row["size_bytes"])
            if row.get("storage_class") is not None:
                self.classes[row["storage_class"]] += row["size_bytes"]
        if row.get("last_modified") is not None:
            self.dates.append(row["last_modified"])

    def size_bytes(self, columns: Sequence[str]) -> int | None:
        if "size_bytes" not in columns or (self.objects and not self.sizes):
            return None
        return sum(self.sizes)


def folders_model(
    content: Iterable[Row], columns: Sequence[str], excluded: Sequence[str] = ()
) -> dict[str, Row]:
    """Every folder and its figures, by looking at every ancestor of every key."""
    direct: dict[str, Figures] = {"": Figures()}
    total: dict[str, Figures] = {"": Figures()}
    for row in current(content, columns, excluded):
        key = row["key"]
        ancestors = ["", *(key[: at + 1] for at, char in enumerate(key) if char == "/")]
        for folder in ancestors:
            direct.setdefault(folder, Figures())
            total.setdefault(folder, Figures())
        if is_marker(row):
            continue
        direct[ancestors[-1]].add(row)
        for folder in ancestors:
            total[folder].add(row)
    children: Counter[str] = Counter(_parent(folder) for folder in total if folder)
    return {
        folder: {
            "folder": folder,
            "parent": _parent(folder) if folder else None,
            "depth": folder.count("/"),
            "direct_objects": direct[folder].objects,
            "direct_bytes": direct[folder].size_bytes(columns),
            "total_objects": figures.objects,
            "total_bytes": figures.size_bytes(columns),
            "newest": max(figures.dates, default=None),
            "child_folders": children[folder],
            "bytes_by_class": dict(figures.classes),
        }
        for folder, figures in total.items()
    }


def _parent(folder: str) -> str:
    return folder[: folder[:-1].rfind("/") + 1]


def diff_model(
    old: dict[str, Row], new: dict[str, Row], deleted_before: datetime | None = None
) -> dict[str, tuple[str, str | None]]:
    """Key -> (change, renamed_from), from current rows by key."""
    changes: dict[str, tuple[str, str | None]] = {}
    for key in old.keys() | new.keys():
        if key not in old:
            changes[key] = ("new", None)
        elif key not in new:
            young = (
                deleted_before is not None
                and old[key].get("last_modified") is not None
                and old[key]["last_modified"].replace(tzinfo=UTC) >= deleted_before
            )
            changes[key] = ("unconfirmed" if young else "deleted", None)
        elif _differs(old[key], new[key]):
            changes[key] = ("modified", None)
    gone, came = defaultdict(list), defaultdict(list)
    for key, (change, _) in sorted(changes.items()):
        if change == "deleted" and old[key].get("etag") and old[key].get("size_bytes"):
            gone[old[key]["etag"], old[key]["size_bytes"]].append(key)
        if change == "new" and new[key].get("etag") and new[key].get("size_bytes"):
            came[new[key]["etag"], new[key]["size_bytes"]].append(key)
    for content, old_keys in gone.items():
        for old_key, new_key in zip(old_keys, came[content], strict=False):
            del changes[old_key]
            changes[new_key] = ("renamed", old_key)
    return changes


def _differs(old: Row, new: Row) -> bool:
    def known_and_unequal(name: str) -> bool:
        pair = (old.get(name), new.get(name))
        return None not in pair and pair[0] != pair[1]

    if known_and_unequal("etag") or known_and_unequal("size_bytes"):
        return True
    no_etag = old.get("etag") is None or new.get("etag") is None
    return no_etag and known_and_unequal("last_modified")
