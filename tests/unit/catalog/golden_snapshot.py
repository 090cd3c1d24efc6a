"""The content of the golden snapshot, and how its files were made.

    python tests/unit/catalog/golden_snapshot.py FOLDER

writes a snapshot of the present format version. The committed ones are never written again: every
later stocktake must load them.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stocktake.catalog import find_snapshot, import_snapshot, open_catalog
from stocktake.clock import FixedClock
from stocktake.model import Coverage
from stocktake.testing import MemoryPart, MemorySource

Row = dict[str, Any]

AS_OF = datetime(2026, 1, 5, 1, tzinfo=UTC)
COLUMNS = (
    "key", "version_id", "is_latest", "is_delete_marker", "size_bytes", "last_modified", "etag",
    "storage_class", "checksum_algorithm", "extra_encryption_status",
)  # fmt: skip


def row(key: str, size_bytes: int | None, day: int, **more: Any) -> Row:
    known = {
        "key": key,
        "version_id": "null",
        "is_latest": True,
        "is_delete_marker": False,
        "size_bytes": size_bytes,
        "last_modified": datetime(2025, 1, day, 12, 30, 15, 250_000, tzinfo=UTC),
        "etag": f"{day:032x}",
        "storage_class": "STANDARD",
        "checksum_algorithm": None,
        "extra_encryption_status": "SSE-S3",
    }
    return known | more


ROWS: tuple[Row, ...] = (
    row("/leading", 1, 1),
    row("a", 2, 2, etag="0" * 31 + "f-3", checksum_algorithm="CRC64NVME"),
    row("a//b", 4, 3),
    row("a/b", 8, 4, storage_class="GLACIER"),
    row("data/", 0, 5),
    row("inv/photos/daily/data/1.csv.gz", 16, 6),
    row("line\nbreak", 32, 7),
    row("old", None, 9, version_id="v2", is_delete_marker=True, etag=None, storage_class=None),
    row("old", 64, 8, version_id="v1", is_latest=False),
    row("\uffff", 128, 10),
    row("\U0001f600/x", 256, 11, extra_encryption_status=None),
)
UNDECODABLE = row("%FF", 512, 12)
UNCONFIRMED = row("young", 1024, 13, last_modified=AS_OF - timedelta(hours=1))


def make(place: Path) -> None:
    """Import the rows into a catalog and keep the snapshot's folder alone."""
    catalog_path = place.with_name(f"{place.name}.catalog")
    first = MemorySource(
        [[*ROWS, UNCONFIRMED]],
        columns=COLUMNS,
        as_of=AS_OF - timedelta(days=1),
        excluded_prefixes=("inv/photos/daily/",),
    )
    second = MemorySource(
        [MemoryPart([*ROWS[6:], *ROWS[:3]], undecodable=[UNDECODABLE]), ROWS[3:6], ROWS[:1]],
        columns=COLUMNS,
        as_of=AS_OF,
        coverage=Coverage("", "all", "0123456789abcdef"),
        excluded_prefixes=("inv/photos/daily/",),
        attrs={"format": "CSV", "key_encoding": "form"},
    )
    clock = FixedClock(AS_OF + timedelta(hours=6))
    with open_catalog(str(catalog_path), create=True, clock=clock) as catalog:
        for source in (first, second):
            import_snapshot(catalog, source)
        newest = find_snapshot(catalog, "latest")
        shutil.copytree(catalog_path / newest.path, place)
    shutil.rmtree(catalog_path)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
