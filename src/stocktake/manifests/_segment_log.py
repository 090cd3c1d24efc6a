"""A dataset's manifest as a log of segments in the bucket."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from stocktake import faults
from stocktake.errors import (
    AccessDeniedError,
    ForeignWriterError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnsupportedOperationError,
)
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._segment import (
    Segment,
    encode_block,
    held_by_others,
    line_record,
    mergeable,
    newest_first,
    parse_segment,
    segment_lines,
    segment_name,
)
from stocktake.store import (
    ListedObject,
    ListQuery,
    PutOptions,
    Store,
    crc64nvme,
    encode_crc64nvme,
    iter_listing,
)

MERGE_AT = 16
"""So many small neighbours become one."""

MERGED_BYTES_MAX = 4 << 20
_LISTINGS_MAX = 10


def manifest_prefix(key_prefix: str, dataset: str) -> str:
    """Where a dataset's segments are, below the prefix of all its keys."""
    return f"{key_prefix}.stocktake/manifests/{dataset}/"


class SegmentLog:
    """Appends numbered upload records to a manifest in the bucket, and reads them.

    Segments are written once, under a name that says which numbers of which ledger they hold.
    Whatever a killed process leaves are records that are there twice, never a gap.
    """

    def __init__(self, store: Store, bucket: str, prefix: str, *, checksum: bool = True) -> None:
        """`checksum` False: the store knows no CRC64NVME."""
        self._store = store
        self._checksum = checksum
        self._bucket = bucket
        self._prefix = prefix
        self._appended = MERGE_AT - 1

    def append(self, ship_id: str, first_number: int, records: Sequence[UploadRecord]) -> str:
        """Write consecutive records from this number on; gives the segment's key.

        Small segments are merged now and then. Writing the same records again changes nothing.

        Raises:
            ForeignWriterError: Another process writes with this ledger's name and numbers.
        """
        last = first_number + len(records) - 1
        key = self._prefix + segment_name(first_number, last, ship_id)
        self._write(key, encode_block(ship_id, first_number, records))
        faults.reached("manifest.segment-written")
        self._appended += 1
        if self._appended >= MERGE_AT:
            self.merge(ship_id)
            self._appended = 0
        return key

    def add_ship(self, ship_id: str) -> None:
        """Say that a ledger of this name writes this manifest, before it has written anything.

        Only so is it known afterwards, when ledger and segments are lost, whose its objects are.
        """
        body = json.dumps({"format": "stocktake-ship", "version": 1, "ship_id": ship_id}).encode()
        key = f"{self._prefix}ship-{ship_id}.json"
        self._store.put(self._bucket, key, body, PutOptions("application/json"))

    def ship_ids(self) -> set[str]:
        """The ledgers that have written this manifest, or were about to."""
        ids = {one.ship_id for one in self.segments()}
        for one in self._listed():
            name = one.key.removeprefix(self._prefix)
            if name.startswith("ship-") and name.endswith(".json"):
                ids.add(name[len("ship-") : -len(".json")])
        return ids

    def segments(self) -> list[Segment]:
        """Every segment, in order of its name: one request for a thousand."""
        parsed = (
            parse_segment(self._prefix, one.key, one.size_bytes or 0, one.last_modified)
            for one in self._listed()
        )
        return [one for one in parsed if one is not None]

    def _listed(self) -> Iterator[ListedObject]:
        for page in iter_listing(self._store, ListQuery(self._bucket, self._prefix)):
            yield from page.objects

    def read(self) -> Iterator[UploadRecord]:
        """The last record of every key, newest first; one request per segment and thousand.

        Memory: one segment and a hash per key, 100 MB for a million of them. A merge by the writer
        does no harm.
        """
        seen: set[bytes] = set()
        finished: list[Segment] = []
        for _ in range(_LISTINGS_MAX):
            try:
                for segment in newest_first(self.segments()):
                    if not any(one.holds(segment) for one in finished):
                        yield from self._unseen(segment, seen)
                        finished.append(segment)
            except ObjectNotFoundError:
                continue  # merged since it was listed
            return
        raise ForeignWriterError(f"segments below {self._prefix} vanish while they are read")

    def merge(self, ship_id: str) -> int:
        """Put small neighbours of one ledger together; gives how many segments went."""
        own = [one for one in self.segments() if one.ship_id == ship_id]
        gone = list(held_by_others(own))
        self._remove(gone)
        left = [one for one in own if one not in gone]
        while run := mergeable(left, run_min=MERGE_AT, bytes_max=MERGED_BYTES_MAX):
            merged = self._merge_run(run)
            gone.extend(run)
            left = [one for one in left if one not in run] + [merged]
        return len(gone)

    def _merge_run(self, run: list[Segment]) -> Segment:
        body = b"".join(self._get(one.key) for one in run)
        first, last = run[0].first, max(one.last for one in run)
        key = self._prefix + segment_name(first, last, run[0].ship_id)
        self._write(key, body)
        faults.reached("manifest.merge-written")
        self._remove([one for one in run if one.key != key])
        return Segment(key, first, last, run[0].ship_id, len(body), None)

    def _write(self, key: str, body: bytes) -> None:
        checksum = encode_crc64nvme(crc64nvme(body)) if self._checksum else None
        options = PutOptions("application/gzip", if_absent=True, crc64nvme=checksum)
        try:
            self._store.put(self._bucket, key, body, options)
        except UnsupportedOperationError:  # no conditional writes: nobody else has this name
            self._store.put(self._bucket, key, body, replace(options, if_absent=False))
        except PreconditionFailedError:
            there = self._get(key)
            if _digest(there, key) != _digest(body, key):
                raise ForeignWriterError(
                    f"manifest segment {key} was written by another process", key=key
                ) from None

    def _remove(self, segments: Sequence[Segment]) -> None:
        if not segments:
            return
        try:
            self._store.delete(self._bucket, [one.key for one in segments])
        except AccessDeniedError:
            return  # what is there twice costs a few requests, nothing else

    def _unseen(self, segment: Segment, seen: set[bytes]) -> Iterator[UploadRecord]:
        lines = segment_lines(self._get(segment.key), segment.key)
        while lines:
            record = line_record(lines.pop(), segment.key)
            digest = hashlib.blake2b(record.s3_key.encode(), digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                yield record

    def _get(self, key: str) -> bytes:
        with self._store.get(self._bucket, key) as body:
            return body.read()


def _digest(body: bytes, key: str) -> bytes:
    """Of a segment's records: other compressors and headers make no difference."""
    lines = segment_lines(body, key)
    return hashlib.blake2b("\n".join(lines).encode()).digest()
