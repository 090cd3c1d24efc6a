"""The copy of a manifest in the bucket: how hosts without a common database share a dataset.

Whoever writes it has merged what was there first, and writes only over what he merged (If-Match).
Killed anywhere, the next push or pull finds the right base again, in the copy's own marks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from stocktake import faults
from stocktake.errors import (
    DatasetChangedError,
    DeletionRefusedError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from stocktake.manifests._copy_edits import check_about, edit_of, ended_since
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
    copy_place,
    head_copy,
    read_copy,
    write_copy,
)
from stocktake.manifests._copy_trial import make_sure_of_conditions
from stocktake.manifests._copy_values import (
    LOST_KEPT_MAX,
    CopyOptions,
    CopyResult,
    CopyTally,
    Merged,
)
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import DatasetInfo, Edit, Reason
from stocktake.manifests._merge import Difference, Outcome, merge_entries
from stocktake.manifests._render import render_manifest
from stocktake.store import ObjectHead, Store

ROUNDS_MAX = 30
_PAUSE_S = 0.02
_PLAUSIBLE_SHARE = 0.1
_PLAUSIBLE_FILES = 10


def push_copy(dataset: Dataset, store: Store, options: CopyOptions = CopyOptions()) -> CopyResult:
    """Bring the copy in the bucket up to date, after taking from it what others wrote.

    Requests: one HEAD if nothing is new; else also one GET if others wrote, one PUT, and once a
    week four small ones that make sure of conditional writes.

    Raises:
        UnsupportedOperationError: The store has no conditional writes, and they are wanted.
        DeletionRefusedError: The copy lacks much of what it had; nothing was changed.
        ManifestFormatError: The copy cannot be read whole, so it is not overwritten.
        DatasetChangedError: Others write all the time.
    """
    return _Exchange(dataset, store, options).push()


def pull_copy(dataset: Dataset, store: Store, options: CopyOptions = CopyOptions()) -> CopyResult:
    """Take from the copy in the bucket what others wrote. Nothing is written to the bucket.

    Requests: one HEAD if nothing is new; else also one GET.

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
        self._tally = CopyTally()
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
        same = self._unchanged()
        if same is not None:
            return same
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

    def _unchanged(self) -> CopyResult | None:
        """What there is to say of a copy that is still the one that was agreed on."""
        noted = self._agreement()
        head = head_copy(self._store, self._place) if noted.etag else None
        if head is None or not _is_noted(head, noted):
            return None
        version = self._dataset.info().version
        ahead = sum(1 for _ in self._dataset.changes(noted.version, version))
        return self._result(Merged(version, ahead), head.etag, 1, written=False)

    def _push_round(self, number: int) -> CopyResult | None:
        """One try; None if somebody else was faster."""
        head = head_copy(self._store, self._place)
        noted = self._agreement()
        version = self._dataset.info().version
        if head is None:
            everything = Merged(version, self._info.total_files)
            return self._write(everything, None, [], new_lineage(), number)
        if _is_noted(head, noted) and noted.lineage is not None:
            if version == noted.version:
                return self._result(Merged(version, 0), head.etag, number, written=False)
            news, marks = Merged(version, version - noted.version), read_marks(head.metadata)
            return self._write(news, head.etag, marks, noted.lineage, number)
        remote = self._read()
        merged = self._merge(remote) if remote is not None else None
        if remote is None or merged is None:
            return None
        if merged.ahead == 0:
            return self._result(merged, remote.etag, number, written=False)
        lineage = remote.lineage or new_lineage()
        return self._write(merged, remote.etag, remote.marks, lineage, number)

    def _write(
        self, merged: Merged, etag: str | None, marks: list[Mark], lineage: str, number: int
    ) -> CopyResult | None:
        if not self._tried:
            make_sure_of_conditions(self._dataset, self._store, self._place)
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
        check_about(remote, self._info, self._place)
        self._tally.notes = tuple(remote.manifest.notes)
        return remote

    def _merge(self, remote: RemoteCopy) -> Merged | None:
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
            edits.append(edit_of(one))
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
        return Merged(version, ahead)

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
            ended_since(dataset, base),
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
        self, merged: Merged, etag: str | None, number: int, *, written: bool
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
        longest_s = min(_PAUSE_S * 2**number, 1.0)
        self._dataset.state.clock.sleep(random.uniform(0, longest_s))  # noqa: S311 - no secret

    def _too_busy(self) -> DatasetChangedError:
        return DatasetChangedError(
            f"the copy at {self._place} changed {ROUNDS_MAX} times while it was merged",
            hint="wait until the other writers are done, or share one PostgreSQL database",
            dataset=self._dataset.id,
        )


def _is_noted(head: ObjectHead, noted: Agreement) -> bool:
    """Whether the copy still is the one that is the same as a version of ours."""
    lineage = read_lineage(head.metadata)
    known = noted.etag is not None and noted.lineage is not None
    return known and head.etag == noted.etag and lineage == noted.lineage
