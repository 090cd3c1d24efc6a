"""One segment of a dataset's manifest: numbered records in a gzip file. docs/formats has the page.

A segment is one or more blocks, each a gzip member that begins with a header line. Segments are
merged by putting their bytes together, so nothing is decoded or lost by it.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stocktake.errors import SegmentError
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._record_json import record_from_json, record_line

FORMAT = "stocktake-manifest-segment"
VERSION = 1

_NAME = re.compile(r"(\d{12,18})-(\d{12,18})-([0-9a-z]{1,64})\.jsonl\.gz")


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as a listing shows it.

    Attributes:
        key: Where it is.
        first: Number of its first record.
        last: Number of its last record.
        ship_id: The ledger that numbered them.
        size_bytes: Of the object.
        written: When, by the store's clock.
    """

    key: str
    first: int
    last: int
    ship_id: str
    size_bytes: int
    written: datetime | None

    def holds(self, other: Segment) -> bool:
        """Whether everything of another segment is in this one."""
        return (
            self.ship_id == other.ship_id and self.first <= other.first and self.last >= other.last
        )


def segment_name(first: int, last: int, ship_id: str) -> str:
    """The name of a segment, below the manifest's prefix."""
    return f"{first:012d}-{last:012d}-{ship_id}.jsonl.gz"


def parse_segment(
    prefix: str, key: str, size_bytes: int, written: datetime | None
) -> Segment | None:
    """A listed key as a segment; None if it is something else."""
    match = _NAME.fullmatch(key.removeprefix(prefix))
    if match is None:
        return None
    first, last, ship_id = match.groups()
    return Segment(key, int(first), int(last), ship_id, size_bytes, written)


def encode_block(ship_id: str, first: int, records: Sequence[UploadRecord]) -> bytes:
    """Consecutive records from number `first` on; the same records always give the same bytes."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "ship_id": ship_id,
        "first": first,
        "last": first + len(records) - 1,
    }
    lines = [json.dumps(header, separators=(",", ":")), *(record_line(one) for one in records)]
    return gzip.compress(("\n".join(lines) + "\n").encode(), compresslevel=6, mtime=0)


def segment_lines(body: bytes, key: str) -> list[str]:
    """The record lines of a segment in the order they were written.

    Raises:
        SegmentError: It is damaged, cut, or of a newer version.
    """
    try:
        lines = gzip.decompress(body).decode("utf-8").splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise SegmentError(f"manifest segment {key} is damaged: {error}", key=key) from error
    kept: list[str] = []
    place = 0
    while place < len(lines):
        count = _block_length(lines[place], key)
        block = lines[place + 1 : place + 1 + count]
        if len(block) < count:
            raise SegmentError(f"manifest segment {key} ends too early", key=key)
        kept.extend(block)
        place += 1 + count
    return kept


def _block_length(line: str, key: str) -> int:
    header = _object(line, key)
    if header.get("format") != FORMAT:
        raise SegmentError(f"manifest segment {key} has no header where one must be", key=key)
    if not isinstance(header.get("version"), int) or header["version"] > VERSION:
        raise SegmentError(
            f"manifest segment {key} has version {header.get('version')},"
            f" this stocktake knows {VERSION}",
            hint="upgrade: pip install --upgrade stocktake",
            key=key,
        )
    return int(header["last"]) - int(header["first"]) + 1


def _object(line: str, key: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise SegmentError(f"manifest segment {key} is damaged: {error}", key=key) from error
    if not isinstance(values, dict):
        raise SegmentError(f"manifest segment {key} is damaged: not an object", key=key)
    return values


def line_record(line: str, key: str) -> UploadRecord:
    """The record of a line."""
    return record_from_json(_object(line, key))


def newest_first(segments: Sequence[Segment]) -> list[Segment]:
    """Without those that another one holds, newest records first.

    Numbers are those of one ledger. When a lost one was not rebuilt they began anew: the ledger
    that wrote last comes first.
    """
    useful = [one for one in segments if not _is_held(one, segments)]
    last_written: dict[str, float] = {}
    for one in useful:
        stamp = one.written.timestamp() if one.written else 0.0
        last_written[one.ship_id] = max(stamp, last_written.get(one.ship_id, 0.0))
    return sorted(
        useful, key=lambda one: (last_written[one.ship_id], one.ship_id, one.last), reverse=True
    )


def _is_held(one: Segment, segments: Sequence[Segment]) -> bool:
    return any(other is not one and other.holds(one) for other in segments)


def mergeable(segments: Sequence[Segment], *, run_min: int, bytes_max: int) -> list[Segment]:
    """The first run of small neighbours that is worth merging; empty if there is none.

    `segments` are one ledger's and none holds another. Neighbours overlap or follow each other.
    """
    run: list[Segment] = []
    for one in sorted(segments, key=lambda each: each.first):
        tier = _tier(one)
        follows = run and one.first <= run[-1].last + 1
        fits = sum(each.size_bytes for each in run) + one.size_bytes <= bytes_max
        if run and not (follows and fits and tier == _tier(run[0])):
            if len(run) >= run_min:
                return run
            run = []
        run.append(one)
    return run if len(run) >= run_min else []


def _tier(one: Segment) -> int:
    return sum(one.size_bytes > limit for limit in (64 << 10, 512 << 10, 4 << 20))


def held_by_others(segments: Sequence[Segment]) -> Iterator[Segment]:
    """Segments whose records are all in another one: left by a merge that was killed."""
    return (one for one in segments if _is_held(one, segments))
