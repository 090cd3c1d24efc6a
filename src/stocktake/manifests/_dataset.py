"""Datasets in the control database: the truth about what was uploaded, version by version."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, insert, update

from stocktake import faults
from stocktake.clock import format_utc
from stocktake.errors import DatasetChangedError, DatasetNotFoundError, UsageError
from stocktake.manifests import _dataset_read as read
from stocktake.manifests import _dataset_runs as run_rows
from stocktake.manifests._dataset_commit import EditApplier
from stocktake.manifests._dataset_registry import (
    OWN_FOLDER,
    delete_dataset,
    insert_dataset,
    read_info,
    read_infos,
)
from stocktake.manifests._dataset_values import (
    Commit,
    DatasetInfo,
    DatasetSpec,
    Edit,
    Entry,
    NotedUpload,
    PutEntry,
    Reason,
    RunInfo,
    RunKind,
    VersionInfo,
)
from stocktake.manifests._stats import DatasetStats, dataset_stats
from stocktake.model import display_key
from stocktake.state import State, dataset_versions, datasets


class Dataset:
    """One dataset. Holds nothing but its id: safe to share between threads, never out of date."""

    def __init__(self, state: State, dataset_id: str) -> None:
        self.state = state
        self.id = dataset_id

    def info(self) -> DatasetInfo:
        """The dataset as it stands now.

        Raises:
            DatasetNotFoundError: It was forgotten.
        """
        with self.state.read() as connection:
            return read_info(connection, self.id)

    def commit(
        self,
        edits: Iterable[Edit],
        reason: Reason,
        *,
        run_id: str | None = None,
        expected_version: int | None = None,
        synced: bool = False,
    ) -> Commit:
        """Make the edits, all in one transaction, as one new version.

        Edits are made in their order; of several of one key the last stands. A record that is
        there already, in every field, is no edit: committing again after an unclear answer changes
        nothing. Without a change there is no new version.

        Args:
            edits: May be a generator; it runs inside the transaction, and must neither wait for
                anything nor write to this database.
            reason: Why.
            run_id: The run that did it.
            expected_version: Make nothing unless this is the version now.
            synced: Also set `last_synced`, even if nothing changed.

        Raises:
            DatasetChangedError: Not `expected_version`; nothing was made.
            DatasetNotFoundError: It was forgotten.
            UsageError: A key outside the dataset, or a value that cannot be kept; nothing was made.
        """
        with self.state.write() as connection:
            before = read_info(connection, self.id, lock=True)
            if expected_version not in (None, before.version):
                raise DatasetChangedError(
                    f"dataset `{self.id}` is at version {before.version} by now, "
                    f"not {expected_version}",
                    dataset=self.id,
                    version=before.version,
                )
            applier = EditApplier(connection, self.id, before.version + 1)
            tally = applier.apply(_inside(edits, before))
            version = before.version + (tally.changes > 0)
            now = format_utc(self.state.clock.now())
            totals = {
                "total_files": before.total_files + tally.files,
                "total_size_bytes": before.total_size_bytes + tally.size_bytes,
            }
            if totals["total_size_bytes"] >= 2**63:
                raise UsageError(f"dataset `{self.id}` cannot have that many bytes")
            if version > before.version:
                counts = {name: getattr(tally, name) for name in ("added", "replaced", "deleted")}
                what = {"reason": reason.value, "run_id": run_id, **counts, **totals}
                _add_version(connection, self.id, version, now, what)
            if synced or version > before.version:
                values = {"version": version, **totals} | ({"last_synced": now} if synced else {})
                connection.execute(update(datasets).where(datasets.c.id == self.id).values(values))
            faults.reached("dataset.committing")
        faults.reached("dataset.committed")
        return Commit(version, tally.added, tally.replaced, tally.deleted, tuple(tally.conflicts))

    def entries(
        self, *, prefix: str = "", after: str = "", version: int | None = None
    ) -> Iterator[Entry]:
        """The entries of a version (the one there is now) in byte order of their keys.

        Memory is bounded. Commits meanwhile do not show.

        Args:
            prefix: Only keys that start with it (whole keys, not relative ones).
            after: Only keys after it.
            version: An earlier one.

        Raises:
            DatasetNotFoundError: No such version, or the dataset was forgotten.
        """
        number = self._version(version)
        return read.read_entries(self.state, self.id, number, prefix=prefix, after=after)

    def find(self, s3_key: str, *, version: int | None = None) -> Entry | None:
        """The entry of a key; None if the manifest has none.

        Raises:
            DatasetNotFoundError: No such version, or the dataset was forgotten.
        """
        if version is None:
            found = read.find_current(self.state, self.id, s3_key)
            if found is None:
                self.info()
            return found
        return read.find_entry(self.state, self.id, s3_key, self._version(version))

    def history(self, *, limit: int | None = None) -> list[VersionInfo]:
        """Its versions, newest first."""
        return read.read_history(self.state, self.id, limit)

    def changes(self, old: int, new: int) -> Iterator[tuple[Entry | None, Entry | None]]:
        """What differs between two versions: (before, after) in key order, one pair per key.

        Only the outcome counts: a key that was changed and changed back is not among them.

        Raises:
            DatasetNotFoundError: No such version, or the dataset was forgotten.
        """
        return read.read_changes(self.state, self.id, self._version(old), self._version(new))

    def stats(self, *, version: int | None = None) -> DatasetStats:
        """Figures of a version: kinds of files, how they were proven, the largest, the oldest.

        Raises:
            DatasetNotFoundError: No such version, or the dataset was forgotten.
        """
        return dataset_stats(self.state, self.id, self._version(version))

    def deletions(self, *, limit: int) -> list[tuple[Entry, VersionInfo]]:
        """Entries that were deleted, each with the version that did it; newest first."""
        return read.read_deletions(self.state, self.id, limit)

    def begin_run(self, kind: RunKind, *, place: str | None, version: int | None) -> str:
        """Note that this process begins a run; gives the run's id."""
        return run_rows.begin_run(self.state, self.id, kind, place, version)

    def end_run(self, run_id: str, state: str, result: Mapping[str, Any]) -> None:
        """Note how it ended: done, partial or failed, and its summary."""
        run_rows.end_run(self.state, self.id, run_id, state, result)

    def runs(self, kind: RunKind | None = None, *, limit: int = 20) -> list[RunInfo]:
        """The last runs, newest first."""
        return run_rows.read_runs(self.state, self.id, kind, limit)

    def note_upload(self, s3_key: str, token: str, upload_id: str | None, run_id: str) -> None:
        """Note a multipart upload: the intent (without id), then again with its id."""
        run_rows.note_upload(self.state, self.id, (s3_key, token, upload_id, run_id))

    def drop_upload(self, s3_key: str, token: str) -> None:
        """Forget an upload that is complete or aborted."""
        run_rows.drop_upload(self.state, self.id, s3_key, token)

    def uploads(self) -> list[NotedUpload]:
        """The uploads that are noted, by key."""
        return run_rows.read_uploads(self.state, self.id)

    def _version(self, version: int | None) -> int:
        info = self.info()
        if version is None:
            return info.version
        if 0 <= version <= info.version:
            return version
        raise DatasetNotFoundError(
            f"dataset `{self.id}` has no version {version}: the last one is {info.version}",
            hint=f"see them: stocktake manifest history {self.id}",
            dataset=self.id,
            version=version,
        )


