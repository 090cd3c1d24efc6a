"""Shipped fakes: stores, servers, synthetic buckets and reports.

In: seeds, directories, scripts of failures. Out: stores and servers that behave like S3, data of
any size. Never: a network address but 127.0.0.1; being imported by anything but the demo and tests.
"""

from stocktake.testing._buckets import ExpectedDiff, SyntheticBucket, expected_diff
from stocktake.testing._directories import DirectoryStore
from stocktake.testing._emulators import start_ministack, start_moto
from stocktake.testing._memory_store import MemoryStore
from stocktake.testing._populate import populate
from stocktake.testing._reports import ReportLook, ReportOrder, write_synthetic_report
from stocktake.testing._servers import Credentials, Server

__all__ = [
    "Credentials",
    "DirectoryStore",
    "ExpectedDiff",
    "MemoryStore",
    "ReportLook",
    "ReportOrder",
    "Server",
    "SyntheticBucket",
    "expected_diff",
    "populate",
    "start_ministack",
    "start_moto",
    "write_synthetic_report",
]
