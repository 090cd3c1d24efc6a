"""Shipped fakes: stores, servers, synthetic buckets and reports.

In: seeds, directories, scripts of failures. Out: stores and servers that behave like S3, data of any
size. Never: a network address but 127.0.0.1; being imported by anything but the demo and tests.
"""

from stocktake.testing._emulators import start_ministack, start_moto
from stocktake.testing._memory_store import MemoryStore
from stocktake.testing._servers import Credentials, Server

__all__ = [
    "Credentials",
    "MemoryStore",
    "Server",
    "start_ministack",
    "start_moto",
]
