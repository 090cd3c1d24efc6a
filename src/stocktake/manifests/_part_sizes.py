"""Which part sizes an upload of so many parts may have had.

An ETag of a multipart upload says how many parts there were, not how large. Tools use one size for
all parts but the last, so few sizes are left. The list holds what tools use unless told otherwise
and how they enlarge it for large files; then whole MiB and MB; then equal parts.

Sources: AWS CLI and SDK for Python 8 MiB, doubled beyond 10,000 parts; SDKs for Java, Go and
JavaScript 5 MiB; rclone 5 MiB, then whole MiB; s3cmd 15 MiB; s5cmd 50 MiB; MinIO's client 16 MiB
and multiples, earlier 64 MiB; the AWS console 17,179,870 bytes; Hadoop 64 MiB, 100 and 128 MiB;
s3fs 10 MiB; goofys and others 25 MiB; this product: `ship`'s rule.
"""

from __future__ import annotations

from collections.abc import Iterator

MIB = 1 << 20
MB = 1_000_000
PARTS_MAX = 10_000
PART_BYTES_MAX = 5 << 30
GUESSES_MAX = 32
"""Every guess costs an MD5 of the whole file."""

_USUAL_MIB = (8, 5, 15, 16, 50, 64, 10, 100, 128, 25, 20, 32, 12, 6, 7, 30, 48, 60, 96, 120)
_LARGE_MIB = (200, 250, 256, 500, 512, 1000, 1024, 2048, 5120)
_CONSOLE_BYTES = 17_179_870
_OWN_PARTS = 9_000


def part_size_guesses(size_bytes: int, parts: int) -> list[int]:
    """Part sizes that give exactly `parts` parts, the likeliest first, at most `GUESSES_MAX`.

    Empty if none can: more parts than bytes, or more than S3 takes.
    """
    if not 1 <= parts <= PARTS_MAX or size_bytes < 0:
        return []
    if parts == 1:
        return [max(1, size_bytes)]
    smallest, largest = _bounds(size_bytes, parts)
    found: dict[int, None] = {}
    for guess in _candidates(size_bytes, parts, smallest, largest):
        if smallest <= guess <= largest:
            found[guess] = None
        if len(found) >= GUESSES_MAX:
            break
    return list(found)


def parts_of(size_bytes: int, part_size_bytes: int) -> int:
    """How many parts of that size a file has; an empty one has one."""
    return max(1, -(-size_bytes // part_size_bytes))


def _bounds(size_bytes: int, parts: int) -> tuple[int, int]:
    """The smallest and the largest size that give so many parts; the first is larger if none."""
    smallest = -(-size_bytes // parts)
    largest = -(-size_bytes // (parts - 1)) - 1
    return max(1, smallest), min(largest, PART_BYTES_MAX)


def _candidates(size_bytes: int, parts: int, smallest: int, largest: int) -> Iterator[int]:
    for mib in _USUAL_MIB:
        yield mib * MIB
    yield _CONSOLE_BYTES
    yield from _enlarged(size_bytes)
    for mib in _LARGE_MIB:
        yield mib * MIB
    for megabytes in (*_USUAL_MIB, *_LARGE_MIB):
        yield megabytes * MB
    yield -(-smallest // MIB) * MIB
    yield smallest
    yield from _whole(MIB, smallest, largest)
    yield from _whole(MB, smallest, largest)


def _enlarged(size_bytes: int) -> Iterator[int]:
    """What tools choose when their usual size would give too many parts."""
    yield max(64 * MIB, _up(-(-size_bytes // _OWN_PARTS), MIB))
    equal = -(-size_bytes // PARTS_MAX)
    yield _up(equal, MIB)
    yield equal
    yield size_bytes // PARTS_MAX + 1
    yield _up(equal, 16 * MIB)
    yield _up(equal, 64 * MIB)
    doubled = 8 * MIB
    while parts_of(size_bytes, doubled) > PARTS_MAX:
        doubled *= 2
    yield doubled


def _whole(unit: int, smallest: int, largest: int) -> Iterator[int]:
    first = -(-smallest // unit) * unit
    yield from range(first, min(largest, first + GUESSES_MAX * unit) + 1, unit)


def _up(size_bytes: int, unit: int) -> int:
    return -(-size_bytes // unit) * unit
