"""The whole of a reconciliation: open both sides, compare, fall back if HAVE is not to be had.

report = reconcile(config, Desk(store, catalog))
raise SystemExit(report.exit_code)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from stocktake.errors import StocktakeError
from stocktake.reconcile._desk import Desk
from stocktake.reconcile._have import open_have
from stocktake.reconcile._report import ReconcileReport
from stocktake.reconcile._request import ReconcileConfig, ScanMode
from stocktake.reconcile._run_full import compare_all
from stocktake.reconcile._run_sample import compare_by_sample
from stocktake.reconcile._side import Pair, Proof, Side, SideFacts
from stocktake.reconcile._workplace import Workplace


def reconcile(config: ReconcileConfig, desk: Desk) -> ReconcileReport:
    """Compare what is there with what should be there. Changes neither.

    Memory is that of the lister or the engine, a batch of each side, and `findings_max` findings
    per severity; in a sample the drawn cells besides.

    Raises:
        SideUnavailableError: A side cannot be read, and no sample was allowed instead.
        StoreError, ReportError, CatalogError, DatasetError: Whatever reading a side met, likewise.
        StrategyRefusedError: A sample was wanted of a store that does not list in key order.
    """
    started_at = desk.clock.now()
    if config.have.mode is ScanMode.SAMPLE:
        return _sampled(config, desk, started_at, fell_back=None)
    watched: _Watched | None = None
    try:
        watched = _Watched(open_have(desk, config.have))
        with Workplace.open(config, desk, started_at) as place:
            return compare_all(config, desk, watched, place)
    except StocktakeError as error:
        have_failed = watched is None or watched.failed is error
        if not (config.have.fallback_to_sample and have_failed):
            raise
        why = f"{config.have.mode} is not to be had: {error.message}"
        desk.progress.note(f"{why}; taking a sample instead")
        return _sampled(config, desk, started_at, fell_back=why)


def _sampled(
    config: ReconcileConfig, desk: Desk, started_at: datetime, fell_back: str | None
) -> ReconcileReport:
    with Workplace.open(config, desk, started_at) as place:
        report = compare_by_sample(config, desk, place)
    return replace(report, fell_back=fell_back)


class _Watched:
    """HAVE, and what it failed with: only its failures are a reason to take a sample."""

    def __init__(self, side: Side) -> None:
        self.failed: StocktakeError | None = None
        self._side = side

    @property
    def facts(self) -> SideFacts:
        return self._side.facts

    def batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._side.batches()
        except StocktakeError as error:
            self.failed = error
            raise

    def prove(self, pairs: Sequence[Pair]) -> list[Proof]:
        return self._side.prove(pairs)
