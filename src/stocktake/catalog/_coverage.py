"""What two snapshots both speak about: nothing outside it may be called new or deleted."""

from __future__ import annotations

from dataclasses import dataclass

from stocktake.catalog._format import SnapshotManifest
from stocktake.errors import CoverageMismatchError
from stocktake.model import display_key


@dataclass(frozen=True, slots=True)
class CommonCoverage:
    """The key prefix that both snapshots cover, and what a reader of the comparison must know."""

    prefix: str
    warnings: tuple[str, ...] = ()


def common_coverage(old: SnapshotManifest, new: SnapshotManifest) -> CommonCoverage:
    """Where two snapshots can be compared.

    A prefix that is not known (a report does not carry its filter) is taken to be the other's, of
    the same source only: then a narrowed filter is left to the deletion guard.

    Raises:
        CoverageMismatchError: Other buckets, other configurations whose extent is not known, or
            prefixes without a key in common.
    """
    a, b = old.header, new.header
    if a.bucket != b.bucket:
        raise CoverageMismatchError(
            f"snapshots of `{a.bucket}` and `{b.bucket}` cannot be compared",
            hint="compare snapshots of one bucket",
        )
    one, other = a.coverage.prefix, b.coverage.prefix
    if (a.config_id, a.kind) != (b.config_id, b.kind) and (one is None or other is None):
        raise CoverageMismatchError(
            f"`{a.source_name}` and `{b.source_name}` may cover different keys: the filter of at "
            "least one is not known",
            hint="allow s3:GetInventoryConfiguration and import again, so that the filter is kept",
        )
    warnings = _warnings(old, new)
    if one is None or other is None:
        return CommonCoverage(one or other or "", warnings)
    shorter, longer = sorted((one, other), key=len)
    if not longer.startswith(shorter):
        raise CoverageMismatchError(
            f"no key is in both snapshots: they cover `{display_key(one)}` and "
            f"`{display_key(other)}`"
        )
    if one != other:
        note = f"the filter changed: only keys below `{display_key(longer)}` are compared"
        warnings = (*warnings, note)
    return CommonCoverage(longer, warnings)


def _warnings(old: SnapshotManifest, new: SnapshotManifest) -> tuple[str, ...]:
    a, b = old.header, new.header
    notes = []
    if a.coverage.versions != b.coverage.versions:
        notes.append(
            f"the report changed from {a.coverage.versions} to {b.coverage.versions} versions: "
            "current objects are compared"
        )
    lost = sorted(set(a.columns) - set(b.columns))
    came = sorted(set(b.columns) - set(a.columns))
    if lost or came:
        change = ", ".join([*(f"-{name}" for name in lost), *(f"+{name}" for name in came)])
        notes.append(f"the report's columns changed ({change}): absent ones are not compared")
    hashes = (a.coverage.config_hash, b.coverage.config_hash)
    if None not in hashes and hashes[0] != hashes[1]:
        notes.append("the inventory configuration changed between the two reports")
    return tuple(notes)
