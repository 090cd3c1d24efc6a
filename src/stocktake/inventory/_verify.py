"""Checks a whole report without importing it: every part's size, MD5 and rows."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

from stocktake.errors import ReportError
from stocktake.inventory._bad_rows import bad_rows_allowed
from stocktake.inventory._report import Report
from stocktake.model import PartRef, PartTally
from stocktake.telemetry import NoProgress, Progress


@dataclass(frozen=True, slots=True)
class PartVerdict:
    """What became of one part. `error` is None if its size, MD5 and structure are right."""

    part: PartRef
    tally: PartTally
    error: ReportError | None = None


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What a check of all parts found.

    Attributes:
        parts: One verdict per part, in the report's order.
        rows: Readable rows of sound parts, those with an undecodable key included.
        bad_rows: Rows of sound parts that cannot be read.
        size_bytes: Stored bytes of all parts, as the manifest says.
    """

    parts: tuple[PartVerdict, ...]
    rows: int
    bad_rows: int
    size_bytes: int

    @property
    def failed(self) -> tuple[PartVerdict, ...]:
        """The parts that are not sound."""
        return tuple(verdict for verdict in self.parts if verdict.error is not None)

    @property
    def ok(self) -> bool:
        """True if an import would take it: every part sound, few enough bad rows."""
        return not self.failed and self.bad_rows <= bad_rows_allowed(self.rows)


def verify_report(report: Report, *, progress: Progress | None = None) -> VerifyResult:
    """Read every part once (again once if it fails), `options.workers` at a time.

    A damaged or missing part is a verdict, not an exception, so that all of them are named.

    Args:
        report: Opened.
        progress: Told the stored bytes that were read.

    Raises:
        ReportChangedError: The manifest was rewritten meanwhile.
        StoreError: The store failed, or a permission is missing.
    """
    watcher = progress or NoProgress()
    watcher.phase("verify", report.size_bytes, "bytes")
    verdicts = sorted(_verdicts(report, watcher), key=lambda verdict: verdict.part.index)
    report.recheck()
    sound = [verdict.tally for verdict in verdicts if verdict.error is None]
    return VerifyResult(
        parts=tuple(verdicts),
        rows=sum(tally.rows + tally.undecodable_keys for tally in sound),
        bad_rows=sum(tally.bad_rows for tally in sound),
        size_bytes=report.size_bytes,
    )


def _verdicts(report: Report, progress: Progress) -> Iterator[PartVerdict]:
    waiting = iter(report.parts())
    workers = max(report.options.workers, 1)
    with ThreadPoolExecutor(workers, thread_name_prefix="verify") as pool:
        running: set[Future[PartVerdict]] = set()
        while True:
            room = workers - len(running)
            running |= {pool.submit(_check, report, part) for part in islice(waiting, room)}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                verdict = future.result()
                progress.advance(verdict.part.size_bytes)
                if verdict.error is not None:
                    progress.note(verdict.error.message)
                yield verdict


def _check(report: Report, part: PartRef) -> PartVerdict:
    verdict = _read_through(report, part)
    if verdict.error is not None and verdict.error.retryable:
        verdict = _read_through(report, part)
    return verdict


def _read_through(report: Report, part: PartRef) -> PartVerdict:
    tally = PartTally()
    try:
        for _ in report.read(part, tally):
            pass
    except ReportError as error:
        return PartVerdict(part, tally, error)
    return PartVerdict(part, tally)
