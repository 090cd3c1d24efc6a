"""Taking over what others recorded: manifests of other programs, and what ship wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from stocktake.errors import (
    DatasetChangedError,
    DatasetNotFoundError,
    UnorderedListingError,
)
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import (
    Commit,
    DatasetInfo,
    DatasetSpec,
    Edit,
    PutEntry,
    Reason,
)
from stocktake.manifests._merge import newer, same_upload
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._segment_log import SegmentLog, manifest_prefix
from stocktake.store import ListedObject, ListQuery, Store, iter_listing

_ROUNDS_MAX = 8
_EXAMPLES_MAX = 1000


@dataclass(frozen=True, slots=True)
class ImportCheck:
    """What the bucket has of what a manifest claims.

    Attributes:
        records: Those that are there, with the ETag that the store tells if none was known.
        gone: Keys that are not in the bucket; at most 1,000.
        gone_files: How many.
        different: Keys of which the bucket has an object of another size or ETag; at most 1,000.
            They stay in `records`, as they were claimed: verifying shows them.
        different_files: How many.
        requests: Of the listing.
    """

    records: list[UploadRecord]
    gone: tuple[str, ...]
    gone_files: int
    different: tuple[str, ...]
    different_files: int
    requests: int


def import_records(dataset: Dataset, records: Iterable[UploadRecord]) -> Commit:
    """Enter records, as one version; of two uploads of a key the newer one stands.

    Records must be below the dataset's prefix. Importing them again changes nothing.

    Raises:
        DatasetChangedError: Others write the same keys all the time.
        UsageError: A key outside the dataset.
    """
    wanted = sorted(records, key=lambda one: one.s3_key)
    total = Commit(dataset.info().version, 0, 0, 0)
    for _ in range(_ROUNDS_MAX):
        edits = list(_edits(dataset, wanted))
        commit = dataset.commit(edits, Reason.IMPORT)
        total = Commit(
            commit.version,
            total.added + commit.added,
            total.replaced + commit.replaced,
            total.deleted,
        )
        wanted = [edit.record for edit, _ in commit.conflicts if isinstance(edit, PutEntry)]
        if not wanted:
            return total
    raise DatasetChangedError(
        f"dataset `{dataset.id}` changed {_ROUNDS_MAX} times during the import",
        dataset=dataset.id,
    )


def _edits(dataset: Dataset, records: Iterable[UploadRecord]) -> Iterator[Edit]:
    """What is to be entered, beside the entries there are: two streams in key order."""
    entries = dataset.entries()
    entry = next(entries, None)
    for record in records:
        while entry is not None and entry.record.s3_key < record.s3_key:
            entry = next(entries, None)
        if entry is None or entry.record.s3_key != record.s3_key:
            yield PutEntry(record, None)
        elif not same_upload(entry.record, record) and newer(record, entry.record):
            yield PutEntry(record, entry.since_version)


def import_segments(
    dataset: Dataset, store: Store, ship_dataset: str, *, ship_prefix: str | None = None
) -> Commit:
    """Enter what ship recorded, in the bucket below the prefix it ships to (the dataset's own).

    What it shipped elsewhere than below the dataset's prefix is passed over. Requests: one per
    segment and thousand segments.

    Raises:
        DatasetNotFoundError: Nothing of that name was shipped there.
        SegmentError: A segment is damaged.
        StoreError: They cannot be read.
    """
    info = dataset.info()
    shipped_to = info.prefix if ship_prefix is None else ship_prefix
    log = SegmentLog(store, info.bucket, manifest_prefix(shipped_to, ship_dataset))
    if not log.segments():
        raise DatasetNotFoundError(
            f"nothing was shipped to s3://{info.bucket}/{shipped_to} as `{ship_dataset}`",
            hint="name the dataset and the prefix as `stocktake ship` was given them",
        )
    inside = (one for one in log.read() if one.s3_key.startswith(info.prefix))
    return import_records(dataset, inside)


def check_records(
    store: Store, info: DatasetInfo | DatasetSpec, records: Sequence[UploadRecord]
) -> ImportCheck:
    """Look which uploads of a manifest are in the bucket, with one listing of the prefix.

    Manifests of other programs keep entries of what was deleted long ago. `records` in key order.

    Raises:
        StoreError: The bucket cannot be listed.
    """
    kept: list[UploadRecord] = []
    gone: list[str] = []
    different: list[str] = []
    listing = _Listing(store, info)
    for record in records:
        found = listing.find(record.s3_key)
        if found is None:
            gone.append(record.s3_key)
            continue
        if _differs(record, found):
            different.append(record.s3_key)
        elif record.etag is None:
            record = replace(record, etag=found.etag)
        kept.append(record)
    return ImportCheck(
        kept,
        tuple(gone[:_EXAMPLES_MAX]),
        len(gone),
        tuple(different[:_EXAMPLES_MAX]),
        len(different),
        listing.requests,
    )


class _Listing:
    """The objects below a prefix, asked for in key order."""

    def __init__(self, store: Store, info: DatasetInfo | DatasetSpec) -> None:
        self.requests = 0
        self._objects = self._list(store, ListQuery(info.bucket, info.prefix))
        self._next = next(self._objects, None)

    def find(self, key: str) -> ListedObject | None:
        """The object of a key that comes after all those asked for before."""
        while self._next is not None and self._next.key < key:
            self._next = next(self._objects, None)
        return self._next if self._next is not None and self._next.key == key else None

    def _list(self, store: Store, query: ListQuery) -> Iterator[ListedObject]:
        last = ""
        for page in iter_listing(store, query):
            self.requests += 1
            for one in page.objects:
                if one.key < last:
                    raise UnorderedListingError(
                        f"s3://{query.bucket}/{query.prefix} is not listed in key order",
                        hint="import without --check; then: stocktake manifest verify --level head",
                    )
                last = one.key
                yield one


def _differs(record: UploadRecord, found: ListedObject) -> bool:
    """Whether size or ETag contradict the manifest; an MD5 does where the ETag looks like one."""
    if record.size_bytes != found.size_bytes:
        return True
    if record.etag is not None:
        return record.etag != found.etag
    plain = found.etag is not None and "-" not in found.etag
    return record.md5 is not None and plain and record.md5 != found.etag
