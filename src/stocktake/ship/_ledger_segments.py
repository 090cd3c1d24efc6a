"""What the ledger completed goes into the bucket's manifest."""

from __future__ import annotations

from stocktake import faults
from stocktake.manifests import SegmentLog
from stocktake.ship._ledger import Ledger

RECORDS_MAX = 10_000
"""Records of one segment."""


def write_segments(ledger: Ledger, log: SegmentLog) -> int:
    """Write all completed uploads that are in no segment yet; gives how many there were.

    Killed at any point, the next call writes what is not recorded: perhaps again, never less.
    """
    count = 0
    while True:
        numbered = ledger.uploads_after(ledger.last_segment_number(), RECORDS_MAX)
        if not numbered:
            return count
        records = [record for _, record in numbered]
        name = log.append(ledger.ship_id, numbered[0][0], records)
        ledger.segment_written(numbered[-1][0], name)
        faults.reached("manifest.segment-recorded")
        count += len(records)
