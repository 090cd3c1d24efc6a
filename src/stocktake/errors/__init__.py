"""Every error stocktake raises, as one tree.

    StocktakeError
    ├── UsageError                      what the user typed or configured is wrong
    │   ├── InvalidUrlError             not an s3://bucket/key address
    │   ├── InvalidSettingError         a setting has a value it cannot have
    │   ├── MissingExtraError           an optional dependency is not installed
    │   ├── AmbiguousSnapshotError      a reference that means several snapshots
    │   ├── InvalidQueryError           a query, pattern or SQL statement that cannot run
    │   ├── ShipSettingError            a setting of shipping is missing or contradicts another
    │   ├── ReconcileConfigError        the configuration of a reconciliation is wrong
    │   └── PriceFileError              a price file cannot be read or lacks a price
    ├── StoreError                      the object store said no, or said nothing
    │   ├── ObjectNotFoundError         no such key
    │   ├── BucketNotFoundError         no such bucket
    │   ├── AccessDeniedError           a permission is missing (named in the hint)
    │   ├── KmsAccessDeniedError        S3 allows it, the KMS key does not
    │   ├── CredentialsError            no, expired or wrong credentials
    │   ├── WrongRegionError            the bucket is elsewhere and cannot be followed
    │   ├── ArchivedObjectError         GLACIER / DEEP_ARCHIVE: restore needed
    │   ├── PreconditionFailedError     If-Match / If-None-Match did not hold
    │   ├── ThrottledError              503 SlowDown after all retries
    │   ├── StoreUnavailableError       5xx, time-out, reset, DNS: after all retries
    │   ├── DigestRefusedError          what arrived does not have the checksum sent with it
    │   ├── UnsupportedOperationError   this store cannot do that (conditional write, inventory API)
    │   └── UnexpectedAnswerError       the answer is not what this request gives
    │       └── UnorderedListingError   keys do not come in UTF-8 byte order
    ├── ReportError                     an inventory report cannot be used
    │   ├── ReportNotFoundError         nothing was ever delivered there
    │   ├── ReportNotReadyError         being written: manifest.checksum is not there yet
    │   ├── ReportExpiredError          a part the manifest names is gone
    │   ├── ReportChangedError          the manifest was rewritten during the import
    │   ├── ManifestInvalidError        manifest.json does not say what it must
    │   ├── ManifestChecksumError       manifest.json and manifest.checksum disagree
    │   ├── ForeignManifestError        the manifest is about another bucket
    │   ├── NotAnInventoryError         a Batch or Storage Lens manifest, or no manifest at all
    │   ├── ForeignPartError            a part outside the report's own folder
    │   ├── PartCorruptError            size, MD5, gzip or file structure is wrong
    │   ├── PartBombError               a part inflates beyond every plausible ratio
    │   ├── KeyEncodingError            keys were decoded the wrong way
    │   ├── TooManyBadRowsError         more rows are unreadable than an import may ignore
    │   ├── StaleReportError            older than what is already imported
    │   └── ReportWriteError            a report of our own cannot be written
    │       └── ReportExistsError       a delivery with this stamp is already there
    ├── CatalogError                    the catalog cannot do it
    │   ├── CatalogNotFoundError        no catalog at this place
    │   ├── CatalogVersionError         written by a newer stocktake
    │   ├── CatalogCorruptError         a file is missing or is not what the snapshot says
    │   ├── SnapshotNotFoundError       no snapshot matches the reference
    │   ├── NotInSnapshotError          no such folder or object in the snapshot
    │   ├── SnapshotInUseError          pinned, or being read
    │   ├── ImportRunningError          another import of this source is at work
    │   ├── CoverageMismatchError       two snapshots that cannot be compared
    │   ├── ConfirmationNeededError     a change that looks like a mistake (mass deletion)
    │   ├── QueryLimitError             a row, time or memory limit stopped the query
    │   └── DiskFullError               no space left where the catalog lives
    ├── StateError                      the control database cannot be used
    │   └── StateLockedError            another process holds it
    ├── DiscoveryError                  discovery of a prefix cannot go on
    │   ├── DiscoveryRunningError       another process is at it
    │   ├── StrategyRefusedError        the strategy would miss objects here
    │   └── EventQueueError             the event queue cannot be read
    ├── IngestError                     an ingestion cannot do it
    │   ├── IngestionNotFoundError      no ingestion has this name
    │   ├── IngestionExistsError        one has it already
    │   ├── ItemNotFoundError           this key or number was never seen
    │   ├── LeaseLostError              another worker took the batch over
    │   ├── UnreadableItemError         an object is not of the format it should be
    │   └── SinkError                   the sink did not take a batch
    ├── ArchiveError                    an archive cannot be unpacked
    │   ├── NotAnArchiveError           the name says archive, the content does not
    │   ├── ArchiveIncompleteError      it ends too early
    │   ├── ArchiveCorruptError         a checksum, a size or the structure is wrong
    │   ├── ArchiveEncryptedError       some of it is encrypted
    │   ├── ArchiveLimitError           bigger, deeper or denser than allowed
    │   ├── ArchivePathError            a name leaves the folder, is no key, or is there twice
    │   └── ArchiveUnsupportedError     something is not installed, or cannot be streamed
    ├── ConvertError                    a data file cannot become Parquet
    │   ├── BadRowError                 a row does not have the form of the others
    │   ├── TextEncodingError           bytes that are no text in the file's encoding
    │   ├── BadDocumentError            JSON or XML that is not well-formed, or is refused
    │   └── ConvertLimitError           a field, a record or the nesting is too large
    ├── ShipError                       a folder, or one file of it, cannot be shipped
    │   ├── ShipRunningError            another process ships this folder
    │   ├── WatchedFolderError          the folder is gone, unreadable or another one
    │   ├── SourceChangedError          a file changed while it was read
    │   ├── SourceVanishedError         a file was removed before it was shipped
    │   ├── SourceUnreadableError       a file cannot be opened or read
    │   ├── SourceSkippedError          a symbolic link that is not followed
    │   ├── SourceTooLargeError         larger than the limit, or than an object can be
    │   ├── KeyCollisionError           two files would become the same object
    │   ├── KeyNotAllowedError          the path cannot be a key
    │   ├── ForeignWriterError          another shipper writes the same key
    │   ├── UploadMismatchError         the store does not hold what was sent
    │   ├── LedgerError                 the ledger is damaged or from a newer version
    │   ├── SegmentError                a manifest's segment is damaged or from a newer version
    │   └── WorkerDiedError             a worker process ended in the middle of a file
    ├── DatasetError                    a dataset, or its manifest, cannot do it
    │   ├── DatasetNotFoundError        no such dataset, version or file
    │   ├── DatasetExistsError          another has this id, or this place
    │   ├── DatasetChangedError         somebody else committed meanwhile
    │   ├── DatasetBusyError            another process synchronises it
    │   ├── ManifestFormatError         no upload manifest, or from a newer version
    │   ├── LocalFolderError            the local folder is not there or cannot be read
    │   ├── DeletionRefusedError        more would be deleted than is plausible
    │   ├── SyncConflictError           both sides changed since the last sync
    │   ├── RestoreTargetError          a file cannot be restored there
    │   └── RestoreMismatchError        the store gives something else than the manifest says
    ├── ReconcileError                  HAVE cannot be compared with SHOULD
    │   └── SideUnavailableError        one of the two cannot be read
    ├── SetupError                      an inventory cannot be set up or looked at
    │   ├── PolicyFormatError           a policy that cannot be read
    │   ├── PolicyChangedError          somebody changed the policy meanwhile
    │   └── ConfigurationExistsError    a configuration with this id says something else
    ├── ServerStartError                a local demo or test server does not come up
    └── InterruptedRunError             stopped by the user; everything finished is kept

Every code has a heading in `docs/reference/errors.md`; a test compares the two lists.

In: what failed. Out: one line, a code, a hint. Never: printing, logging, or another exception type
that reaches a user.
"""

