"""Times of ZIP members: UTC from an extra field where there is one, else the DOS time as it is."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

from stocktake.unpack._names import extra_fields

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NTFS_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_UNIX_TIME, _NTFS = 0x5455, 0x000A


def zip_time(date: int, time: int, extra: bytes) -> datetime | None:
    """When the member was modified; None if the archive says nothing that is a time."""
    fields = extra_fields(extra) if extra else {}
    unix = fields.get(_UNIX_TIME, b"")
    if len(unix) >= 5 and unix[0] & 1:
        return _EPOCH + timedelta(seconds=struct.unpack_from("<i", unix, 1)[0])
    ntfs = fields.get(_NTFS, b"")
    if len(ntfs) >= 32 and ntfs[4:6] == b"\x01\x00":
        ticks = struct.unpack_from("<Q", ntfs, 8)[0]
        try:
            return _NTFS_EPOCH + timedelta(microseconds=ticks // 10)
        except OverflowError:
            return None
    try:
        return datetime(
            1980 + (date >> 9),
            date >> 5 & 15,
            date & 31,
            time >> 11,
            time >> 5 & 63,
            min((time & 31) * 2, 59),
            tzinfo=UTC,
        )
    except ValueError:
        return None
