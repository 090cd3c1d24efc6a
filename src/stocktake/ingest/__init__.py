"""Ingest: consumers of what discovery finds, each object version exactly once.

In: numbered changes of a feed. Out: batches under a lease, committed with a token that the sink
keeps; a state per consumer that does not grow with the number of files.
Never: a cursor past an unfinished item, bytes of another version than the one discovered.
"""

from stocktake.ingest._batch import Batch
from stocktake.ingest._discover import discover
from stocktake.ingest._discover_job import DiscoveryReport
from stocktake.ingest._ingestion import Ingestion, create_ingestion, open_ingestion
from stocktake.ingest._registry import IngestionRow, delete_ingestion, list_ingestions
from stocktake.ingest._run import IngestResult
from stocktake.ingest._settling import Outcome
from stocktake.ingest._sink import Item, Landed, OpenItems, Sink
from stocktake.ingest._spec import (
    BatchOrder,
    Filters,
    IngestionSpec,
    ItemState,
    OverwritePolicy,
)
from stocktake.ingest.sinks import (
    CallableSink,
    CsvLook,
    CsvTypes,
    DuckDbSink,
    IcebergSink,
    LocalDataset,
    ParquetSink,
    Reader,
    Reading,
    S3Dataset,
    per_item,
)

__all__ = [
    "Batch",
    "BatchOrder",
    "CallableSink",
    "CsvLook",
    "CsvTypes",
    "DiscoveryReport",
    "DuckDbSink",
    "Filters",
    "IcebergSink",
    "IngestResult",
    "Ingestion",
    "IngestionRow",
    "IngestionSpec",
    "Item",
    "ItemState",
    "Landed",
    "LocalDataset",
    "OpenItems",
    "Outcome",
    "OverwritePolicy",
    "ParquetSink",
    "Reader",
    "Reading",
    "S3Dataset",
    "Sink",
    "create_ingestion",
    "delete_ingestion",
    "discover",
    "list_ingestions",
    "open_ingestion",
    "per_item",
]
