"""From the name of a partial strategy to a run of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stocktake.errors import UsageError
from stocktake.listing._lexical import LexicalRun
from stocktake.listing._partitioned import PartitionedRun
from stocktake.listing._strategy import ListingJob, StrategyName, StrategyRun

_RUNS: Mapping[StrategyName, Callable[[ListingJob], StrategyRun]] = {
    StrategyName.INCREMENTAL_LEXICAL: LexicalRun,
    StrategyName.PARTITIONED: PartitionedRun,
}


def start_strategy(name: StrategyName | str, job: ListingJob) -> StrategyRun:
    """A run of a partial strategy; nothing is asked of the store before its `batches` are read.

    Raises:
        UsageError: Not a partial strategy: full, incremental_time and inventory are whole
            snapshots, event_driven reads a queue, and sample estimates (`sample_objects`).
        InvalidSettingError: A setting that the strategy does not have.
        StrategyRefusedError: The strategy would miss objects here.
    """
    make = _RUNS.get(StrategyName(name))
    if make is None:
        known = ", ".join(_RUNS)
        raise UsageError(f"`{name}` does not list in part; these do: {known}", strategy=str(name))
    return make(job)
