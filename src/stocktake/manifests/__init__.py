"""Upload manifests: our own record of what was uploaded, kept in the bucket beside the objects.

In: completed uploads. Out: write-once segments of a dataset's manifest, and what they say.
Never: a request to find out what a manifest already says, a segment written twice.
"""

from stocktake.manifests._record import UploadRecord
from stocktake.manifests._record_json import record_from_json, record_to_json
from stocktake.manifests._segment import Segment
from stocktake.manifests._segment_log import SegmentLog, manifest_prefix

__all__ = [
    "Segment",
    "SegmentLog",
    "UploadRecord",
    "manifest_prefix",
    "record_from_json",
    "record_to_json",
]
