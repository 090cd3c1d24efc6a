"""The bucket of the demo: a photo archive, a small data lake and some awkward keys.

Everything is computed from the keys, so every run makes the same bucket and the same changes.

>>> len(first_state()), sum(first_state().values()) > 20_000_000
(2207, True)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

BUCKET = "demo-archive"

_EVENTS = (
    ("2024", "03-16 Harbour Regatta", 180),
    ("2024", "07-02 Garden Wedding", 240),
    ("2025", "01-25 Old Town at Night", 150),
    ("2025", "06-14 Lake Portraits", 210),
    ("2026", "05-09 Castle Concert", 200),
    ("2026", "09-27 Vineyard Hike", 190),
)
_TABLES = ("clicks", "invoices", "orders")
_DAYS = range(1, 31)
_PARTS = 4
_SIDECAR_EVERY = 2
_BACKED_UP = 60
_AWKWARD = (
    "notes/50% off + free shipping.txt",
    "notes/naïve café 日本語.txt",
    "notes/two\nlines.txt",
    "notes/right\u202eto left.txt",
    "notes//double slash.txt",
    "notes/../not a parent.txt",
    "notes/=SUM(A1:A9).csv",
    "notes/",
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What happens between the two reports.

    Attributes:
        puts: Key -> (whose bytes it gets, how many): new, overwritten and renamed objects.
        deletes: Keys that go, those of renamed objects included.
        new: New objects.
        modified: Overwritten objects.
        deleted: Objects that go for good.
        renamed: Objects that move.
    """

    puts: Mapping[str, tuple[str, int]]
    deletes: tuple[str, ...]
    new: int
    modified: int
    deleted: int
    renamed: int


def first_state() -> dict[str, int]:
    """Key -> size in bytes."""
    state = dict(_photos()) | dict(_lake(_DAYS)) | dict.fromkeys(_AWKWARD, 40)
    state["notes/"] = 0
    state |= {f"tmp/upload-{number:03d}.part": 9_000 for number in range(24)}
    copies = [key for key in state if key.startswith("photos/2026/05-09")][:_BACKED_UP]
    return state | {f"backup/{key}": state[key] for key in copies}


def changes() -> Changes:
    """The changes, from `first_state`."""
    before = first_state()
    new = dict(_event("2026", "11-14 Beach Birthday", 120)) | dict(_lake(range(31, 32)))
    modified = [key for key in before if key.startswith("photos/2025") and key.endswith(".xmp")]
    modified += [key for key in before if "/orders/day=2026-10-3" in key]
    deleted = [key for key in before if key.startswith(("tmp/", "lake/clicks/day=2026-10-01"))]
    moved = {
        key: key.replace("09-27 Vineyard Hike", "09-27 Vineyard Hike (final)")
        for key in before
        if "09-27 Vineyard Hike/IMG_00" in key and key.endswith(".jpg")
    }
    puts = {key: (key, size) for key, size in new.items()}
    puts |= {key: (f"{key} again", before[key] + 100) for key in modified}
    puts |= {target: (key, before[key]) for key, target in moved.items()}
    return Changes(
        puts=puts,
        deletes=(*deleted, *moved),
        new=len(new),
        modified=len(modified),
        deleted=len(deleted),
        renamed=len(moved),
    )


def body_of(name: str, size_bytes: int) -> bytes:
    """Bytes that belong to a name: the same name has the same bytes, so copies are duplicates."""
    name = name.removeprefix("backup/")
    block = hashlib.sha256(name.encode()).digest()
    return (block * (size_bytes // len(block) + 1))[:size_bytes]


def _photos() -> Iterator[tuple[str, int]]:
    for year, title, images in _EVENTS:
        yield from _event(year, title, images)


def _event(year: str, title: str, images: int) -> Iterator[tuple[str, int]]:
    for number in range(1, images + 1):
        key = f"photos/{year}/{title}/IMG_{number:04d}"
        yield f"{key}.jpg", _between(key, 8_000, 40_000)
        if number % _SIDECAR_EVERY == 0:
            yield f"{key}.xmp", _between(key, 600, 1_400)


def _lake(days: range) -> Iterator[tuple[str, int]]:
    for table in _TABLES:
        for day in days:
            for part in range(_PARTS):
                key = f"lake/{table}/day=2026-10-{day:02d}/part-{part}.parquet"
                yield key, _between(key, 4_000, 24_000)


def _between(key: str, low: int, high: int) -> int:
    digest = hashlib.sha256(key.encode()).digest()
    return low + int.from_bytes(digest[:4], "big") % (high - low)
