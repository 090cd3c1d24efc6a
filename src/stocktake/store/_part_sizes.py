"""How large the parts of an upload are: one size from the first to the last but one.

Some stores refuse uploads whose parts differ in size, so the size is fixed before the first part,
from a bound on the whole. Sources: S3's limits on multipart uploads.
"""

from __future__ import annotations

from stocktake.errors import SourceTooLargeError

MIB = 1 << 20
PARTS_MAX = 10_000
PART_BYTES_MAX = 5 << 30
PLANNED_PARTS = 9_000
"""A bound that was an estimate may be passed by a tenth."""

OBJECT_BYTES_MAX = PARTS_MAX * PART_BYTES_MAX
"""48.8 TiB. What a store takes at most may be less; it then says so."""

IN_FLIGHT_BYTES_MAX = 64 * MIB
PARTS_AT_ONCE = 4
TABLE_PARTS_AT_ONCE = 1
"""Parquet is made more slowly than it is sent: more would only wait."""


def part_size_bytes(bound_bytes: int, part_bytes_min: int) -> int:
    """The size of the parts of an object of at most `bound_bytes`, in whole MiB.

    Raises:
        SourceTooLargeError: No parts that S3 takes could hold it.
    """
    if bound_bytes > OBJECT_BYTES_MAX:
        raise SourceTooLargeError(
            f"{bound_bytes:,} bytes do not fit into one object: {OBJECT_BYTES_MAX:,} do",
            size_bytes=bound_bytes,
            limit_bytes=OBJECT_BYTES_MAX,
        )
    # at the far end 9,000 parts are too few, and a bound is then a size, not an estimate
    parts = PLANNED_PARTS if bound_bytes <= PLANNED_PARTS * PART_BYTES_MAX else PARTS_MAX
    size_bytes = max(part_bytes_min, -(-bound_bytes // parts))
    return min(PART_BYTES_MAX, -(-size_bytes // MIB) * MIB)


def parts_at_once(part_bytes: int, *, at_most: int = PARTS_AT_ONCE) -> int:
    """Parts that may be in flight beside the one that is being filled."""
    return max(1, min(at_most, IN_FLIGHT_BYTES_MAX // part_bytes - 1))
