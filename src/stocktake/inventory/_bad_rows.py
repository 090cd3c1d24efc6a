"""How many unreadable rows an import may have."""

from __future__ import annotations

from collections.abc import Iterable

from stocktake.errors import TooManyBadRowsError
from stocktake.model import PartTally, display_key

_SHARE_MAX = 0.0001
_COUNT_MAX = 10
_SHOWN = 3


def bad_rows_allowed(rows: int) -> int:
    """The greatest number of bad rows that a report of so many rows may have: 0.01 %, at least 10.

    >>> bad_rows_allowed(1_000), bad_rows_allowed(1_000_000)
    (10, 100)
    """
    return max(_COUNT_MAX, int(rows * _SHARE_MAX))


def check_bad_rows(tallies: Iterable[PartTally], *, source_name: str) -> int:
    """The number of bad rows of all parts, if there are few enough.

    Args:
        tallies: Of every part that was read.
        source_name: What the message calls the report.

    Raises:
        TooManyBadRowsError: More than max(10, 0.01 %) of all rows; samples are in `attrs`.
    """
    rows, bad, samples = 0, 0, []
    for tally in tallies:
        rows += tally.rows + tally.undecodable_keys
        bad += tally.bad_rows
        samples.extend(tally.bad_samples)
    allowed = bad_rows_allowed(rows)
    if bad > allowed:
        shown = "; ".join(
            f"{display_key(str(sample['row']))} ({sample['reason']})" for sample in samples[:_SHOWN]
        )
        raise TooManyBadRowsError(
            f"{bad} of about {rows} rows of {source_name} cannot be read, {allowed} are tolerated",
            hint=f"the first ones: {shown}",
            bad_rows=bad,
            rows=rows,
            samples=samples,
        )
    return bad
