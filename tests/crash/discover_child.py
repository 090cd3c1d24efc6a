"""The process that crash tests kill: discovers one prefix.

python discover_child.py CATALOG STORE STRATEGY
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from stocktake.catalog import Catalog, open_catalog
from stocktake.clock import Clock, SystemClock
from stocktake.ingest import DiscoveryReport, IngestionSpec, discover
from stocktake.listing import StrategyName
from stocktake.model import S3Url
from stocktake.testing import MemoryStore

BUCKET = "drop"
SOURCE = S3Url(BUCKET, "in/")


class DropStore(MemoryStore):
    """The files of a folder as objects that are as old as the files say."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.describe("CreateBucket", BUCKET)
        for path in sorted(root.rglob("*")):
            if path.is_file():
                self._clock = _Stamp(path.stat().st_mtime)
                self.put(BUCKET, f"in/{path.relative_to(root).as_posix()}", path.read_bytes())


class _Stamp(SystemClock):
    def __init__(self, at_s: float) -> None:
        self._at = datetime.fromtimestamp(at_s, UTC)

    def now(self) -> datetime:
        """That instant."""
        return self._at


def run_discovery(
    catalog_path: Path, store_path: Path, strategy: str, clock: Clock | None = None
) -> DiscoveryReport:
    """Discover as a user would."""
    with open_catalog(str(catalog_path), create=True, clock=clock or SystemClock()) as catalog:
        return discover_in(catalog, store_path, strategy)


def discover_in(catalog: Catalog, store_path: Path, strategy: str) -> DiscoveryReport:
    spec = IngestionSpec("drop", SOURCE, StrategyName(strategy))
    return discover(catalog, DropStore(store_path), spec)


if __name__ == "__main__":
    print("ready", flush=True)
    report = run_discovery(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    print(report.claim.scan)
