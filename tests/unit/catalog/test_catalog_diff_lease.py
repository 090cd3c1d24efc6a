"""A snapshot that is being compared is not deleted under the comparison (CAT-6)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from stocktake.catalog import (
    delete_snapshot,
    diff_snapshots,
    find_snapshot,
    import_snapshot,
    open_catalog,
)
from stocktake.errors import SnapshotInUseError
from stocktake.testing import MemoryPart, MemorySource


class DeletesWhenItStarts:
    """Progress that tries to delete the older snapshot once changes come in."""

    def __init__(self, catalog: object) -> None:
        self.catalog = catalog
        self.refused = False

    def phase(self, name: str, total: int | None, unit: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def advance(self, amount: int) -> None:
        with pytest.raises(SnapshotInUseError):
            delete_snapshot(self.catalog, find_snapshot(self.catalog, "previous"), force=True)
        self.refused = True


def test_snapshot_under_comparison_is_in_use(tmp_path: Path) -> None:
    with open_catalog(str(tmp_path / "catalog"), create=True) as catalog:
        for day, keys in ((1, "ab"), (2, "abc")):
            parts = [MemoryPart(rows=[{"key": key} for key in keys])]
            as_of = datetime(2026, 1, day, tzinfo=UTC)
            import_snapshot(catalog, MemorySource(parts, columns=("key",), as_of=as_of))
        old, new = find_snapshot(catalog, "previous"), find_snapshot(catalog, "latest")
        watcher = DeletesWhenItStarts(catalog)
        assert diff_snapshots(catalog, old, new, progress=watcher).summary.new == 1
        assert watcher.refused
