"""The copy of a manifest in the bucket: how hosts without a common database share a dataset.

Whoever writes it has merged what was there first, and writes only over what he merged (If-Match).
Killed anywhere, the next push or pull finds the right base again, in the copy's own marks.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from stocktake import faults
from stocktake.errors import (
    DatasetChangedError,
    DeletionRefusedError,
    ManifestFormatError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from stocktake.manifests._copy_marks import (
    Agreement,
    Mark,
    copy_metadata,
    merge_versions,
    name_writer,
    new_lineage,
    note_agreement,
    own_mark,
    read_agreement,
    read_lineage,
    read_marks,
    recognised,
)
from stocktake.manifests._copy_object import (
    RemoteCopy,
    check_conditions,
    copy_place,
    head_copy,
    read_copy,
    write_copy,
)
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_rows import entry_of, select_entries
from stocktake.manifests._dataset_values import (
    Commit,
    DatasetInfo,
    DeleteEntry,
    Edit,
    PutEntry,
    Reason,
)
from stocktake.manifests._merge import Difference, Known, Outcome, identity, merge_entries
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._render import render_manifest
from stocktake.model import S3Url, display_key
from stocktake.state import dataset_entries
from stocktake.store import Store

ROUNDS_MAX = 12
LOST_KEPT_MAX = 1000
_PAUSE_S = 0.2
_PLAUSIBLE_SHARE = 0.1
_PLAUSIBLE_FILES = 10


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How to push or pull.

    Attributes:
        at: Where the copy is, if not at its usual place.
        conditional: False: write even if the store has no conditional writes.
        accept_deletions: Also when the copy has lost much of what we have.
    """

    at: S3Url | None = None
    conditional: bool = True
    accept_deletions: bool = False


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What came of a push or pull.

    Attributes:
        place: Where the copy is.
        version: Of the dataset, now.
        etag: Of the copy, now; None if there is none.
        written: Whether the copy was written.
        added: Entries that the dataset had not.
        replaced: Entries of which the copy had a newer one.
        deleted: Entries that others had deleted.
        ahead: Keys on which the dataset knows more than the copy does.
        lost: Uploads of others that ours took the place of because ours are newer; at most 1,000.
        conflicts: Keys that both sides had changed.
        rounds: How often it was tried; each but the first because somebody else was faster.
        notes: What was put right in the copy, for people.
    """

    place: S3Url
    version: int
    etag: str | None
    written: bool
    added: int = 0
    replaced: int = 0
    deleted: int = 0
    ahead: int = 0
    lost: tuple[UploadRecord, ...] = ()
    conflicts: int = 0
    rounds: int = 1
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tally:
    """What all rounds together did."""

    added: int = 0
    replaced: int = 0
    deleted: int = 0
    conflicts: set[str] = field(default_factory=set)
    lost: dict[str, UploadRecord] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def count(self, commit: Commit) -> None:
        """Add a commit."""
        self.added += commit.added
        self.replaced += commit.replaced
        self.deleted += commit.deleted


@dataclass(frozen=True, slots=True)
class _Merged:
    """The dataset at a version that holds everything of the copy; `ahead`: keys beyond it."""

    version: int
    ahead: int


def push_copy(dataset: Dataset, store: Store, options: CopyOptions = CopyOptions()) -> CopyResult:
    """Bring the copy in the bucket up to date, after taking from it what others wrote.

    Requests: one HEAD if nothing is new; else also one GET if others wrote, one PUT, and four small
    ones that make sure of conditional writes.

    Raises:
        UnsupportedOperationError: The store has no conditional writes, and they are wanted.
        DeletionRefusedError: The copy lacks much of what it had; nothing was changed.
        ManifestFormatError: The copy cannot be read whole, so it is not overwritten.
        DatasetChangedError: Others write all the time.
    """
    return _Exchange(dataset, store, options).push()


def pull_copy(dataset: Dataset, store: Store, options: CopyOptions = CopyOptions()) -> CopyResult:
    """Take from the copy in the bucket what others wrote. Nothing is written to the bucket.

    Raises:
        ObjectNotFoundError: There is no copy.
        DeletionRefusedError: As above.
        ManifestFormatError: As above.
        DatasetChangedError: As above.
    """
    return _Exchange(dataset, store, options).pull()


class _Exchange:
    """One push or pull."""

    def __init__(self, dataset: Dataset, store: Store, options: CopyOptions) -> None:
        self._dataset = dataset
        self._store = store
        self._options = options
        self._info = dataset.info()
        self._usual = copy_place(self._info)
        self._place = options.at or self._usual
        self._tally = _Tally()
        self._tried = not options.conditional

    def push(self) -> CopyResult:
        """See `push_copy`."""
        for number in range(1, ROUNDS_MAX + 1):
            result = self._push_round(number)
            if result is not None:
                return result
            self._pause(number)
        raise self._too_busy()

    def pull(self) -> CopyResult:
        """See `pull_copy`."""
        for number in range(1, ROUNDS_MAX + 1):
            remote = self._read()
            if remote is None:
                raise ObjectNotFoundError(
                    f"dataset `{self._dataset.id}` has no copy at {self._place}",
                    hint="the host that has the dataset makes it: stocktake manifest push",
                    bucket=self._place.bucket,
                    key=self._place.key,
                )
            merged = self._merge(remote)
            if merged is not None:
                return self._result(merged, remote.etag, number, written=False)
        raise self._too_busy()

    def _push_round(self, number: int) -> CopyResult | None:
        """One try; None if somebody else was faster."""
        head = head_copy(self._store, self._place)
        noted = self._agreement()
        version = self._dataset.info().version
        if head is None:
            everything = _Merged(version, self._info.total_files)
            return self._write(everything, None, [], new_lineage(), number)
        lineage = read_lineage(head.metadata)
        if noted.etag and head.etag == noted.etag and lineage and lineage == noted.lineage:
            if version == noted.version:
                return self._result(_Merged(version, 0), head.etag, number, written=False)
            news = _Merged(version, version - noted.version)
            return self._write(news, head.etag, read_marks(head.metadata), lineage, number)
        remote = self._read()
        merged = self._merge(remote) if remote is not None else None
        if remote is None or merged is None:
            return None
        if merged.ahead == 0:
            return self._result(merged, remote.etag, number, written=False)
        lineage = remote.lineage or new_lineage()
        return self._write(merged, remote.etag, remote.marks, lineage, number)

    def _write(
        self, merged: _Merged, etag: str | None, marks: list[Mark], lineage: str, number: int
    ) -> CopyResult | None:
        if not self._tried:
            check_conditions(self._store, self._place)
            self._tried = True
        name_writer(self._dataset.state)
        own = recognised(self._dataset, marks)
        mark = own_mark(self._dataset, merged.version)
        others = [one for one in marks if one not in own]
        try:
            written = write_copy(
                self._store,
                self._place,
                render_manifest(self._dataset, version=merged.version),
                if_match=etag,
                metadata=copy_metadata(lineage, mark, others),
                conditional=self._options.conditional,
            )
        except PreconditionFailedError:
            return None
        faults.reached("copy.written")
        self._note(written, lineage, merged.version)
        return self._result(merged, written, number, written=True)

    def _read(self) -> RemoteCopy | None:
        remote = read_copy(self._store, self._place)
        if remote is None:
            return None
        _check_about(remote, self._info, self._place)
        self._tally.notes = tuple(remote.manifest.notes)
        return remote

    def _merge(self, remote: RemoteCopy) -> _Merged | None:
        """Commit what the copy has beyond us; None if others committed meanwhile."""
        info = self._dataset.info()
        noted = self._agreement()
        if noted.lineage is None or noted.lineage != remote.lineage:
            noted = Agreement(lineage=remote.lineage, since=info.version)
        edits: list[Edit] = []
        ahead = deletions = 0
        for one in self._differences(remote, noted, info.version):
            self._count(one)
            if one.outcome is Outcome.OURS:
                ahead += 1
                continue
            edits.append(_edit(one))
            deletions += one.theirs is None
        self._check_deletions(deletions, info)
        if self._place == self._usual and remote.lineage is not None:
            note_agreement(self._dataset, noted)  # before anything is taken from it
        version = info.version
        if edits:
            # what comes from elsewhere is not what this dataset and its copy agreed on
            reason = Reason.MERGE if self._place == self._usual else Reason.IMPORT
            commit = self._dataset.commit(edits, reason)
            self._tally.count(commit)
            faults.reached("copy.merged")
            if commit.conflicts or commit.version != info.version + 1:
                return None
            version = commit.version
        if not ahead and remote.lineage is not None:
            self._note(remote.etag, remote.lineage, version, since=noted.since)
        return _Merged(version, ahead)

    def _differences(
        self, remote: RemoteCopy, noted: Agreement, version: int
    ) -> Iterator[Difference]:
        dataset = self._dataset
        own = recognised(dataset, remote.marks)
        base = max([noted.version, *(one.version for one in own)])
        merges = merge_versions(dataset, max(base, noted.since))
        return merge_entries(
            (one.record for one in (dataset.entries(version=base) if base else ())),
            dataset.entries(version=version) if version else (),
            remote.manifest.records,
            _ended_since(dataset, base),
            lambda entry: entry.since_version in merges,
        )

    def _count(self, one: Difference) -> None:
        if one.conflict:
            self._tally.conflicts.add(one.s3_key)
        lost = one.conflict and one.outcome is Outcome.OURS and one.theirs is not None
        if lost and one.theirs is not None and len(self._tally.lost) < LOST_KEPT_MAX:
            self._tally.lost[one.s3_key] = one.theirs

    def _check_deletions(self, deletions: int, info: DatasetInfo) -> None:
        plausible = max(_PLAUSIBLE_FILES, _PLAUSIBLE_SHARE * info.total_files)
        if deletions > plausible and not self._options.accept_deletions:
            raise DeletionRefusedError(
                f"the copy at {self._place} lacks {deletions:,} of the {info.total_files:,} files "
                f"of dataset `{self._dataset.id}` that it had",
                dataset=self._dataset.id,
                deletions=deletions,
            )

    def _agreement(self) -> Agreement:
        """What is noted of the copy at the usual place; of others nothing is."""
        known = self._place == self._usual
        return read_agreement(self._dataset) if known else Agreement()

    def _note(self, etag: str, lineage: str, version: int, since: int | None = None) -> None:
        """Note that the copy is the same as a version of ours."""
        if self._place != self._usual:
            return
        if since is None:
            noted = read_agreement(self._dataset)
            since = noted.since if noted.lineage == lineage else version
        note_agreement(self._dataset, Agreement(etag, version, lineage, since))
        faults.reached("copy.noted")

    def _result(
        self, merged: _Merged, etag: str | None, number: int, *, written: bool
    ) -> CopyResult:
        tally = self._tally
        return CopyResult(
            place=self._place,
            version=merged.version,
            etag=etag,
            written=written,
            added=tally.added,
            replaced=tally.replaced,
            deleted=tally.deleted,
            ahead=0 if written else merged.ahead,
            lost=tuple(tally.lost.values()),
            conflicts=len(tally.conflicts),
            rounds=number,
            notes=tally.notes,
        )

    def _pause(self, number: int) -> None:
        longest_s = min(_PAUSE_S * 2**number, 5.0)
        self._dataset.state.clock.sleep(random.uniform(0, longest_s))  # noqa: S311 - no secret

    def _too_busy(self) -> DatasetChangedError:
        return DatasetChangedError(
            f"the copy at {self._place} changed {ROUNDS_MAX} times while it was merged",
            hint="wait until the other writers are done, or share one PostgreSQL database",
            dataset=self._dataset.id,
        )


def _edit(one: Difference) -> Edit:
    """What makes theirs ours, unless ours is another by then."""
    since = one.ours.since_version if one.ours is not None else None
    if one.theirs is not None:
        return PutEntry(one.theirs, since)
    assert since is not None  # what neither side has is no difference
    return DeleteEntry(one.s3_key, since)


def _ended_since(dataset: Dataset, base: int) -> Known:
    """Tells of an upload whether it came into the dataset after the base and went again.

    Memory: a hash for each that did.
    """
    columns = dataset_entries.c
    query = select_entries(
        dataset.id, columns.since_version > base, columns.until_version.is_not(None)
    )
    with dataset.state.read() as connection:
        found = connection.execution_options(yield_per=1000).execute(query)
        ended = {_digest(entry_of(row).record) for row in found}
    return lambda record: _digest(record) in ended


def _digest(record: UploadRecord) -> bytes:
    text = repr((record.s3_key, identity(record)))
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).digest()


def _check_about(remote: RemoteCopy, info: DatasetInfo, place: S3Url) -> None:
    spec = remote.manifest.spec
    said, meant = S3Url(spec.bucket, spec.prefix), S3Url(info.bucket, info.prefix)
    if spec.id != info.id or said != meant:
        raise ManifestFormatError(
            f"{place} is about dataset `{spec.id}` at {display_key(str(said))}, "
            f"not `{info.id}` at {display_key(str(meant))}",
            hint="to take its files over: stocktake manifest import",
        )
    if remote.manifest.left_out:
        notes = "; ".join(remote.manifest.notes)
        raise ManifestFormatError(
            f"{remote.manifest.left_out:,} files of {place} cannot be read: {notes}",
            hint="what can be read is taken by: stocktake manifest import; "
            "then delete the copy and push",
        )
