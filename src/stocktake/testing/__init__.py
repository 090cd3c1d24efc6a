"""Shipped fakes: stores, servers, synthetic buckets and reports.

In: seeds, directories, scripts of failures. Out: stores and servers that behave like S3, data of
any size. Never: a network address but 127.0.0.1; being imported by anything but the demo and tests.
"""

from stocktake.testing._buckets import ExpectedDiff, SyntheticBucket, expected_diff
from stocktake.testing._directories import DirectoryStore
from stocktake.testing._emulators import (
    start_fake_s3,
    start_ministack,
    start_moto,
    start_page_server,
    start_put_server,
)
from stocktake.testing._event_messages import (
    EVENT_ENVELOPES,
    ObjectChange,
    render_event,
    render_test_event,
)
from stocktake.testing._fake_s3 import Behaviour, FakeS3
from stocktake.testing._fault_actions import (
    BitFlip,
    Cut,
    Delay,
    LostAnswer,
    Refuse,
    Reset,
    Stall,
    Status,
    Trickle,
)
from stocktake.testing._fault_proxy import Fault, FaultProxy
from stocktake.testing._fault_store import FaultStore, Planned
from stocktake.testing._key_shapes import KEY_SHAPES, key_shape
from stocktake.testing._listing_manner import (
    DIRECTORY_BUCKET,
    ListingManner,
    by_utf16,
    scrambled,
)
from stocktake.testing._memory_sink import Effect, MemorySink
from stocktake.testing._memory_source import MemoryPart, MemorySource
from stocktake.testing._memory_store import MemoryStore
from stocktake.testing._page_server import KeyPages, PageDelays, PageServer
from stocktake.testing._populate import populate
from stocktake.testing._redis import RedisServer, start_redis
from stocktake.testing._reports import ReportLook, ReportOrder, write_synthetic_report
from stocktake.testing._rgw import install_rgw, start_rgw
from stocktake.testing._servers import Credentials, Server
from stocktake.testing._swift import install_swift, start_swift

__all__ = [
    "DIRECTORY_BUCKET",
    "EVENT_ENVELOPES",
    "KEY_SHAPES",
    "Behaviour",
    "BitFlip",
    "Credentials",
    "Cut",
    "Delay",
    "DirectoryStore",
    "Effect",
    "ExpectedDiff",
    "FakeS3",
    "Fault",
    "FaultProxy",
    "FaultStore",
    "KeyPages",
    "ListingManner",
    "LostAnswer",
    "MemoryPart",
    "MemorySink",
    "MemorySource",
    "MemoryStore",
    "ObjectChange",
    "PageDelays",
    "PageServer",
    "Planned",
    "RedisServer",
    "Refuse",
    "ReportLook",
    "ReportOrder",
    "Reset",
    "Server",
    "Stall",
    "Status",
    "SyntheticBucket",
    "Trickle",
    "by_utf16",
    "expected_diff",
    "install_rgw",
    "install_swift",
    "key_shape",
    "populate",
    "render_event",
    "render_test_event",
    "scrambled",
    "start_fake_s3",
    "start_ministack",
    "start_moto",
    "start_page_server",
    "start_put_server",
    "start_redis",
    "start_rgw",
    "start_swift",
    "write_synthetic_report",
]