from stocktake.errors._catalog import (
    CatalogCorruptError,
    CatalogError,
    CatalogNotFoundError,
    CatalogVersionError,
    ConfirmationNeededError,
    CoverageMismatchError,
    DiskFullError,
    ImportRunningError,
    NotInSnapshotError,
    QueryLimitError,
    SnapshotInUseError,
    SnapshotNotFoundError,
    StateError,
    StateLockedError,
)
from stocktake.errors._discovery import (
    DiscoveryError,
    DiscoveryRunningError,
    EventQueueError,
    IngestError,
    IngestionExistsError,
    IngestionNotFoundError,
    ItemNotFoundError,
    LeaseLostError,
    SinkError,
    StrategyRefusedError,
    UnreadableItemError,
)
from stocktake.errors._manifest import (
    DatasetBusyError,
    DatasetChangedError,
    DatasetError,
    DatasetExistsError,
    DatasetNotFoundError,
    DeletionRefusedError,
    LocalFolderError,
    ManifestFormatError,
    RestoreMismatchError,
    RestoreTargetError,
    SyncConflictError,
)
from stocktake.errors._reconcile import (
    ReconcileConfigError,
    ReconcileError,
    SideUnavailableError,
)
from stocktake.errors._report import (
    ForeignManifestError,
    ForeignPartError,
    KeyEncodingError,
    ManifestChecksumError,
    ManifestInvalidError,
    NotAnInventoryError,
    PartBombError,
    PartCorruptError,
    ReportChangedError,
    ReportError,
    ReportExistsError,
    ReportExpiredError,
    ReportNotFoundError,
    ReportNotReadyError,
    ReportWriteError,
    StaleReportError,
    TooManyBadRowsError,
)
from stocktake.errors._root import (
    StocktakeError,
)
from stocktake.errors._runs import (
    InterruptedRunError,
    ServerStartError,
)
from stocktake.errors._setup import (
    ConfigurationExistsError,
    PolicyChangedError,
    PolicyFormatError,
    PriceFileError,
    SetupError,
)
from stocktake.errors._ship import (
    ArchiveCorruptError,
    ArchiveEncryptedError,
    ArchiveError,
    ArchiveIncompleteError,
    ArchiveLimitError,
    ArchivePathError,
    ArchiveUnsupportedError,
    BadDocumentError,
    BadRowError,
    ConvertError,
    ConvertLimitError,
    ForeignWriterError,
    KeyCollisionError,
    KeyNotAllowedError,
    LedgerError,
    NotAnArchiveError,
    SegmentError,
    ShipError,
    ShipRunningError,
    ShipSettingError,
    SourceChangedError,
    SourceSkippedError,
    SourceTooLargeError,
    SourceUnreadableError,
    SourceVanishedError,
    TextEncodingError,
    UploadMismatchError,
    WatchedFolderError,
    WorkerDiedError,
)
from stocktake.errors._store import (
    AccessDeniedError,
    ArchivedObjectError,
    BucketNotFoundError,
    CredentialsError,
    DigestRefusedError,
    KmsAccessDeniedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
    ThrottledError,
    UnexpectedAnswerError,
    UnorderedListingError,
    UnsupportedOperationError,
    WrongRegionError,
)
from stocktake.errors._usage import (
    AmbiguousSnapshotError,
    InvalidQueryError,
    InvalidSettingError,
    InvalidUrlError,
    MissingExtraError,
    UsageError,
)

