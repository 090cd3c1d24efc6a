"""Archives as streams: what is in them, verified, member by member.

In: a file or a stream, limits. Out: members in a fixed order, their bytes, typed errors.
Never: a file on disk, a name made harmless by changing it, a password, a byte nobody checked.
"""

from stocktake.unpack._detect import archive_stem, detect, is_archive_name
from stocktake.unpack._library import LibraryStatus
from stocktake.unpack._member import (
    ArchiveFormat,
    Member,
    MemberKind,
    OpenMember,
    UnpackLimits,
)
from stocktake.unpack._status import library_status
from stocktake.unpack._unpack_to import Unpacked, unpack_to
from stocktake.unpack._walk import Walk, walk

__all__ = [
    "ArchiveFormat",
    "LibraryStatus",
    "Member",
    "MemberKind",
    "OpenMember",
    "UnpackLimits",
    "Unpacked",
    "Walk",
    "archive_stem",
    "detect",
    "is_archive_name",
    "library_status",
    "unpack_to",
    "walk",
]
