"""Verifying a dataset: its manifest against the bucket, or against a folder.

    verify_dataset(open_dataset(state, "16"), store, VerifyLevel.LIST, clock=SystemClock())

A version of the manifest is held against what is there. What others commit meanwhile is looked at
once more in the end: where the manifest changed, a finding means nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from stocktake.clock import Clock
from stocktake.errors import (
    InterruptedRunError,
    StoreUnavailableError,
    ThrottledError,
    UsageError,
)
from stocktake.listing import RangeOptions, choose_lister
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import DatasetInfo, RunKind
from stocktake.manifests._verify_listing import Compared, compare_listing, listed_objects
from stocktake.manifests._verify_local import FolderComparer
from stocktake.manifests._verify_object import Checked, ObjectChecker
from stocktake.manifests._verify_pool import in_order
from stocktake.manifests._verify_share import SampledShare, draw_entries, share_of
from stocktake.manifests._verify_values import (
    BLIND_SPOTS,
    FINDINGS_KEPT_MAX,
    UNKNOWN,
    Damage,
    VerifyFinding,
    VerifyLevel,
    VerifyOptions,
    VerifyResult,
)
from stocktake.model import S3Url
from stocktake.store import Store
from stocktake.telemetry import Meter, NoProgress, Progress

SILENT_MAX = 8
"""So many objects one after the other that the store gave no answer about, and it is given up."""

SERIAL_MAX = 20_000
"""Up to so many entries, pages are listed one after the other: no request is wasted."""

_FINAL = frozenset({Damage.MISSING, Damage.EXTRA, Damage.SIZE})
"""What a listing says that a closer look could not say better."""


def verify_dataset(
    dataset: Dataset,
    store: Store | None,
    level: VerifyLevel,
    options: VerifyOptions = VerifyOptions(),
    *,
    clock: Clock,
    meter: Meter | None = None,
    progress: Progress | None = None,
) -> VerifyResult:
    """Hold a dataset's manifest against what is there; the run is noted.

    Requests: `LIST` one per 1,000 objects; `HEAD` and `FULL` one per entry more; `LOCAL` none. With
    a sample one per entry that is drawn, and no listing: what the manifest has not is not seen.

    Args:
        dataset: Which one.
        store: Where its bucket is; `LOCAL` needs none.
        level: How closely.
        options: Sample, folder, threads.
        clock: For the time it takes.
        meter: That of the store: for what it cost.
        progress: Is told of objects, or bytes where they are read.

    Raises:
        UsageError: The options contradict the level.
        DatasetNotFoundError: It was forgotten.
        LocalFolderError: The folder cannot be read.
        StoreError: The bucket cannot be listed, or nothing of it can be seen.
    """
    _check_options(store, level, options)
    meter = meter or Meter()
    info = dataset.info()
    place = str(options.folder.resolve()) if options.folder is not None else None
    run_id = dataset.begin_run(RunKind.VERIFY, place=place, version=info.version)
    job = _Verification(dataset, info, level, options, progress or NoProgress())
    began = clock.monotonic_s(), dict(meter.calls), meter.received_bytes

    def result() -> VerifyResult:
        calls = Counter(meter.calls)
        calls.subtract(began[1])
        return job.result(
            run_id,
            calls={name: count for name, count in sorted(calls.items()) if count},
            received_bytes=meter.received_bytes - began[2],
            elapsed_s=clock.monotonic_s() - began[0],
        )

    state = "failed"
    try:
        job.run(store, clock, meter)
        job.look_again()
        state = "done" if result().is_whole else "partial"
    except BaseException as error:
        job.interrupted = getattr(error, "message", None) or type(error).__name__
        raise
    finally:
        dataset.end_run(run_id, state, result().to_dict(findings=False))
    return result()


def _check_options(store: Store | None, level: VerifyLevel, options: VerifyOptions) -> None:
    if (level is VerifyLevel.LOCAL) != (options.folder is not None):
        raise UsageError("level `local` needs a folder, and only this level takes one")
    if level is not VerifyLevel.LOCAL and store is None:
        raise UsageError(f"level `{level}` needs a store")
    if options.sample is not None and level not in (VerifyLevel.HEAD, VerifyLevel.FULL):
        raise UsageError(
            f"level `{level}` takes no sample",
            hint="level `list` costs one request for 1,000 objects; sample `head` or `full`",
        )
    if options.sample is not None and options.sample < 1:
        raise UsageError("a sample has one entry or more")


@dataclass
class _Verification:
    """One run and its counts."""

    dataset: Dataset
    info: DatasetInfo
    level: VerifyLevel
    options: VerifyOptions
    progress: Progress
    checked: int = 0
    size_bytes: int = 0
    identical: int = 0
    unproven: int = 0
    meanwhile: int = 0
    share: SampledShare | None = None
    interrupted: str | None = None
    counts: Counter[Damage] = field(default_factory=Counter)
    findings: list[VerifyFinding] = field(default_factory=list)
    silent: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, store: Store | None, clock: Clock, meter: Meter) -> None:
        """Look at everything, or at the sample."""
        if store is None or self.level is VerifyLevel.LOCAL:
            self._run_local()
            return
        read = self.level is VerifyLevel.FULL
        total = self.info.total_size_bytes if read else self.info.total_files
        sampled = self.options.sample is not None
        unit = "bytes" if read else "objects"
        self.progress.phase(f"verify by {self.level}", None if sampled else total, unit)
        checker = ObjectChecker(store, self.info.bucket, read=read, advance=self._advance)
        if sampled:
            self._run_sample(checker)
            return
        compared = self._compared_listing(store, clock, meter)
        if self.level is VerifyLevel.LIST:
            for one in compared:
                self._advance(1)
                self._count(one, Checked(one.finding))
        else:
            self._look_closer(checker, compared)

    def _compared_listing(self, store: Store, clock: Clock, meter: Meter) -> Iterator[Compared]:
        info = self.info
        serial = info.total_files <= SERIAL_MAX
        lister = choose_lister(
            store,
            info.bucket,
            RangeOptions(workers=1) if serial else RangeOptions(),
            state=self.dataset.state,
            clock=clock,
            meter=meter,
        )
        batches = lister.list_objects(store, S3Url(info.bucket, info.prefix))
        entries = self.dataset.entries(version=info.version)
        return compare_listing(entries, listed_objects(batches, info))

    def _look_closer(self, checker: ObjectChecker, compared: Iterable[Compared]) -> None:
        def check(one: Compared) -> Checked:
            if one.record is None or (one.finding is not None and one.finding.what in _FINAL):
                return Checked(one.finding)
            return checker.check(one.record)

        self._count_all(check, compared)

    def _run_sample(self, checker: ObjectChecker) -> None:
        entries = self.dataset.entries(version=self.info.version)
        drawn, total = draw_entries(entries, self.options.sample or 0, self.options.seed)

        def check(one: Compared) -> Checked:
            assert one.record is not None
            return checker.check(one.record)

        self._count_all(check, (Compared(one.record, None) for one in drawn))
        differ = sum(count for what, count in self.counts.items() if what not in UNKNOWN)
        seen = self.checked - sum(self.counts[what] for what in UNKNOWN)
        self.share = share_of(differ, seen, total) if seen else None

    def _run_local(self) -> None:
        total = self.info.total_size_bytes
        self.progress.phase("compare files", total, "bytes")
        comparer = FolderComparer(self.dataset, self.info.version, self.options, self._advance)
        with closing(comparer.compared(self.info)) as results:
            for one, checked in results:
                self._count(one, checked)

    def _count_all(
        self, check: Callable[[Compared], Checked], compared: Iterable[Compared]
    ) -> None:
        results = in_order(check, compared, workers=self.options.workers, stopped=self.stopped)
        with closing(results):
            for one, checked in results:
                self._count(one, checked)
                if self.interrupted is not None:
                    return

    def _count(self, one: Compared, checked: Checked) -> None:
        if isinstance(checked.error, StoreUnavailableError | ThrottledError):
            self.silent += 1
            if self.silent >= SILENT_MAX:
                self.interrupted = checked.error.message
        else:
            self.silent = 0
        if one.record is not None:
            self.checked += 1
            self.size_bytes += one.record.size_bytes
            self.identical += checked.finding is None
            self.unproven += checked.finding is None and not checked.proven
        if checked.finding is not None:
            self.counts[checked.finding.what] += 1
            if len(self.findings) < FINDINGS_KEPT_MAX:
                self.findings.append(checked.finding)

    def _advance(self, amount: int) -> None:
        if self.stopped.is_set():
            raise InterruptedRunError("the verification was stopped")
        self.progress.advance(amount)

    def look_again(self) -> None:
        """Drop findings of keys whose entry another process changed meanwhile."""
        if self.dataset.info().version == self.info.version:
            return
        kept: list[VerifyFinding] = []
        for one in self.findings:
            if self._is_still_so(one):
                kept.append(one)
            else:
                self.meanwhile += 1
                self.counts[one.what] -= 1
        self.findings = kept
        self.counts = +self.counts

    def _is_still_so(self, one: VerifyFinding) -> bool:
        before = self.dataset.find(one.key, version=self.info.version)
        return before == self.dataset.find(one.key)

    def result(
        self, run_id: str, *, calls: dict[str, int], received_bytes: int, elapsed_s: float
    ) -> VerifyResult:
        """What was found so far."""
        return VerifyResult(
            run_id=run_id,
            dataset=self.dataset.id,
            level=self.level,
            version=self.info.version,
            entries=self.info.total_files,
            checked=self.checked,
            size_bytes=self.size_bytes,
            identical=self.identical,
            unproven=self.unproven,
            counts={str(what): self.counts[what] for what in Damage if self.counts[what]},
            findings=tuple(sorted(self.findings, key=lambda one: one.key.encode())),
            meanwhile=self.meanwhile,
            share=self.share,
            calls=calls,
            received_bytes=received_bytes,
            elapsed_s=elapsed_s,
            interrupted=self.interrupted,
            blind_spots=BLIND_SPOTS[self.level],
        )