def create_dataset(state: State, spec: DatasetSpec) -> Dataset:
    """Make a dataset, or open the one that is there with this id and place.

    Raises:
        DatasetExistsError: The id has another place, or the place another id.
        UsageError: The id, title, bucket or prefix is not legal.
    """
    insert_dataset(state, spec)
    return Dataset(state, spec.id)


def open_dataset(state: State, dataset_id: str) -> Dataset:
    """The dataset of that id.

    Raises:
        DatasetNotFoundError: There is none; its hint names near ones.
    """
    dataset = Dataset(state, dataset_id)
    dataset.info()
    return dataset


def list_datasets(state: State) -> list[DatasetInfo]:
    """Every dataset, by id."""
    return read_infos(state)


def forget_dataset(state: State, dataset_id: str) -> None:
    """Forget a dataset, its manifest with all versions, its runs. No object is touched.

    Raises:
        DatasetNotFoundError: There is none.
    """
    delete_dataset(state, dataset_id)


def _inside(edits: Iterable[Edit], info: DatasetInfo) -> Iterator[Edit]:
    """The edits, if their keys are the dataset's."""
    own = info.prefix + OWN_FOLDER
    for edit in edits:
        key = edit.record.s3_key if isinstance(edit, PutEntry) else edit.s3_key
        if not key.startswith(info.prefix) or key.startswith(own) or key == info.prefix:
            raise UsageError(
                f"`{display_key(key)}` cannot be in dataset `{info.id}` "
                f"of `{display_key(info.prefix)}`",
                dataset=info.id,
                key=display_key(key),
            )
        yield edit


def _add_version(
    connection: Connection, dataset_id: str, version: int, at: str, what: Mapping[str, Any]
) -> None:
    writer = f"{socket.gethostname()}:{os.getpid()}"
    connection.execute(
        insert(dataset_versions).values(
            dataset_id=dataset_id, version=version, at=at, writer=writer, **what
        )
    )
