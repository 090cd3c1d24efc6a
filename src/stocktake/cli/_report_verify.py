"""Work of `inventory verify`: read every part and say which ones are sound."""

from __future__ import annotations

from stocktake.cli._output import Column
from stocktake.cli._receipt import Prices, Receipt, show_receipt
from stocktake.cli._report_import import ImportRequest, open_requested
from stocktake.cli._run import Run
from stocktake.cli._text import count_text, plural, size_text
from stocktake.inventory import verify_report
from stocktake.model import display_key

_COLUMNS = (
    Column("SIZE", right=True),
    Column("ROWS", right=True),
    Column("BAD", right=True),
    Column("STATE"),
    Column("PART", flexible=True),
)
_EXIT_DAMAGED = 3


def verify_parts(run: Run, request: ImportRequest) -> int:
    """Answer `inventory verify`."""
    started_s = run.clock.monotonic_s()
    with run.watch() as progress:
        report = open_requested(run, run.open_store(), request)
        result = verify_report(report, progress=progress)
    receipt = Receipt.of(
        "verify",
        run.meter,
        run.clock.monotonic_s() - started_s,
        result.rows,
        from_report=True,
        phases=progress.seconds,
    ).to_dict(Prices.load())
    if run.out.json:
        parts = [
            {
                "name": verdict.part.name,
                "size_bytes": verdict.part.size_bytes,
                "rows": verdict.tally.rows,
                "bad_rows": verdict.tally.bad_rows,
                "error": verdict.error.to_dict() if verdict.error else None,
            }
            for verdict in result.parts
        ]
        run.out.document(
            {
                "ok": result.ok,
                "manifest_url": str(report.manifest_url),
                "rows": result.rows,
                "bad_rows": result.bad_rows,
                "size_bytes": result.size_bytes,
                "parts": parts,
                "warnings": list(report.warnings),
                "receipt": receipt,
            }
        )
        return 0 if result.ok else _EXIT_DAMAGED
    table = (
        (
            size_text(verdict.part.size_bytes),
            count_text(verdict.tally.rows),
            count_text(verdict.tally.bad_rows),
            verdict.error.code if verdict.error else "ok",
            display_key(verdict.part.name.rpartition("/")[2]),
        )
        for verdict in result.parts
    )
    run.out.table(_COLUMNS, table)
    for verdict in result.failed:
        run.out.warn(verdict.error.message if verdict.error else "")
    for warning in report.warnings:
        run.out.warn(warning)
    run.out.line()
    run.out.line(
        f"{'sound' if result.ok else 'DAMAGED'}: {plural(len(result.parts), 'part')}, "
        f"{plural(result.rows, 'row')}, {plural(result.bad_rows, 'bad row')}, "
        f"{size_text(result.size_bytes)}"
    )
    show_receipt(run.out, receipt)
    return 0 if result.ok else _EXIT_DAMAGED
