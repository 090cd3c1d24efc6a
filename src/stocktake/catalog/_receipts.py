"""What an import cost, kept beside what it came to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from stocktake.catalog._catalog import Catalog
from stocktake.errors import SnapshotNotFoundError
from stocktake.state import imports

_PUBLISHED = imports.c.state == "published"


def keep_receipt(catalog: Catalog, snapshot_id: str, receipt: dict[str, Any]) -> None:
    """Add the receipt of the run that published a snapshot to what is known of that import.

    Raises:
        SnapshotNotFoundError: No import published a snapshot of that id.
    """
    with catalog.state.write() as connection:
        kept = _read(connection.execute(_of(snapshot_id)).scalar_one_or_none(), snapshot_id)
        connection.execute(
            update(imports)
            .where(imports.c.snapshot_id == snapshot_id, _PUBLISHED)
            .values(receipt={**kept, "receipt": receipt})
        )


def import_receipt(catalog: Catalog, snapshot_id: str) -> dict[str, Any]:
    """What the import of a snapshot came to (`ImportResult.to_dict`); `receipt` is what it cost.

    Raises:
        SnapshotNotFoundError: No import published a snapshot of that id.
    """
    with catalog.state.read() as connection:
        return _read(connection.execute(_of(snapshot_id)).scalar_one_or_none(), snapshot_id)


def _of(snapshot_id: str) -> Any:
    return select(imports.c.receipt).where(imports.c.snapshot_id == snapshot_id, _PUBLISHED)


def _read(receipt: dict[str, Any] | None, snapshot_id: str) -> dict[str, Any]:
    if receipt is None:
        raise SnapshotNotFoundError(f"no import of `{snapshot_id}` is known", id=snapshot_id)
    return receipt