__all__ = [
    "AccessDeniedError",
    "AmbiguousSnapshotError",
    "ArchiveCorruptError",
    "ArchiveEncryptedError",
    "ArchiveError",
    "ArchiveIncompleteError",
    "ArchiveLimitError",
    "ArchivePathError",
    "ArchiveUnsupportedError",
    "ArchivedObjectError",
    "BadDocumentError",
    "BadRowError",
    "BucketNotFoundError",
    "CatalogCorruptError",
    "CatalogError",
    "CatalogNotFoundError",
    "CatalogVersionError",
    "ConfigurationExistsError",
    "ConfirmationNeededError",
    "ConvertError",
    "ConvertLimitError",
    "CoverageMismatchError",
    "CredentialsError",
    "DatasetBusyError",
    "DatasetChangedError",
    "DatasetError",
    "DatasetExistsError",
    "DatasetNotFoundError",
    "DeletionRefusedError",
    "DigestRefusedError",
    "DiscoveryError",
    "DiscoveryRunningError",
    "DiskFullError",
    "EventQueueError",
    "ForeignManifestError",
    "ForeignPartError",
    "ForeignWriterError",
    "ImportRunningError",
    "IngestError",
    "IngestionExistsError",
    "IngestionNotFoundError",
    "InterruptedRunError",
    "InvalidQueryError",
    "InvalidSettingError",
    "InvalidUrlError",
    "ItemNotFoundError",
    "KeyCollisionError",
    "KeyEncodingError",
    "KeyNotAllowedError",
    "KmsAccessDeniedError",
    "LeaseLostError",
    "LedgerError",
    "LocalFolderError",
    "ManifestChecksumError",
    "ManifestFormatError",
    "ManifestInvalidError",
    "MissingExtraError",
    "NotAnArchiveError",
    "NotAnInventoryError",
    "NotInSnapshotError",
    "ObjectNotFoundError",
    "PartBombError",
    "PartCorruptError",
    "PolicyChangedError",
    "PolicyFormatError",
    "PreconditionFailedError",
    "PriceFileError",
    "QueryLimitError",
    "ReconcileConfigError",
    "ReconcileError",
    "ReportChangedError",
    "ReportError",
    "ReportExistsError",
    "ReportExpiredError",
    "ReportNotFoundError",
    "ReportNotReadyError",
    "ReportWriteError",
    "RestoreMismatchError",
    "RestoreTargetError",
    "SegmentError",
    "ServerStartError",
    "SetupError",
    "ShipError",
    "ShipRunningError",
    "ShipSettingError",
    "SideUnavailableError",
    "SinkError",
    "SnapshotInUseError",
    "SnapshotNotFoundError",
    "SourceChangedError",
    "SourceSkippedError",
    "SourceTooLargeError",
    "SourceUnreadableError",
    "SourceVanishedError",
    "StaleReportError",
    "StateError",
    "StateLockedError",
    "StocktakeError",
    "StoreError",
    "StoreUnavailableError",
    "StrategyRefusedError",
    "SyncConflictError",
    "TextEncodingError",
    "ThrottledError",
    "TooManyBadRowsError",
    "UnexpectedAnswerError",
    "UnorderedListingError",
    "UnreadableItemError",
    "UnsupportedOperationError",
    "UploadMismatchError",
    "UsageError",
    "WatchedFolderError",
    "WorkerDiedError",
    "WrongRegionError",
]
