"""One pass of a sync over all keys: decide, have it done, keep count, delete at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from stocktake.clock import Clock
from stocktake.errors import (
    DeletionRefusedError,
    LocalFolderError,
    StoreUnavailableError,
    ThrottledError,
)
from stocktake.listing import RangeOptions, choose_lister
from stocktake.manifests._compare import OnConflict, Seen, Sight, SyncAction
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import DatasetSpec, Reason
from stocktake.manifests._local_digests import DigestCache, place_of
from stocktake.manifests._local_files import walk_folder
from stocktake.manifests._restore_folder import TargetFolder
from stocktake.manifests._sync_books import Books
from stocktake.manifests._sync_crew import Crew
from stocktake.manifests._sync_deletions import Deleter, check_deletions
from stocktake.manifests._sync_fetch import FolderWriter
from stocktake.manifests._sync_look import Compared, Comparer, quick_sight
from stocktake.manifests._sync_own import OwnWrites
from stocktake.manifests._sync_sides import (
    KeyFilter,
    KeyRow,
    LocalSide,
    RemoteSide,
    keyed_entries,
    merge_sides,
)
from stocktake.manifests._sync_values import KeyOutcome, LocalCheck, SyncFinding, SyncOptions
from stocktake.manifests._sync_work import DEFERRED, Task, Workshop, action_for
from stocktake.manifests._upload_file import FileUploader, UploadPlace
from stocktake.model import S3Url, display_key
from stocktake.state import State
from stocktake.store import Store, UploadPace
from stocktake.telemetry import Progress

Told = Callable[[KeyOutcome], None]

_SERIAL_MAX = 100_000
"""So few objects are listed about as fast as files are walked: no call that may be in vain."""
_TOLD_EVERY = 50
_UNCHANGED = Sight(recorded=True, local=Seen.SAME, remote=Seen.SAME)
_UNCONDITIONAL = (
    "this store has no conditional writes: each object was looked at before it was written, so a "
    "write of somebody else at the same instant could be lost"
)


def tell_nobody(_: KeyOutcome) -> None:
    """Nobody wants to know of single keys."""


@dataclass(frozen=True, slots=True)
class SyncJob:
    """What is synchronised, and how. `dataset` is None if it is not there yet: a dry run."""

    spec: DatasetSpec
    dataset: Dataset | None
    state: State
    store: Store
    root: Path
    options: SyncOptions
    clock: Clock
    progress: Progress
    told: Told

    @property
    def total_files(self) -> int:
        """Files that the manifest has."""
        return 0 if self.dataset is None else self.dataset.info().total_files

    @property
    def writes_folder(self) -> bool:
        """Whether anything may come down."""
        options = self.options
        down = options.two_way or options.on_conflict in {OnConflict.REMOTE, OnConflict.BOTH}
        return down and not options.dry_run


class SyncPass:
    """One pass. What it comes to is in the books.

    Args:
        job: What is asked for.
        books: Count and commit.
        run_id: The run; empty for a dry run.
        dead_runs: Runs whose unfinished files may be lying about.
    """

    def __init__(
        self, job: SyncJob, books: Books, run_id: str, dead_runs: tuple[str, ...] = ()
    ) -> None:
        self._job = job
        self._books = books
        self._run_id = run_id
        self._dead_runs = dead_runs
        spec, options = job.spec, job.options
        keys = KeyFilter(spec.prefix, options.exclude)
        self._keys = keys
        self._local = LocalSide(job.root, spec.prefix, options.exclude)
        self._remote = RemoteSide(self._listing(), keys)
        self._stopped = threading.Event()
        self._since_told = 0

    def run(self) -> None:
        """All of it.

        Raises:
            StocktakeError: As for `sync_folder`.
        """
        folder = _identity(self._job.root)
        self._job.progress.phase("sync", None, "files")
        with ExitStack() as stack:
            shop = self._workshop(stack)
            try:
                complete = self._all_keys(shop)
            finally:
                self._books.flush()
                self._count_sides()
                if not shop.uploader.is_conditional:
                    self._books.result.warnings.append(_UNCONDITIONAL)
            if _identity(self._job.root) != folder:
                raise LocalFolderError(
                    f"the folder `{self._job.root}` was replaced by another one meanwhile",
                    folder=str(self._job.root),
                )
            if complete:
                self._delete(shop.writer)
                self._mark_synced()
                shop.cache.drop_surplus(self._local.files, lambda: walk_folder(self._job.root))

    def _workshop(self, stack: ExitStack) -> Workshop:
        job, spec = self._job, self._job.spec
        writer: FolderWriter | None = None
        if job.writes_folder:
            folder = stack.enter_context(TargetFolder(job.root, self._run_id))
            folder.remove_parts(self._dead_runs)
            writer = FolderWriter(job.store, spec.bucket, spec.prefix, folder)
        cache = stack.enter_context(DigestCache(job.state, job.root, clock=job.clock))
        place = UploadPlace(
            store=job.store,
            bucket=spec.bucket,
            root=job.root,
            dataset_id=spec.id,
            run_id=self._run_id,
            notes=job.dataset or Dataset(job.state, spec.id),
            part_bytes_min=job.options.part_bytes_min,
            stopped=self._stopped,
            clock=job.clock,
            pace=UploadPace(),
        )
        uploader = FileUploader(place)
        stack.callback(uploader.close)
        comparer = Comparer(job.store, spec.bucket, job.root)
        return Workshop(
            job.store,
            spec.bucket,
            spec.prefix,
            job.options,
            comparer,
            cache,
            uploader,
            writer,
            job.clock,
            OwnWrites(job.store, spec.bucket, job.dataset, place_of(job.root)),
        )

    def _all_keys(self, shop: Workshop) -> bool:
        """Every key; whether the end was reached. A store that is away ends it early."""
        job, books = self._job, self._books
        crew = Crew(
            shop.work,
            job.options.workers,
            job.clock,
            lambda: books.flush(only_if_due=True),
            pace=shop.uploader.place.pace,
        )
        try:
            complete = self._read_keys(shop, crew)
            for task, outcome in crew.rest():
                self._take(task.row, outcome)
        except BaseException:
            self._stopped.set()
            self._books.result.not_done += crew.call_off()
            for task, outcome in crew.rest():
                self._take(task.row, outcome)
            raise
        finally:
            crew.close()
        return complete

    def _read_keys(self, shop: Workshop, crew: Crew) -> bool:
        seen = 0
        try:
            for row in self._rows():
                seen += 1
                self._one(row, shop, crew)
                for task, outcome in crew.results():
                    self._take(task.row, outcome)
                if self._books.store_is_away:
                    return self._stop_early("the store is away", crew)
        except (StoreUnavailableError, ThrottledError) as error:
            if not seen:
                raise
            return self._stop_early(error.message, crew)
        return True

    def _rows(self) -> Iterator[KeyRow]:
        dataset = self._job.dataset
        entries = iter(()) if dataset is None else dataset.entries()
        return merge_sides(keyed_entries(entries, self._keys), self._local, self._remote)

    def _listing(self) -> Iterator[pa.RecordBatch]:
        job = self._job
        serial = job.total_files <= _SERIAL_MAX
        lister = choose_lister(
            job.store,
            job.spec.bucket,
            RangeOptions(workers=1) if serial else RangeOptions(),
            state=job.state,
            clock=job.clock,
        )
        return lister.list_objects(job.store, S3Url(job.spec.bucket, job.spec.prefix))

    def _stop_early(self, why: str, crew: Crew) -> bool:
        self._stopped.set()
        left = crew.call_off()
        self._books.result.not_done += max(left, 1)
        self._books.result.warnings.append(f"ended early, run it again: {why}")
        return False

    def _one(self, row: KeyRow, shop: Workshop, crew: Crew) -> None:
        """Decide about a key if that takes no reading; have the rest done."""
        result, options = self._books.result, self._job.options
        if row.file is None:
            if self._local.is_unknown(row.key):
                return
            result.missing_locally += row.remote is not None
        elif row.remote is None:
            result.missing_in_s3 += 1
        known = None
        if row.file is not None and options.check is not LocalCheck.CONTENT:
            known = shop.cache.known(row.file)
        sight = quick_sight(row, known, options.check)
        if sight is None:
            crew.give(Task(row, known))
            return
        if sight == _UNCHANGED:
            self._books.take_unchanged()
            self._tell_progress()
            return
        action = action_for(row, sight, options.policy)
        idle = action in DEFERRED or action is SyncAction.NOTHING
        if idle or options.dry_run or (action is SyncAction.ENTER and known is not None):
            self._take(row, shop.decide(row, Compared(sight, row.remote), known))
        else:
            crew.give(Task(row, known, sight))

    def _take(self, row: KeyRow, outcome: KeyOutcome) -> None:
        self._books.take(row, outcome)
        if outcome.action is not SyncAction.NOTHING or outcome.finding is not None:
            self._job.told(outcome)
        self._tell_progress()

    def _tell_progress(self) -> None:
        self._since_told += 1
        if self._since_told >= _TOLD_EVERY:
            self._job.progress.advance(self._since_told)
            self._since_told = 0

    def _count_sides(self) -> None:
        result, local = self._books.result, self._local
        self._job.progress.advance(self._since_told)
        result.total_local, result.total_s3 = local.files, self._remote.objects
        result.skipped = len(local.skipped) + self._remote.markers
        for one in local.skipped:
            shown = display_key(os.fsdecode(one.path))
            what = "folder" if one.is_folder else "file"
            if one.reason == "unreadable":
                result.failed += 1
                result.find(SyncFinding(shown, "failed", f"the {what} cannot be read"))
            else:
                result.find(SyncFinding(shown, "skipped", str(one.reason)))

    def _delete(self, writer: FolderWriter | None) -> None:
        """The deletions, unless they look like a mistake."""
        job, books = self._job, self._books
        waiting = books.deletions
        empty = not self._local.files or not self._remote.objects
        counted = [one for one in waiting if empty or one[1].action is not SyncAction.FORGET]
        if not job.options.accept_deletions:
            try:
                check_deletions(
                    job.spec.id,
                    len(counted),
                    job.total_files,
                    side_empty=empty,
                    uploaded=0 if job.options.dry_run else books.result.uploaded,
                )
            except DeletionRefusedError as error:
                if not job.options.dry_run:
                    raise
                books.result.warnings.append(error.message)
        if not job.options.dry_run:
            Deleter(job.store, job.spec.bucket, writer, books).delete(waiting)

    def _mark_synced(self) -> None:
        job = self._job
        if job.dataset is not None and not job.options.dry_run:
            job.dataset.commit([], Reason.SYNC, run_id=self._run_id, synced=True)


def _identity(root: Path) -> tuple[int, int]:
    """Which folder it is, so that another one in its place is noticed."""
    try:
        status = root.stat()
    except OSError as error:
        raise LocalFolderError(
            f"the folder `{root}` is not there: {error.strerror}", folder=str(root)
        ) from error
    return status.st_dev, status.st_ino
