"""Work of `scan`: list, make the snapshot, say what changed, what it proves and what it cost."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from stocktake.catalog import (
    Catalog,
    ImportOptions,
    ImportResult,
    Snapshot,
    find_snapshot,
    import_snapshot,
    keep_receipt,
    list_snapshots,
    sweep,
    take_up_scan,
)
from stocktake.cli._metrics_text import show_metrics
from stocktake.cli._receipt import Prices, Receipt, show_receipt
from stocktake.cli._report_import import show_import, worker_count
from stocktake.cli._run import Run
from stocktake.cli._sources import about, source_text
from stocktake.cli._text import duration_text, parse_duration, plural, size_text, time_text
from stocktake.clock import format_utc
from stocktake.listing import ListingMetrics, ListSource, RangeOptions, choose_lister
from stocktake.model import S3Url, SourceKind
from stocktake.telemetry import Meter

_TEXT_WIDTH = 76
_RESUME_WITHIN = timedelta(days=1)
"""An older interrupted scan is begun anew: what it would prove is too old."""


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What `scan` was asked for, as typed."""

    source: str
    versions: bool = False
    max_age: str | None = None
    workers: int | None = None
    accept_deletions: bool = False
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan came to."""

    result: ImportResult
    metrics: ListingMetrics
    receipt: dict[str, Any]


def scan_bucket(run: Run, request: ScanRequest) -> int:
    """Answer `scan`."""
    source = S3Url.parse(request.source)
    max_age = parse_duration(request.max_age, "--max-age") if request.max_age else None
    with run.open_catalog(create=True) as catalog:
        if max_age is not None:
            oldest = run.clock.now() - max_age
            known = young_snapshot(catalog, source, oldest, versions=request.versions)
            if known is not None:
                return _show_reused(run, known)
        scanned = _scan(run, catalog, source, request)
        _show(run, find_snapshot(catalog, scanned.result.snapshot_id), scanned)
    return 0


def young_snapshot(
    catalog: Catalog, source: S3Url, oldest: datetime, *, versions: bool
) -> Snapshot | None:
    """The newest snapshot that covers all of an address and speaks of `oldest` or later."""
    for one in list_snapshots(catalog, source=source.bucket):
        prefix = one.coverage.prefix
        covers = prefix is not None and source.key.startswith(prefix)
        if covers and (one.coverage.versions == "all") >= versions and one.as_of >= oldest:
            return one
    return None


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """What a snapshot tells of the keys below an address: about how many, and where to cut them."""

    rows: int
    split_keys: tuple[str, ...]


def known_snapshot(catalog: Catalog, source: S3Url) -> KnownKeys | None:
    """What the newest snapshot that covers an address, of whatever source, knows of its keys."""
    never = datetime.min.replace(tzinfo=UTC)
    known = young_snapshot(catalog, source, never, versions=False)
    if known is None:
        return None
    everything, rows = known.manifest.quantiles, known.manifest.stats.rows
    here = tuple(key for key in everything if key.startswith(source.key))
    return KnownKeys(rows * len(here) // len(everything) if everything else rows, here)


def warm_options(catalog: Catalog, source: S3Url, options: RangeOptions) -> RangeOptions:
    """The options with what is known of the keys."""
    known = known_snapshot(catalog, source)
    if known is None or not known.split_keys:
        return options
    return replace(options, split_keys=known.split_keys, rows_expected=known.rows)


def _scan(run: Run, catalog: Catalog, source: S3Url, request: ScanRequest) -> Scanned:
    store = run.open_store()
    started_s = run.clock.monotonic_s()
    wanted = RangeOptions(workers=request.workers) if request.workers else RangeOptions()
    lister = choose_lister(
        store,
        source.bucket,
        warm_options(catalog, source, wanted),
        state=catalog.state,
        clock=run.clock,
        meter=run.meter,
    )
    listing = ListSource(store, source, versions=request.versions, clock=run.clock, lister=lister)
    if not request.restart:
        listing = take_up_scan(catalog, listing, younger_than=_RESUME_WITHIN)
    options = ImportOptions(
        accept_deletions=request.accept_deletions,
        deletion_margin=timedelta(),  # each page is exact when it is read
        workers=worker_count(run),
    )
    try:
        with run.watch() as progress:
            result = import_snapshot(catalog, listing, options, progress=progress)
    finally:
        listing.close()
    elapsed_s = run.clock.monotonic_s() - started_s
    metrics = finished_metrics(lister.metrics, result, run.meter, elapsed_s)
    receipt = Receipt.of(
        "scan", run.meter, elapsed_s, metrics.objects, from_report=False, phases=result.phase_s
    ).to_dict(Prices.load())
    sweep(catalog)
    keep_receipt(catalog, result.snapshot_id, {**receipt, "metrics": metrics.to_dict()})
    return Scanned(result, metrics, receipt)


def finished_metrics(
    listed: ListingMetrics, result: ImportResult, meter: Meter, wall_s: float
) -> ListingMetrics:
    """The lister's figures with what the comparison found."""
    diff = result.diff
    return replace(
        listed,
        objects=result.stats.rows if result.stats else listed.objects,
        new=diff.new if diff else 0,
        changed=diff.modified if diff else 0,
        deleted=diff.deleted if diff else 0,
        retries=sum(meter.retries.values()),
        diff_s=round(result.phase_s.get("compare", 0.0), 3),
        wall_s=wall_s,
    )


def claim_sentence(snapshot: Snapshot) -> str | None:
    """What a finished scan proves; None for a report, which proves nothing."""
    if snapshot.kind != SourceKind.LIST:
        return None
    return (
        f"complete through {format_utc(snapshot.as_of)}: what was there then and had not been "
        "deleted when its page was read is in this snapshot"
    )


def _show(run: Run, snapshot: Snapshot, scanned: Scanned) -> None:
    result = scanned.result
    if run.out.json:
        run.out.document(
            {
                **result.to_dict(),
                "snapshot": about(snapshot),
                "reused": False,
                "metrics": scanned.metrics.to_dict(),
                "claim": claim_sentence(snapshot),
                "receipt": scanned.receipt,
            }
        )
        return
    show_import(run, result, source_text(snapshot), result.warnings, verb="scanned")
    for line in textwrap.wrap(claim_sentence(snapshot) or "", _TEXT_WIDTH):
        run.out.line(f"  {line}")
    show_metrics(run.out, scanned.metrics)
    show_receipt(run.out, scanned.receipt)
    run.out.note("")
    run.out.note(f"next: stocktake tree s3://{snapshot.bucket}/{snapshot.coverage.prefix or ''}")


def _show_reused(run: Run, snapshot: Snapshot) -> int:
    age_s = (run.clock.now() - snapshot.as_of).total_seconds()
    if run.out.json:
        metrics = ListingMetrics(objects=snapshot.objects, reused=True)
        run.out.document(
            {
                **ImportResult("no-change", snapshot.id).to_dict(),
                "state": "reused",
                "snapshot": about(snapshot),
                "reused": True,
                "metrics": metrics.to_dict(),
                "claim": claim_sentence(snapshot),
                "receipt": None,
            }
        )
        return 0
    run.out.line(f"not listed again: the {source_text(snapshot)} is {duration_text(age_s)} old")
    run.out.line(f"  snapshot {snapshot.id} of {time_text(snapshot.as_of)} UTC")
    run.out.line(f"  {plural(snapshot.objects, 'object')}, {size_text(snapshot.size_bytes)}")
    return 0
