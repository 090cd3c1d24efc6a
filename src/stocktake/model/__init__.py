"""The words every room shares: addresses, keys, ETags, the object record, sources.

In: bytes and text from stores, reports and users. Out: frozen values and Arrow schemas.
Never: I/O, clocks, or knowledge of any one room.
"""

from stocktake.model._etag import is_md5_etag, normalise_etag
from stocktake.model._feed import FEED_CHANGE, ChangeKind
from stocktake.model._globs import glob_pieces
from stocktake.model._ids import new_id
from stocktake.model._keys import (
    display_key,
    escape_key,
    folder_of,
    parent_folder,
    successor,
    unescape_key,
)
from stocktake.model._record import (
    CORE_FIELDS,
    EXTRA_PREFIX,
    OBJECT,
    FileInfo,
    canonical_column,
    object_schema,
)
from stocktake.model._source import (
    BAD_SAMPLES_MAX,
    Block,
    Coverage,
    PartRef,
    PartTally,
    SnapshotSource,
    SourceHeader,
    SourceKind,
)
from stocktake.model._url import S3Url

__all__ = [
    "BAD_SAMPLES_MAX",
    "CORE_FIELDS",
    "EXTRA_PREFIX",
    "FEED_CHANGE",
    "OBJECT",
    "Block",
    "ChangeKind",
    "Coverage",
    "FileInfo",
    "PartRef",
    "PartTally",
    "S3Url",
    "SnapshotSource",
    "SourceHeader",
    "SourceKind",
    "canonical_column",
    "display_key",
    "escape_key",
    "folder_of",
    "glob_pieces",
    "is_md5_etag",
    "new_id",
    "normalise_etag",
    "object_schema",
    "parent_folder",
    "successor",
    "unescape_key",
]
