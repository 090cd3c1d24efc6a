"""What runs that are over have left: uploads that nobody goes on with. And who is still at it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stocktake.clock import Clock
from stocktake.errors import DatasetBusyError, StoreError, UnsupportedOperationError
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import NotedUpload, RunInfo, RunKind
from stocktake.store import Store, abort_until_gone, once, uploads_of

SKEW = timedelta(seconds=60)
"""How far the store's clock may be behind ours, for uploads whose id never reached us."""

FAR_RUN_MAX = timedelta(days=7)
"""A run on another host, which cannot be asked, is over after that."""

_ROUNDING = timedelta(seconds=2)
_RUNS_MAX = 1_000
_RUNNING = "running"
_DIED = "its process ended before it did"


def check_alone(dataset: Dataset, run_id: str, place: str, clock: Clock) -> None:
    """Refuse to go on beside another process at the same dataset from the same folder.

    Of two that begin at once, the one that was noted first goes on.

    Raises:
        DatasetBusyError: There is one.
    """
    runs = dataset.runs(RunKind.SYNC, limit=_RUNS_MAX)
    own = next((run for run in runs if run.id == run_id), None)
    for run in runs:
        if run.id == run_id or run.place != place or is_over(run, clock):
            continue
        if own is None or (run.started_at, run.id) < (own.started_at, own.id):
            raise DatasetBusyError(
                f"process {run.owner_pid} on {run.owner_host} synchronises dataset "
                f"`{dataset.id}` from this folder",
                dataset=dataset.id,
                pid=run.owner_pid,
            )


def end_leftovers(
    dataset: Dataset, store: Store, run_id: str, clock: Clock
) -> tuple[list[str], tuple[str, ...]]:
    """End uploads and runs whose process is gone.

    Returns what the store refused, for people, and the runs of this folder that did not end
    themselves.

    Raises:
        StoreUnavailableError: The store is away; call it again.
    """
    runs = {run.id: run for run in dataset.runs(RunKind.SYNC, limit=_RUNS_MAX)}
    over = {one.id for one in runs.values() if one.id != run_id and is_over(one, clock)}
    problems: list[str] = []
    noted = dataset.uploads()
    live_ids = {one.upload_id for one in noted if not _is_left(one, runs, over, run_id)}
    for upload in noted:
        if not _is_left(upload, runs, over, run_id):
            continue
        try:
            _end(dataset, store, upload, {one for one in live_ids if one is not None})
        except StoreError as error:
            if error.retryable:
                raise
            problems.append(f"an upload to {upload.s3_key} could not be ended: {error.message}")
    died = {run.id for run in runs.values() if run.id in over and run.state == _RUNNING}
    for one in died:
        dataset.end_run(one, "failed", {"why": _DIED})
    return problems, _of_this_folder(runs, run_id, died)


def _of_this_folder(runs: Mapping[str, RunInfo], run_id: str, died: set[str]) -> tuple[str, ...]:
    """Runs that may have left unfinished files here; the sync of another folder ends them too."""
    own = runs.get(run_id)
    return tuple(
        run.id
        for run in runs.values()
        if (own is None or run.place == own.place)
        and (run.id in died or run.result.get("why") == _DIED)
    )


def _is_left(upload: NotedUpload, runs: Mapping[str, RunInfo], over: set[str], run_id: str) -> bool:
    return upload.run_id != run_id and (upload.run_id in over or upload.run_id not in runs)


def _end(dataset: Dataset, store: Store, upload: NotedUpload, live_ids: set[str]) -> None:
    bucket, key = dataset.info().bucket, upload.s3_key
    ids = [upload.upload_id] if upload.upload_id is not None else _begun(store, bucket, upload)
    for upload_id in ids:
        if upload_id in live_ids:
            continue
        if not abort_until_gone(store, bucket, key, upload_id, once):
            raise StoreError(f"it is still there after several aborts: {upload_id}", key=key)
    dataset.drop_upload(key, upload.token)


def _begun(store: Store, bucket: str, upload: NotedUpload) -> list[str]:
    """The answer to Create never came: what was begun at exactly this key since then."""
    try:
        found = uploads_of(store, bucket, upload.s3_key)
    except UnsupportedOperationError:
        return []  # a store that lists no uploads: its lifecycle rule has to end them
    since = upload.recorded_at - SKEW
    return [one.upload_id for one in found if one.initiated is not None and one.initiated >= since]


def is_over(run: RunInfo, clock: Clock) -> bool:
    """Whether nobody is at this run any more, as far as can be known from here."""
    if run.state != _RUNNING:
        return True
    if run.owner_host != socket.gethostname():
        return clock.now() - run.started_at > FAR_RUN_MAX
    return not _is_process_of(run)


def _is_process_of(run: RunInfo) -> bool:
    """Whether the process is there, and was when the run began: its number may be used again."""
    try:
        os.kill(run.owner_pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    began = _process_began(run.owner_pid)
    return began is None or began <= run.started_at + _ROUNDING


def _process_began(pid: int) -> datetime | None:
    """When a process of this machine began; None where that cannot be known."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        lines = Path("/proc/stat").read_text().splitlines()
        booted_s = next(int(line.split()[1]) for line in lines if line.startswith("btime"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    return datetime.fromtimestamp(booted_s + ticks, UTC)
