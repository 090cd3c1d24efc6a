"""Sinks: where batches go. Those that keep tokens give exactly-once effect."""

from stocktake.ingest.sinks._callable import CallableSink, per_item
from stocktake.ingest.sinks._command import CommandInput, CommandSink, SinkCommand
from stocktake.ingest.sinks._dataset import Dataset, LocalDataset, S3Dataset
from stocktake.ingest.sinks._duckdb import DuckDbSink
from stocktake.ingest.sinks._formats import CsvLook, CsvTypes, Reader
from stocktake.ingest.sinks._iceberg import IcebergSink
from stocktake.ingest.sinks._parquet import ParquetSink
from stocktake.ingest.sinks._read import Reading
from stocktake.ingest.sinks._spec import (
    SINK_SETTINGS,
    SinkKind,
    SinkSetting,
    check_sink,
    describe_sink,
    open_sink,
)

__all__ = [
    "SINK_SETTINGS",
    "CallableSink",
    "CommandInput",
    "CommandSink",
    "CsvLook",
    "CsvTypes",
    "Dataset",
    "DuckDbSink",
    "IcebergSink",
    "LocalDataset",
    "ParquetSink",
    "Reader",
    "Reading",
    "S3Dataset",
    "SinkCommand",
    "SinkKind",
    "SinkSetting",
    "check_sink",
    "describe_sink",
    "open_sink",
    "per_item",
]
