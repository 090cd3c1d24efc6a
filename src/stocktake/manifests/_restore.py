"""Restoring a dataset: the files of a manifest's version, below a folder.

    restore_dataset(open_dataset(state, "16"), store, Path("copy"))

Entries come in the order of keys, so what excludes each other is decided in that order; files are
fetched by several threads. Everything that is finished is kept, whatever ends the run.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stocktake.clock import Clock
from stocktake.errors import (
    InterruptedRunError,
    RestoreTargetError,
    StocktakeError,
    StoreUnavailableError,
    ThrottledError,
)
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import Entry, RunInfo, RunKind
from stocktake.manifests._local_names import Exclusions
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._restore_claims import PathClaims
from stocktake.manifests._restore_folder import TargetFolder
from stocktake.manifests._restore_one import (
    Deed,
    EntryRestorer,
    Outcome,
    finding_of,
    marker_error,
    target_path,
)
from stocktake.manifests._restore_options import (
    FINDINGS_KEPT_MAX,
    RestoreFinding,
    RestoreOptions,
    RestoreProblem,
    RestoreResult,
)
from stocktake.manifests._restore_path import names_of
from stocktake.store import Store
from stocktake.telemetry import Meter, NoProgress, Progress

SILENT_MAX = 8
"""So many files one after the other that the store gave no answer to, and it is given up."""

_RUNS_LOOKED_AT = 1000
_AHEAD = 4


def restore_dataset(
    dataset: Dataset,
    store: Store,
    target: Path,
    options: RestoreOptions = RestoreOptions(),
    *,
    clock: Clock,
    meter: Meter | None = None,
    progress: Progress | None = None,
) -> RestoreResult:
    """Download the files of a dataset; the run is entered in its download history.

    Args:
        dataset: Which one.
        store: Where its bucket is.
        target: The folder; made if it is not there. Nothing is ever written outside of it.
        options: Which files of which version, and what becomes of those that are there.
        clock: For the time it takes.
        meter: That of the store: for what it cost.
        progress: Is told of bytes.

    Raises:
        DatasetNotFoundError: No such dataset or version.
        LocalFolderError: The target cannot be used.
        DiskFullError: No space; finished files are kept, nothing is half.
        StoreError: None of the objects can be had: wrong credentials, no such bucket.
        InvalidSettingError: A glob makes no sense.
    """
    version = dataset.info().version if options.version is None else options.version
    meter = meter or Meter()
    job = _Restore(dataset, store, target, options, version, progress or NoProgress())
    began = clock.monotonic_s(), dict(meter.calls), meter.received_bytes

    def result() -> RestoreResult:
        calls = Counter(meter.calls)
        calls.subtract(began[1])
        return job.result(
            calls={name: count for name, count in sorted(calls.items()) if count},
            received_bytes=meter.received_bytes - began[2],
            elapsed_s=clock.monotonic_s() - began[0],
        )

    if options.dry_run:
        job.run(None)
        return result()
    place = str(target.resolve())
    job.run_id = dataset.begin_run(RunKind.RESTORE, place=place, version=version)
    state = "failed"
    try:
        job.run(place)
        state = "partial" if job.problems or job.interrupted else "done"
    except BaseException as error:
        job.interrupted = getattr(error, "message", None) or type(error).__name__
        state = "partial" if job.files else "failed"
        raise
    finally:
        dataset.end_run(job.run_id, state, result().to_dict(findings=False))
    return result()


@dataclass
class _Restore:
    """One run and its counts."""

    dataset: Dataset
    store: Store
    target: Path
    options: RestoreOptions
    version: int
    progress: Progress
    run_id: str | None = None
    files: int = 0
    size_bytes: int = 0
    replaced: int = 0
    unproven: int = 0
    identical: int = 0
    folders: int = 0
    excluded: int = 0
    leftovers: int = 0
    interrupted: str | None = None
    problems: Counter[str] = field(default_factory=Counter)
    findings: list[RestoreFinding] = field(default_factory=list)
    silent: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, place: str | None) -> None:
        """Restore everything. `place` None: only say what would be done."""
        info = self.dataset.info()
        globs = Exclusions.of(self.options.include) if self.options.include else None
        total = info.total_size_bytes if self.version == info.version and globs is None else None
        if place is None and not self.target.is_dir():
            self._count_only(info.prefix, globs)
            return
        with TargetFolder(self.target, self.run_id or "dry run") as folder:
            if place is not None:
                self.leftovers = _remove_leftovers(self.dataset, folder, place, self.run_id)
            claims = PathClaims(folds=place is not None and folder.folds_names())
            self.progress.phase("restore", total, "bytes")
            restorer = EntryRestorer(self.store, info.bucket, folder, self.options, self._advance)
            self._run_all(restorer, folder, self._planned(info.prefix, globs, claims))

    def _count_only(self, prefix: str, globs: Exclusions | None) -> None:
        for record, path in self._planned(prefix, globs, PathClaims(folds=False)):
            if record.s3_key.endswith("/"):
                self.folders += 1
            else:
                self._count(path, Outcome(record, Deed.RESTORED))

    def _planned(
        self, prefix: str, globs: Exclusions | None, claims: PathClaims
    ) -> Iterator[tuple[UploadRecord, bytes]]:
        """Entries that are asked for, each with its path; what cannot be is a finding."""
        for entry in self._entries():
            record = entry.record
            if globs is not None and not _is_included(record.s3_key.removeprefix(prefix), globs):
                self.excluded += 1
                continue
            path = target_path(record, prefix)
            try:
                if path.endswith(b"/") and record.size_bytes:
                    raise marker_error(path)
                names_of(path.removesuffix(b"/"))
                if not path.endswith(b"/"):
                    claims.claim(path)
            except RestoreTargetError as error:
                self._find(record, path, error)
                continue
            yield record, path

    def _entries(self) -> Iterator[Entry]:
        return self.dataset.entries(version=self.version)

    def _run_all(
        self,
        restorer: EntryRestorer,
        folder: TargetFolder,
        planned: Iterator[tuple[UploadRecord, bytes]],
    ) -> None:
        waiting: deque[tuple[bytes, Future[Outcome]]] = deque()
        with ThreadPoolExecutor(self.options.workers, thread_name_prefix="restore") as pool:
            try:
                for record, path in planned:
                    if self.interrupted is not None:
                        self.problems[RestoreProblem.NOT_TRIED] += 1
                    elif path.endswith(b"/"):
                        self._make_folder(folder, record, path)
                    else:
                        job = pool.submit(restorer.restore, record, path)
                        waiting.append((path, job))
                        if len(waiting) >= self.options.workers * _AHEAD:
                            self._take(waiting)
                while waiting:
                    self._take(waiting)
            except BaseException:
                self.stopped.set()
                for path, job in waiting:
                    if not job.cancel() and not job.exception():
                        self._count(path, job.result())
                raise

    def _take(self, waiting: deque[tuple[bytes, Future[Outcome]]]) -> None:
        """Count the oldest job, once it has ended. It stays in line until then."""
        path, job = waiting[0]
        if self.interrupted is not None and job.cancel():
            self.problems[RestoreProblem.NOT_TRIED] += 1
        else:
            self._count(path, job.result())
        waiting.popleft()

    def _make_folder(self, folder: TargetFolder, record: UploadRecord, path: bytes) -> None:
        try:
            if not self.options.dry_run:
                folder.make_folder(path.removesuffix(b"/"))
            self.folders += 1
        except RestoreTargetError as error:
            self._find(record, path, error)

    def _count(self, path: bytes, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._find(outcome.record, path, outcome.error)
            return
        self.silent = 0
        if outcome.deed is Deed.IDENTICAL:
            self.identical += 1
            return
        self.files += 1
        self.size_bytes += outcome.record.size_bytes
        self.replaced += outcome.replaced
        self.unproven += not outcome.proven

    def _find(self, record: UploadRecord, path: bytes, error: StocktakeError) -> None:
        finding = finding_of(record, path, error)
        self.problems[finding.problem] += 1
        if len(self.findings) < FINDINGS_KEPT_MAX:
            self.findings.append(finding)
        if isinstance(error, StoreUnavailableError | ThrottledError):
            self.silent += 1
            if self.silent >= SILENT_MAX and self.interrupted is None:
                self.interrupted = error.message

    def _advance(self, size_bytes: int) -> None:
        if self.stopped.is_set():
            raise InterruptedRunError("the restore was stopped")
        self.progress.advance(size_bytes)

    def result(
        self, *, calls: dict[str, int], received_bytes: int, elapsed_s: float
    ) -> RestoreResult:
        """What came of it so far."""
        return RestoreResult(
            run_id=self.run_id,
            dataset=self.dataset.id,
            target=str(self.target),
            version=self.version,
            files=self.files,
            size_bytes=self.size_bytes,
            replaced=self.replaced,
            unproven=self.unproven,
            identical=self.identical,
            folders=self.folders,
            excluded=self.excluded,
            problems=dict(sorted(self.problems.items())),
            findings=tuple(sorted(self.findings, key=lambda one: one.key.encode())),
            leftovers=self.leftovers,
            calls=calls,
            received_bytes=received_bytes,
            elapsed_s=elapsed_s,
            interrupted=self.interrupted,
        )


def _is_included(relative: str, globs: Exclusions) -> bool:
    """Whether a glob matches the path or a folder above it."""
    names = relative.removesuffix("/").split("/")
    return any(globs.matches("/".join(names[:count])) for count in range(1, len(names) + 1))


def _remove_leftovers(
    dataset: Dataset, folder: TargetFolder, place: str, run_id: str | None
) -> int:
    """Remove what runs that were killed left unfinished here, and note that they are over."""
    places = {place, f"{socket.gethostname()}:{place}"}  # the second is how a sync names it
    runs = [one for one in dataset.runs(limit=_RUNS_LOOKED_AT) if one.place in places]
    dead = [one for one in runs if one.id != run_id and is_abandoned(one)]
    removed = folder.remove_parts([one.id for one in dead])
    for one in dead:
        if one.kind is RunKind.RESTORE:
            dataset.end_run(one.id, "failed", {"interrupted": "its process was killed"})
    return removed


def is_abandoned(run: RunInfo) -> bool:
    """Whether a run that was not ended is one of this host whose process is gone."""
    if run.state != "running" or run.owner_host != socket.gethostname():
        return False
    if run.owner_pid == os.getpid():
        return True  # a process that was killed had the number that this one has now
    try:
        os.kill(run.owner_pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
