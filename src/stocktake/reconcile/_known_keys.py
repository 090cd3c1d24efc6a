"""What the catalog knows of the keys below an address: hints that save requests."""

from __future__ import annotations

from dataclasses import dataclass

from stocktake.catalog import Catalog, list_snapshots
from stocktake.model import S3Url


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """Keys that cut what was last known into about equal pieces, and how many rows it was."""

    split_keys: tuple[str, ...] = ()
    rows: int | None = None


def known_keys(catalog: Catalog, source: S3Url) -> KnownKeys:
    """Of the newest snapshot that covers the address; nothing if there is none."""
    for one in list_snapshots(catalog, source=source.bucket):
        prefix = one.coverage.prefix
        if prefix is None or not source.key.startswith(prefix):
            continue
        everything, rows = one.manifest.quantiles, one.manifest.stats.rows
        here = tuple(key for key in everything if key.startswith(source.key))
        return KnownKeys(here, rows * len(here) // len(everything)) if here else KnownKeys()
    return KnownKeys()
