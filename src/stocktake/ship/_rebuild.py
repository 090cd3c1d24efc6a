"""A lost ledger is made anew from the bucket: the manifest's segments first, then the rest.

Segments cost a request each and hold everything. Only objects that are in no segment (those of the
last minute) are asked for one by one: their metadata says whose they are and of what.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from stocktake import faults
from stocktake.errors import ObjectNotFoundError, StocktakeError
from stocktake.manifests import SegmentLog, UploadRecord, manifest_prefix
from stocktake.ship._folder import identity_of, open_source
from stocktake.ship._keys import RESERVED
from stocktake.ship._ledger import Ledger
from stocktake.ship._ledger_adopt import path_of
from stocktake.ship._ledger_rows import key_hash
from stocktake.ship._rebuild_objects import record_of_object
from stocktake.ship._records import Identity
from stocktake.ship._settings import ShipSettings
from stocktake.store import ListedObject, ListQuery, ObjectHead, Store, iter_listing, token_of
from stocktake.telemetry import NoProgress, Progress

_BLOCK_BYTES = 1 << 20


@dataclass(slots=True)
class RebuildReport:
    """What a rebuild found.

    Attributes:
        records: Uploads that the manifest tells of.
        matched: Of all uploads: their file is in the folder, proven the same.
        headed: Objects that were in no segment and were asked for.
        adopted: Of those: ours, and recorded.
        foreign: Of those: not ours; they stay what they are.
        missing: Uploads that the manifest tells of and the bucket no longer has: not adopted, so
            their files are shipped again.
    """

    records: int = 0
    matched: int = 0
    headed: int = 0
    adopted: int = 0
    foreign: int = 0
    missing: int = 0


def rebuild_ledger(
    ledger: Ledger, store: Store, settings: ShipSettings, *, progress: Progress | None = None
) -> RebuildReport:
    """Fill a new ledger with what is in the bucket and, proven by size and time, in the folder.

    With `settings.checksum` a file is the same only if its SHA-256 is. Files that are the same
    are completed without an upload, the others are shipped over what is there. Running it again,
    also after it was killed, changes nothing that is known already.

    Raises:
        StoreError: The bucket cannot be read; run it again.
        SegmentError: A segment is damaged.
    """
    rebuild = _Rebuild(ledger, store, settings, progress or NoProgress())
    rebuild.from_segments()
    rebuild.from_objects()
    faults.reached("ledger.rebuilt")
    return rebuild.report


class _Rebuild:
    def __init__(
        self, ledger: Ledger, store: Store, settings: ShipSettings, progress: Progress
    ) -> None:
        self.report = RebuildReport()
        self._ledger = ledger
        self._store = store
        self._settings = settings
        self._progress = progress
        prefix = manifest_prefix(settings.prefix, settings.dataset)
        self._log = SegmentLog(store, settings.bucket, prefix)
        self._hash_of = lru_cache(maxsize=64)(self._hash_file)

    def from_segments(self) -> None:
        """All that the manifest says."""
        self._progress.phase("manifest", None, "records")
        self._ship_ids = self._log.ship_ids()
        numbers = [one.last for one in self._log.segments()]
        self._ledger.continue_numbers(max(numbers, default=0))
        self._log.add_ship(self._ledger.ship_id)
        self._ledger.adopt(self._proven(self._log.read(), self._listed_keys()))

    def _listed_keys(self) -> set[int]:
        """Hashes of all keys that are there: 60 bytes of memory each."""
        query = ListQuery(self._settings.bucket, self._settings.prefix)
        return {
            key_hash(one.key) for page in iter_listing(self._store, query) for one in page.objects
        }

    def _proven(
        self, records: Iterator[UploadRecord], listed: set[int]
    ) -> Iterator[tuple[UploadRecord, Identity | None]]:
        for record in records:
            self.report.records += 1
            if self.report.records % 1000 == 0:
                self._progress.advance(1000)
            if self._is_listed(record.s3_key, listed):
                yield record, self._identity(record)
            else:
                self.report.missing += 1

    def _is_listed(self, key: str, listed: set[int]) -> bool:
        """Keys below another prefix, from before it was changed, were not listed: believed."""
        return key_hash(key) in listed or not key.startswith(self._settings.prefix)

    def from_objects(self) -> None:
        """Objects that the ledger does not know yet."""
        self._progress.phase("objects", None, "objects")
        settings = self._settings
        query = ListQuery(settings.bucket, settings.prefix)
        with ThreadPoolExecutor(max(1, settings.uploads), thread_name_prefix="rebuild") as pool:
            for page in iter_listing(self._store, query):
                unknown = self._unknown(page.objects)
                heads = [head for head in pool.map(self._head, unknown) if head is not None]
                self._take(heads)
                self._progress.advance(len(page.objects))

    def _unknown(self, listed: Sequence[ListedObject]) -> list[str]:
        own = self._settings.prefix + RESERVED
        keys = [one for one in listed if not one.key.startswith((own, RESERVED))]
        known = self._ledger.known_etags([one.key for one in keys])
        return [one.key for one in keys if known.get(one.key, "") != one.etag]

    def _head(self, key: str) -> ObjectHead | None:
        try:
            return self._store.head(self._settings.bucket, key)
        except ObjectNotFoundError:
            return None

    def _take(self, heads: Sequence[ObjectHead]) -> None:
        self.report.headed += len(heads)
        ours = [
            head
            for head in heads
            if head.metadata.get("stocktake-ship") in self._ship_ids and token_of(head.metadata)
        ]
        self.report.foreign += len(heads) - len(ours)
        records = [record_of_object(self._settings, head) for head in ours]
        kept = [record for record in records if record is not None]
        self._ledger.adopt(((one, self._identity(one)) for one in kept), written=False)
        self._ledger.adopt_tokens([token_of(head.metadata) or "" for head in ours])
        self.report.adopted += len(ours)

    def _identity(self, record: UploadRecord) -> Identity | None:
        """The file's identity if it is proven to have the content that was uploaded."""
        path = path_of(record)
        try:
            status = os.lstat(os.path.join(os.fsencode(self._settings.folder), path))  # noqa: PTH118
        except (OSError, ValueError):
            return None
        found = identity_of(status)
        same = (
            stat.S_ISREG(status.st_mode)
            and found.size_bytes == record.source_size_bytes
            and found.mtime_ns == record.source_mtime_ns
        )
        if not same:
            return None
        if self._settings.checksum and self._hash_of(path) != record.source_sha256:
            return None
        self.report.matched += 1
        return found

    def _hash_file(self, path: bytes) -> str | None:
        digest = hashlib.sha256()
        try:
            with open_source(self._settings, path) as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
        except (OSError, StocktakeError):
            return None
        return digest.hexdigest()
