"""Ingest: consumers of what discovery finds, each object version exactly once.

In: numbered changes of a feed. Out: batches under a lease, committed with a token that the sink
keeps; a state per consumer that does not grow with the number of files.
Never: a cursor past an unfinished item, bytes of another version than the one discovered.
"""

from stocktake.ingest._batch import Batch
from stocktake.ingest._corrections import DeadItem
from stocktake.ingest._discover import discover, next_audit
from stocktake.ingest._discover_job import DiscoveryReport
from stocktake.ingest._explain import CommitFact, ExplainedChange, Explanation
from stocktake.ingest._figures import FIGURES, Figure, FigureKind, Sample, figures
from stocktake.ingest._ingestion import Ingestion, create_ingestion, open_ingestion
from stocktake.ingest._prometheus import prometheus_text
from stocktake.ingest._registry import IngestionRow, delete_ingestion, list_ingestions
from stocktake.ingest._run import IngestResult
from stocktake.ingest._seen_cache import NoSeenCache, RedisSeenCache, SeenCache, SeenIntake
from stocktake.ingest._settling import Outcome
from stocktake.ingest._sink import Item, Landed, OpenItems, Sink
from stocktake.ingest._spec import (
    BatchOrder,
    Filters,
    IngestionSpec,
    ItemState,
    OverwritePolicy,
)
from stocktake.ingest._status import ClaimStatus, IngestionStatus
from stocktake.ingest.sinks import (
    SINK_SETTINGS,
    CallableSink,
    CommandInput,
    CommandSink,
    CsvLook,
    CsvTypes,
    Dataset,
    DuckDbSink,
    IcebergSink,
    LocalDataset,
    ParquetSink,
    Reader,
    Reading,
    S3Dataset,
    SinkCommand,
    SinkKind,
    SinkSetting,
    check_sink,
    describe_sink,
    open_sink,
    per_item,
)

__all__ = [
    "FIGURES",
    "SINK_SETTINGS",
    "Batch",
    "BatchOrder",
    "CallableSink",
    "ClaimStatus",
    "CommandInput",
    "CommandSink",
    "CommitFact",
    "CsvLook",
    "CsvTypes",
    "Dataset",
    "DeadItem",
    "DiscoveryReport",
    "DuckDbSink",
    "ExplainedChange",
    "Explanation",
    "Figure",
    "FigureKind",
    "Filters",
    "IcebergSink",
    "IngestResult",
    "Ingestion",
    "IngestionRow",
    "IngestionSpec",
    "IngestionStatus",
    "Item",
    "ItemState",
    "Landed",
    "LocalDataset",
    "NoSeenCache",
    "OpenItems",
    "Outcome",
    "OverwritePolicy",
    "ParquetSink",
    "Reader",
    "Reading",
    "RedisSeenCache",
    "S3Dataset",
    "Sample",
    "SeenCache",
    "SeenIntake",
    "Sink",
    "SinkCommand",
    "SinkKind",
    "SinkSetting",
    "check_sink",
    "create_ingestion",
    "delete_ingestion",
    "describe_sink",
    "discover",
    "figures",
    "list_ingestions",
    "next_audit",
    "open_ingestion",
    "open_sink",
    "per_item",
    "prometheus_text",
]
