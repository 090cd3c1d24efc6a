"""Synchronising a folder with a dataset: one listing, one walk, one look at the manifest.

sync_folder(dataset, store, Path("photos"), SyncOptions(), clock=clock, listener=progress)

What is sent or fetched is in the manifest some seconds later, in groups. A process that is killed
in between finds its objects by their bytes the next time, and sends nothing twice.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stocktake import faults
from stocktake.clock import Clock
from stocktake.errors import DeletionRefusedError, StocktakeError, SyncConflictError
from stocktake.manifests._compare import OnConflict
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import DatasetSpec, RunKind
from stocktake.manifests._local_digests import place_of
from stocktake.manifests._render_file import write_manifest_file
from stocktake.manifests._sync_books import Books
from stocktake.manifests._sync_pass import SyncJob, SyncPass, Told, tell_nobody
from stocktake.manifests._sync_recover import check_alone, end_leftovers
from stocktake.manifests._sync_values import SyncOptions, SyncResult
from stocktake.state import State
from stocktake.store import Store
from stocktake.telemetry import NoProgress, Progress

_NOTED_MAX = 20
"""Findings that the record of a run keeps."""


def sync_folder(
    dataset: Dataset,
    store: Store,
    root: Path,
    options: SyncOptions = SyncOptions(),
    *,
    clock: Clock,
    listener: Progress | None = None,
    told: Told = tell_nobody,
) -> SyncResult:
    """Make a dataset and a folder alike, as far as the options go; the manifest says what was done.

    Everything that was finished is kept and recorded, also if it ends early: the result is then
    `partial`, and the next sync goes on. `DeletionRefusedError` comes when all else is done.

    Args:
        dataset: Which.
        store: Where its bucket is.
        root: The folder.
        options: What may be done.
        clock: The machine's.
        listener: Is told how far it is.
        told: Is told of each key that something was done about, or would be in a dry run.

    Raises:
        LocalFolderError: The folder is not there, or is gone in the middle.
        DatasetBusyError: Another process is at it.
        SyncConflictError: There are conflicts, and `on_conflict` is `fail`; nothing was done.
        DeletionRefusedError: More would be deleted than is plausible; nothing was deleted.
        StoreError: The bucket cannot be listed.
    """
    info = dataset.info()
    spec = DatasetSpec(info.id, info.title, info.bucket, info.prefix)
    job = SyncJob(
        spec, dataset, dataset.state, store, root, options, clock, listener or NoProgress(), told
    )
    if options.dry_run:
        return _preview(job)
    place = place_of(root)
    if options.on_conflict is OnConflict.FAIL:
        _refuse_conflicts(job)
    run_id = dataset.begin_run(RunKind.SYNC, place=place, version=info.version)
    books = Books(dataset, store, run_id, clock)
    how = "failed"
    try:
        check_alone(dataset, run_id, place, clock)
        faults.reached("sync.begun")
        problems, dead_runs = end_leftovers(dataset, store, run_id, clock)
        books.result.warnings += problems
        SyncPass(job, books, run_id, dead_runs).run()
        how = books.result.state
    except (KeyboardInterrupt, DeletionRefusedError):
        how = "partial"
        raise
    finally:
        books.result.version = dataset.info().version
        dataset.end_run(run_id, how, books.result.to_dict(findings_max=_NOTED_MAX))
    if options.manifest_folder is not None:
        books.result.manifest_file = write_manifest_file(dataset, options.manifest_folder)
        faults.reached("sync.manifest-written")
    return books.result


def preview_sync(
    spec: DatasetSpec,
    state: State,
    store: Store,
    root: Path,
    options: SyncOptions = SyncOptions(),
    *,
    listener: Progress | None = None,
    told: Told = tell_nobody,
) -> SyncResult:
    """What the first sync of a dataset that is not there yet would do; it is not made.

    Args:
        spec: The dataset.
        state: Where digests of files are kept; nothing else is written.
        store: Where its bucket is.
        root: The folder.
        options: As for the sync.
        listener: Is told how far it is.
        told: Is told of each key that something would be done about.
    """
    only = replace(options, dry_run=True)
    progress = listener or NoProgress()
    return _preview(SyncJob(spec, None, state, store, root, only, state.clock, progress, told))


def _preview(job: SyncJob) -> SyncResult:
    place_of(job.root)  # is it there?
    books = Books(None, job.store, "", job.clock)
    SyncPass(job, books, "").run()
    books.result.version = 0 if job.dataset is None else job.dataset.info().version
    return books.result


def _refuse_conflicts(job: SyncJob) -> None:
    """Compare first; only if there is no conflict, the sync begins."""
    quiet = replace(job, options=replace(job.options, dry_run=True), told=tell_nobody)
    found = _preview(quiet)
    if not found.conflicts:
        return
    first = next((one.key for one in found.findings if one.kind == "conflict"), "?")
    error: StocktakeError = SyncConflictError(
        f"{found.conflicts:,} files of dataset `{job.spec.id}` changed on both sides, "
        f"first `{first}`; nothing was done",
        hint="look at them with --dry-run, or say who is right: --on-conflict local|remote|both",
        dataset=job.spec.id,
        conflicts=found.conflicts,
    )
    raise error
