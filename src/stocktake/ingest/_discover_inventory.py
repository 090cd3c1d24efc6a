"""inventory: the newest report is the base; what came after it is found by a listing or events."""

from __future__ import annotations

from stocktake.catalog import (
    KEY_ENCODING,
    Snapshot,
    find_snapshot,
    import_snapshot,
    keep_source_setting,
    list_snapshots,
    source_setting,
)
from stocktake.clock import format_utc
from stocktake.errors import KeyEncodingError, SnapshotNotFoundError
from stocktake.ingest._discover_events import run_events
from stocktake.ingest._discover_job import DiscoveryJob, DiscoveryReport, report_of, together
from stocktake.ingest._discover_look import look_in
from stocktake.ingest._discover_scan import run_scan
from stocktake.inventory import KeyEncoding, ReportAddress, open_report
from stocktake.listing import ListingMetrics, StrategyName, parse_settings
from stocktake.model import S3Url, SourceKind

_INVENTORY = StrategyName.INVENTORY


def run_inventory(job: DiscoveryJob) -> DiscoveryReport:
    """Absorb the newest report if it is new, then its tail.

    A report is a past, fuzzy picture: it never moves the claim, and nothing that was learnt after
    its stamp is undone by it.

    Raises:
        SnapshotNotFoundError: There is no report of the bucket.
        ReportError: The report that the settings name cannot be read.
    """
    settings = parse_settings(_INVENTORY, job.spec.strategy_settings)
    snapshot = _newest_report(job, settings["location"], settings["config_id"])
    report = _absorb(job, snapshot)
    if settings["tail"] == "listing":
        return together(report, run_scan(job))
    if settings["tail"] == "events":
        report = together(report, run_events(job))
    return report or _nothing_new(job, snapshot)


def _absorb(job: DiscoveryJob, snapshot: Snapshot) -> DiscoveryReport | None:
    """Absorb a report; None if it is known, or older than what is."""
    cursor = job.feed.cursor(_INVENTORY)
    if cursor.get("snapshot_id") == snapshot.id:
        return None
    metrics = ListingMetrics(objects=snapshot.objects)
    with job.feed.discovering(_INVENTORY) as writer:
        absorbed = writer.absorb_snapshot(
            snapshot,
            started_at=snapshot.as_of,
            proves_complete=False,
            metrics=metrics,
            look=look_in(job.store, job.spec.source.bucket),
            accept_deletions=job.accept_deletions,
            cursor={"snapshot_id": snapshot.id},
        )
    return report_of(job, _INVENTORY, absorbed, metrics, snapshot.manifest.warnings)


def _nothing_new(job: DiscoveryJob, snapshot: Snapshot) -> DiscoveryReport:
    metrics = ListingMetrics(objects=snapshot.objects, reused=True)
    note = f"no newer report than that of {format_utc(snapshot.as_of)}"
    run_id = job.feed.note_reuse(_INVENTORY, metrics)
    claim = job.feed.claim()
    return DiscoveryReport(run_id, _INVENTORY, metrics, claim, reused=True, warnings=(note,))


def _newest_report(job: DiscoveryJob, location: str | None, config_id: str | None) -> Snapshot:
    """The newest report as a snapshot: the one the settings name, else the catalog's newest."""
    bucket = job.spec.source.bucket
    if location is not None:
        url = S3Url.parse(location)
        address = (
            ReportAddress(url.bucket, url.key.strip("/"), bucket, config_id)
            if config_id is not None
            else ReportAddress.parse(location)
        )
        return _import(job, address)
    source = bucket if config_id is None else f"{bucket}/{config_id}"
    for snapshot in list_snapshots(job.catalog, source=source):
        covers = job.spec.source.key.startswith(snapshot.coverage.prefix or "")
        if snapshot.kind == SourceKind.AWS_INVENTORY and covers:
            return snapshot
    raise SnapshotNotFoundError(
        f"there is no inventory report of {job.spec.source} in the catalog",
        hint="import one, or say where reports are: the setting `location` of the strategy",
    )


def _import(job: DiscoveryJob, address: ReportAddress) -> Snapshot:
    catalog = job.catalog
    report = open_report(job.store, address, clock=catalog.clock)
    known = source_setting(catalog, report.header, KEY_ENCODING)
    if known is not None:
        report = report.with_key_encoding(KeyEncoding(known))
    try:
        result = import_snapshot(catalog, report, progress=job.progress)
    except KeyEncodingError as error:
        encoding = error.attrs["encoding"]
        keep_source_setting(catalog, report.header, KEY_ENCODING, encoding)
        again = report.with_key_encoding(KeyEncoding(encoding))
        result = import_snapshot(catalog, again, progress=job.progress)
    return find_snapshot(catalog, result.snapshot_id)
