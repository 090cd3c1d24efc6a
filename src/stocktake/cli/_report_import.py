"""Work of `inventory import`: open the report, make the snapshot, say what changed and the cost."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from stocktake.catalog import (
    DELETION_MARGIN,
    KEY_ENCODING,
    Catalog,
    ImportOptions,
    ImportResult,
    find_snapshot,
    import_snapshot,
    keep_receipt,
    keep_source_setting,
    list_snapshots,
    source_setting,
    sweep,
)
from stocktake.cli._changes import changes_line
from stocktake.cli._receipt import Prices, Receipt, show_receipt
from stocktake.cli._run import Run
from stocktake.cli._sources import about
from stocktake.cli._text import plural, size_text, time_text
from stocktake.errors import CatalogNotFoundError, InvalidSettingError, KeyEncodingError, UsageError
from stocktake.inventory import KeyEncoding, ReadOptions, Report, ReportAddress, open_report
from stocktake.store import Store

_WORKERS_MAX = 4


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What a report command was asked for, as typed."""

    address: str
    date: str | None = None
    manifest_url: str | None = None
    force: bool = False
    accept_deletions: bool = False
    key_encoding: str = "auto"
    allow_unverified_manifest: bool = False
    include_own_files: bool = False
    keep_acl: bool = False
    deletion_margin: timedelta = DELETION_MARGIN
    dry_run: bool = False

    def where(self) -> ReportAddress:
        """The report's address; a manifest's own address will do."""
        text = self.address or self.manifest_url
        if text is None:
            raise UsageError(
                "no report named",
                hint="give s3://destination-bucket/[prefix/]source-bucket/configuration-id",
            )
        return ReportAddress.parse(text)

    def read_options(self, workers: int) -> ReadOptions:
        """How the report is read."""
        return ReadOptions(
            key_encoding=parse_key_encoding(self.key_encoding),
            allow_unverified_manifest=self.allow_unverified_manifest,
            keep_acl=self.keep_acl,
            exclude_own_files=not self.include_own_files,
            force=self.force,
            workers=workers,
        )


def parse_key_encoding(text: str) -> KeyEncoding:
    """The key encoding of that name. Raises InvalidSettingError."""
    try:
        return KeyEncoding(text)
    except ValueError:
        names = ", ".join(one.value for one in KeyEncoding)
        raise InvalidSettingError(
            f"--key-encoding is `{text}`", hint=f"it can be {names}"
        ) from None


def open_requested(run: Run, store: Store, request: ImportRequest) -> Report:
    """Open the report that was asked for."""
    return open_report(
        store,
        request.where(),
        date=request.date,
        manifest_url=request.manifest_url,
        options=request.read_options(worker_count(run)),
        clock=run.clock,
    )


def worker_count(run: Run) -> int:
    """Parts read at the same time: as configured, or one per core up to 4, each some 50 MB."""
    return run.settings.workers or min(os.cpu_count() or 2, _WORKERS_MAX)


def import_report(run: Run, request: ImportRequest) -> int:
    """Answer `inventory import`."""
    store = run.open_store()
    report = open_requested(run, store, request)
    if request.dry_run:
        return _show_plan(run, report)
    with run.open_catalog(create=True) as catalog:
        result, receipt = run_import(run, catalog, report, request)
        warnings = list(dict.fromkeys([*report.warnings, *result.warnings]))
        _show_result(run, catalog, result, receipt, warnings)
    return 0


def run_import(
    run: Run, catalog: Catalog, report: Report, request: ImportRequest
) -> tuple[ImportResult, dict[str, Any]]:
    """Import an opened report; returns what became of it and the receipt, which is kept with it."""
    started_s = run.clock.monotonic_s()
    options = ImportOptions(
        force=request.force,
        accept_deletions=request.accept_deletions,
        deletion_margin=request.deletion_margin,
        workers=worker_count(run),
    )
    known = source_setting(catalog, report.header, KEY_ENCODING)
    if known is not None and request.key_encoding == KeyEncoding.AUTO:
        report = report.with_key_encoding(KeyEncoding(known))
    with run.watch() as progress:
        try:
            result = import_snapshot(catalog, report, options, progress=progress)
        except KeyEncodingError as error:
            encoding = error.attrs["encoding"]
            progress.note(f"{error.message}; reading the report again so")
            keep_source_setting(catalog, report.header, KEY_ENCODING, encoding)
            report = report.with_key_encoding(KeyEncoding(encoding))
            result = import_snapshot(catalog, report, options, progress=progress)
    receipt = Receipt.of(
        "import",
        run.meter,
        run.clock.monotonic_s() - started_s,
        result.stats.rows if result.stats else find_snapshot(catalog, result.snapshot_id).objects,
        from_report=result.state == "published",
        phases=result.phase_s,
    )
    document = receipt.to_dict(Prices.load())
    if result.state == "published":
        sweep(catalog)  # what killed runs left behind
        keep_receipt(catalog, result.snapshot_id, document)
    return result, document


