"""Archives, conversion to Parquet, and shipping a folder."""

from __future__ import annotations

from stocktake.errors._root import StocktakeError
from stocktake.errors._usage import UsageError


class ArchiveError(StocktakeError):
    """An archive cannot be unpacked."""

    code = "archive"


class NotAnArchiveError(ArchiveError):
    """The name says archive, the content does not."""

    code = "not-an-archive"
    default_hint = "look at its first bytes: an error page, or a file with the wrong extension?"


class ArchiveIncompleteError(ArchiveError):
    """It ends too early: still being written, or cut."""

    code = "archive-incomplete"
    default_retryable = True
    default_hint = "wait until it is written whole, or fetch it again"


class ArchiveCorruptError(ArchiveError):
    """A checksum, a size or the structure is wrong."""

    code = "archive-corrupt"
    default_hint = "fetch or make the archive again"


class ArchiveEncryptedError(ArchiveError):
    """Some of it is encrypted."""

    code = "archive-encrypted"
    default_hint = "stocktake asks for no passwords: decrypt it first"


class ArchiveLimitError(ArchiveError):
    """Bigger, deeper or denser than allowed."""

    code = "archive-limit"


class ArchivePathError(ArchiveError):
    """A member's name leaves the folder, cannot be a key, or is there twice."""

    code = "archive-path"
    default_hint = "make the archive again without this name"


class ArchiveUnsupportedError(ArchiveError):
    """It needs something that is not installed, or that nobody can read as a stream."""

    code = "archive-unsupported"


class ConvertError(StocktakeError):
    """A data file cannot become Parquet."""

    code = "convert"


class BadRowError(ConvertError):
    """A row does not have the form of the others; `row` and `line` say which."""

    code = "bad-row"


class TextEncodingError(ConvertError):
    """Bytes that are no text in the file's encoding; `row` and `line` say where."""

    code = "text-encoding"
    default_hint = "name the encoding: --fallback-encoding cp1252"


class BadDocumentError(ConvertError):
    """JSON or XML that is not well-formed, or that is refused."""

    code = "bad-document"


class ConvertLimitError(ConvertError):
    """A field, a record or the nesting is larger than allowed."""

    code = "convert-limit"


class ShipError(StocktakeError):
    """A folder, or one file of it, cannot be shipped."""

    code = "ship"


class ShipRunningError(ShipError):
    """Another process ships this folder."""

    code = "ship-running"
    default_retryable = True
    default_hint = "one process per folder: stop the other one first"


class WatchedFolderError(ShipError):
    """The watched folder is gone, unreadable or another one than before."""

    code = "watched-folder"
    default_retryable = True
    default_hint = "mount or restore it: nothing is taken for deleted meanwhile"


class SourceChangedError(ShipError):
    """A file changed while it was read."""

    code = "source-changed"
    default_retryable = True
    default_hint = "it is shipped again when it has come to rest"


class SourceVanishedError(ShipError):
    """A file was removed before it was shipped."""

    code = "source-vanished"


class SourceUnreadableError(ShipError):
    """A file cannot be opened or read."""

    code = "source-unreadable"
    default_retryable = True
    default_hint = "give the user that runs stocktake the right to read it"


class SourceSkippedError(ShipError):
    """Something in the folder that is no file to ship: a symbolic link."""

    code = "source-skipped"


class SourceTooLargeError(ShipError):
    """Larger than the limit, or than an object can be."""

    code = "source-too-large"


class KeyCollisionError(ShipError):
    """Two files would become the same object."""

    code = "key-collision"
    default_hint = "rename one of them, or ship with --on-collision suffix"


class KeyNotAllowedError(ShipError):
    """The file's path cannot be an object's key."""

    code = "key-not-allowed"
    default_hint = "rename it: at most 1,024 bytes with the prefix, no `.` or `..` as a part"


class ForeignWriterError(ShipError):
    """Another shipper writes the same key."""

    code = "foreign-writer"
    default_hint = "two shippers must not share a prefix: give one of them another"


class UploadMismatchError(ShipError):
    """The store does not hold what was sent."""

    code = "upload-mismatch"
    default_retryable = True


class LedgerError(ShipError):
    """The ledger is damaged, or was written by a newer stocktake."""

    code = "ledger"
    default_hint = "stocktake ship rebuild makes it anew from the bucket"


class SegmentError(ShipError):
    """A segment of an upload manifest is damaged, or was written by a newer stocktake."""

    code = "manifest-segment"
    default_hint = "upgrade stocktake; if it is damaged, put the object's last good version back"


class WorkerDiedError(ShipError):
    """A worker process ended in the middle of a file."""

    code = "worker-died"
    default_retryable = True
    default_hint = "out of memory? `dmesg` says so"


class ShipSettingError(UsageError):
    """A setting of shipping is missing, or contradicts another one."""

    code = "ship-setting"
