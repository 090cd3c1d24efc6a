"""The process that crash tests kill: imports one report of a folder into a catalog.

python import_child.py CATALOG STORE STAMP
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from stocktake.catalog import ImportOptions, ImportResult, import_snapshot, open_catalog
from stocktake.clock import Clock, SystemClock
from stocktake.inventory import ReadOptions, ReportAddress, open_report
from stocktake.store import ObjectBody
from stocktake.telemetry import Meter
from stocktake.testing import MemoryStore

BUCKET = "inventory"
SOURCE = "demo-data"
CONFIG = "daily"
MARGIN = timedelta(days=9 * 365)
"""Some of the deleted objects are younger, and so unconfirmed."""


class FolderStore(MemoryStore):
    """The files of a folder as objects; remembers which ones were fetched."""

    def __init__(self, root: Path) -> None:
        super().__init__(meter=Meter())
        self.fetched: list[str] = []
        self.describe("CreateBucket", BUCKET)
        self.describe("CreateBucket", SOURCE)
        for path in sorted((root / BUCKET).rglob("*")):
            if path.is_file():
                self.put(BUCKET, path.relative_to(root / BUCKET).as_posix(), path.read_bytes())

    def get(self, bucket: str, key: str, **parameters: object) -> ObjectBody:
        """Open an object and remember its key."""
        self.fetched.append(key)
        return super().get(bucket, key, **parameters)  # type: ignore[arg-type]


def run_import(
    catalog_path: Path, store: FolderStore, stamp: str, clock: Clock | None = None
) -> ImportResult:
    """Import the report of that stamp as a user would."""
    report = open_report(
        store,
        ReportAddress(BUCKET, "p", SOURCE, CONFIG),
        date=stamp,
        options=ReadOptions(read_configuration=False),
    )
    with open_catalog(str(catalog_path), create=True, clock=clock or SystemClock()) as catalog:
        return import_snapshot(catalog, report, ImportOptions(deletion_margin=MARGIN))


if __name__ == "__main__":
    folder_store = FolderStore(Path(sys.argv[2]))
    print("ready", flush=True)
    print(run_import(Path(sys.argv[1]), folder_store, sys.argv[3]).state)
