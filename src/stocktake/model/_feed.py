"""What discovery tells consumers: numbered net changes of objects, as Arrow record batches."""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa


class ChangeKind(StrEnum):
    """What happened to a key."""

    NEW = "new"
    MODIFIED = "modified"
    DELETED = "deleted"


FEED_CHANGE: pa.Schema = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("change", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("version_id", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("last_modified", pa.timestamp("ms")),
        pa.field("etag", pa.string()),
        pa.field("storage_class", pa.string()),
        pa.field("sequencer", pa.string()),
        pa.field("observed_at", pa.timestamp("ms"), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("late", pa.bool_(), nullable=False),
    ]
)
"""One row per net change, in order of `seq`.

`origin` is the strategy that saw it first; `late`: a full scan found it although a partial strategy
had passed it. `last_modified` is the store's own stamp and NULL if only an event told of the object
(an event's time is another clock). A deletion has no size and no ETag.
"""
