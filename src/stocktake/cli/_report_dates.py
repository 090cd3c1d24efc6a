"""Work of `inventory dates`: which deliveries there are, how far each is, which are imported."""

from __future__ import annotations

from datetime import datetime

from stocktake.catalog import list_snapshots
from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._text import time_text
from stocktake.errors import CatalogNotFoundError
from stocktake.inventory import (
    ReportAddress,
    check_delivery,
    latest_delivery,
    list_deliveries,
)

_COLUMNS = (Column("DATE"), Column("SCANNED (UTC)"), Column("STATE"), Column("IMPORTED AS"))


def show_dates(run: Run, text: str, limit: int) -> int:
    """Answer `inventory dates`."""
    address = ReportAddress.parse(text)
    store = run.open_store()
    deliveries = list_deliveries(store, address)
    if not deliveries:
        latest_delivery(store, address)  # raises what is best said about an empty place
    newest = [check_delivery(store, one) for one in reversed(deliveries[-limit:])]
    imported = _imported(run, address)
    warnings = sorted({one.warning for one in newest if one.warning})
    if run.out.json:
        rows = [
            {
                "date": one.date,
                "as_of": one.stamp,
                "state": one.state.value,
                "manifest_url": str(one.manifest_url),
                "snapshot_id": imported.get(one.stamp),
            }
            for one in newest
        ]
        more = len(deliveries) - len(newest)
        run.out.document(
            {"address": str(address), "warnings": warnings, "deliveries": rows, "more": more}
        )
        return 0
    table = (
        (one.date, time_text(one.stamp), one.state.value, imported.get(one.stamp, ""))
        for one in newest
    )
    run.out.table(_COLUMNS, table)
    for warning in warnings:
        run.out.warn(warning)
    if len(deliveries) > len(newest):
        run.out.note(f"{len(deliveries) - len(newest)} older ones: --limit {len(deliveries)}")
    return 0


def _imported(run: Run, address: ReportAddress) -> dict[datetime, str]:
    """Snapshot by instant, of this report; nothing if there is no catalog yet."""
    try:
        with run.open_catalog() as catalog:
            return {
                one.as_of: one.id
                for one in list_snapshots(catalog)
                if (one.bucket, one.config_id) == (address.source_bucket, address.config_id)
            }
    except CatalogNotFoundError:
        return {}