def _show_result(
    run: Run,
    catalog: Catalog,
    result: ImportResult,
    receipt: dict[str, Any],
    warnings: list[str],
) -> None:
    snapshot = find_snapshot(catalog, result.snapshot_id)
    if run.out.json:
        run.out.document(
            {
                **result.to_dict(),
                "warnings": warnings,
                "snapshot": about(snapshot),
                "receipt": receipt,
            }
        )
        return
    title = f"{snapshot.source_name} of {time_text(snapshot.as_of)} UTC"
    show_import(run, result, title, warnings)
    show_receipt(run.out, receipt)
    run.out.note("")
    run.out.note(f"next: stocktake tree s3://{snapshot.bucket}/")


def show_import(
    run: Run,
    result: ImportResult,
    title: str,
    warnings: Iterable[str] = (),
    *,
    verb: str = "imported",
) -> None:
    """What became of an import or a scan, for people."""
    stats = result.stats
    if stats is None:
        run.out.line(f"no change: {title} is there already")
        run.out.line(f"  snapshot {result.snapshot_id}")
        return
    run.out.line(f"{verb} {title}")
    run.out.line(f"  snapshot {result.snapshot_id}")
    run.out.line(
        f"  {plural(stats.objects, 'object')}, {size_text(stats.size_bytes)}, "
        f"{plural(stats.folders, 'folder')}"
    )
    resumed = f", {result.resumed_parts} of them from the run before" * bool(result.resumed_parts)
    run.out.line(f"  {plural(result.parts, 'part')}{resumed}")
    for name, label in _ODDITIES.items():
        if count := getattr(stats, name):
            run.out.line(f"  {plural(count, label)}")
    if result.diff:
        run.out.line(f"  changes: {changes_line(result.diff)}")
    for warning in warnings:
        run.out.warn(warning)


_ODDITIES = {
    "noncurrent_versions": "noncurrent version",
    "delete_markers": "delete marker",
    "excluded_objects": "file of the report itself, not counted",
    "undecodable_keys": "key that cannot be decoded, kept raw",
    "bad_rows": "unreadable row",
    "duplicates": "duplicate row dropped",
}


def _show_plan(run: Run, report: Report) -> int:
    header = report.header
    known = _known(run, header.identity)
    facts: dict[str, Any] = {
        "state": "imported" if known else "would-import",
        "snapshot_id": known,
        "source": header.source_name,
        "as_of": header.as_of,
        "delivered_at": header.delivered_at,
        "manifest_url": str(report.manifest_url),
        "manifest_md5": header.identity,
        "format": report.manifest.file_format.value.lower(),
        "columns": list(header.columns),
        "coverage": asdict(header.coverage),
        "excluded_prefixes": list(header.excluded_prefixes),
        "parts": len(report.parts()),
        "size_bytes": report.size_bytes,
        "warnings": list(report.warnings),
    }
    if run.out.json:
        run.out.document(facts)
        return 0
    run.out.line(f"{header.source_name} of {time_text(header.as_of)} UTC")
    run.out.line(f"  {report.manifest_url}")
    run.out.line(
        f"  {plural(facts['parts'], 'part')} of {facts['format']}, {size_text(report.size_bytes)}"
    )
    run.out.line(f"  columns: {', '.join(header.columns)}")
    run.out.line(f"  imported already as {known}" if known else "  not imported yet")
    for warning in report.warnings:
        run.out.warn(warning)
    run.out.note("nothing was written (--dry-run)")
    return 0


def _known(run: Run, identity: str) -> str | None:
    try:
        with run.open_catalog() as catalog:
            return next((s.id for s in list_snapshots(catalog) if s.identity == identity), None)
    except CatalogNotFoundError:
        return None
