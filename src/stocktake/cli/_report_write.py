"""Work of `inventory write`: list a live bucket and write the report."""

from __future__ import annotations

from dataclasses import dataclass

from stocktake.cli._receipt import Prices, Receipt, show_receipt
from stocktake.cli._run import Run
from stocktake.cli._text import plural, size_text, time_text
from stocktake.inventory import ReportSpec, parse_format, write_report
from stocktake.listing import list_objects
from stocktake.model import S3Url


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """What `inventory write` was asked for, as typed."""

    source: str
    destination: str
    file_format: str = "csv"
    versions: bool = False
    config_id: str = "stocktake"
    rows_per_part: int = 1_000_000
    overwrite: bool = False


def write_inventory(run: Run, request: WriteRequest, *, show_cost: bool = True) -> int:
    """Answer `inventory write`."""
    source, destination = S3Url.parse(request.source), S3Url.parse(request.destination)
    spec = ReportSpec(
        destination=destination,
        source_bucket=source.bucket,
        config_id=request.config_id,
        stamp=run.clock.now().replace(second=0, microsecond=0),
        file_format=parse_format(request.file_format),
        rows_per_part=request.rows_per_part,
    )
    store = run.open_store()
    started_s = run.clock.monotonic_s()
    with run.watch() as progress:
        written = write_report(
            store,
            spec,
            list_objects(store, source, versions=request.versions),
            overwrite=request.overwrite,
            progress=progress,
        )
    receipt = Receipt.of(
        "write",
        run.meter,
        run.clock.monotonic_s() - started_s,
        written.rows,
        from_report=False,
        phases=progress.seconds,
    ).to_dict(Prices.load())
    if run.out.json:
        run.out.document(
            {
                "address": str(spec.base),
                "manifest_url": str(written.manifest_url),
                "as_of": spec.stamp,
                "format": spec.file_format.value.lower(),
                "rows": written.rows,
                "parts": len(written.parts),
                "size_bytes": written.size_bytes,
                "receipt": receipt,
            }
        )
        return 0
    run.out.line(f"wrote {written.manifest_url}")
    run.out.line(
        f"  {plural(written.rows, 'row')} of {source} as of {time_text(spec.stamp)} UTC, "
        f"{plural(len(written.parts), 'part')}, {size_text(written.size_bytes)}"
    )
    if show_cost:
        show_receipt(run.out, receipt)
        run.out.note("")
        run.out.note(f"next: stocktake inventory import {spec.base}")
    return 0
