"""Archives as streams: what is in them, verified, member by member.

In: a file or a stream, limits. Out: members in a fixed order, their bytes, typed errors.
Never: a file on disk, a name made harmless by changing it, a password, a byte nobody checked.
"""

from stocktake.unpack._member import (
    ArchiveFormat,
    Member,
    MemberKind,
    OpenMember,
    UnpackLimits,
)

__all__ = [
    "ArchiveFormat",
    "Member",
    "MemberKind",
    "OpenMember",
    "UnpackLimits",
]
