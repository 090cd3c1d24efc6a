"""Every error stocktake raises, as one tree.

    StocktakeError
    ├── UsageError                      what the user typed or configured is wrong
    │   ├── InvalidUrlError             not an s3://bucket/key address
    │   ├── InvalidSettingError         a setting has a value it cannot have
    │   ├── MissingExtraError           an optional dependency is not installed
    │   ├── AmbiguousSnapshotError      a reference that means several snapshots
    │   └── InvalidQueryError           a query, pattern or SQL statement that cannot run
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
    │   ├── UnsupportedOperationError   this store cannot do that (conditional write, inventory API)
    │   └── UnexpectedAnswerError       the answer is not what this request gives
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
    ├── ServerStartError                a local demo or test server does not come up
    └── InterruptedRunError             stopped by the user; everything finished is kept

Every code has a heading in `docs/reference/errors.md`; a test compares the two lists.
"""

from __future__ import annotations

from typing import Any, ClassVar


class StocktakeError(Exception):
    """Base of all errors: what failed, which thing, what to do about it.

    Attributes:
        message: What failed + which object + cause, one line, no final period.
        code: Stable machine name, also the heading in the error reference.
        hint: The command or setting that helps, or None.
        retryable: True if the same call may succeed later without any change.
        attrs: The values the message was made of, for `--json`.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str | None] = None
    default_retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, hint: str | None = None, retryable: bool | None = None, **attrs: Any
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is not None else self.default_hint
        self.retryable = self.default_retryable if retryable is None else retryable
        self.attrs = attrs

    def to_dict(self) -> dict[str, Any]:
        """The error as the JSON object that `--json` prints and the API returns."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
            "attrs": {
                k: str(v) if not isinstance(v, int | float | bool | type(None)) else v
                for k, v in self.attrs.items()
            },
        }


# --- usage ---------------------------------------------------------------------------------------


class UsageError(StocktakeError):
    """What the user typed or configured is wrong."""

    code = "usage"
    exit_code = 2


class InvalidUrlError(UsageError):
    """Not an `s3://bucket/key` address."""

    code = "invalid-url"
    default_hint = "write it as s3://bucket/key, for example s3://my-bucket/photos/2020/"


class InvalidSettingError(UsageError):
    """A setting or option has a value it cannot have."""

    code = "invalid-setting"


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    code = "missing-extra"


class AmbiguousSnapshotError(UsageError):
    """A reference that means several snapshots; `candidates` lists their ids."""

    code = "ambiguous-snapshot"
    default_hint = "name the source (bucket/config-id@latest), the full stamp or the id"


class InvalidQueryError(UsageError):
    """A query, pattern or SQL statement that cannot run."""

    code = "invalid-query"


# --- store ---------------------------------------------------------------------------------------


class StoreError(StocktakeError):
    """The object store said no, or said nothing. Attributes: operation, bucket, key, status."""

    code = "store"


class ObjectNotFoundError(StoreError):
    """No such key (or version)."""

    code = "object-not-found"


class BucketNotFoundError(StoreError):
    """No such bucket."""

    code = "bucket-not-found"
    default_hint = "check the spelling of the bucket, and --endpoint-url if it is not on AWS"


class AccessDeniedError(StoreError):
    """A permission is missing; `permission` names it."""

    code = "access-denied"


class KmsAccessDeniedError(AccessDeniedError):
    """S3 allows the request, the KMS key does not."""

    code = "kms-access-denied"
    default_hint = "grant kms:Decrypt on the key to this role, and allow the role in the key policy"


class CredentialsError(StoreError):
    """No credentials, or expired or wrong ones."""

    code = "credentials"
    default_hint = (
        "set AWS_PROFILE or AWS_ACCESS_KEY_ID / AWS_SECRET_ACCESS_KEY, pass --profile, "
        "or use --anonymous for a public bucket"
    )


class WrongRegionError(StoreError):
    """The bucket is in another region and could not be followed there."""

    code = "wrong-region"


class ArchivedObjectError(StoreError):
    """The object is in GLACIER or DEEP_ARCHIVE and must be restored before it can be read."""

    code = "archived-object"
    default_hint = "restore it first (aws s3api restore-object), or pick a newer report"


class PreconditionFailedError(StoreError):
    """If-Match or If-None-Match did not hold: somebody else changed the object."""

    code = "precondition-failed"


class ThrottledError(StoreError):
    """The store asked to slow down, and still did after all retries."""

    code = "throttled"
    default_retryable = True


class StoreUnavailableError(StoreError):
    """5xx, time-out, reset or name lookup failure, after all retries."""

    code = "store-unavailable"
    default_retryable = True
    default_hint = "check --endpoint-url and the network; finished work is kept, run it again"


class UnsupportedOperationError(StoreError):
    """This store cannot do that: it has no such operation, or no such condition."""

    code = "unsupported-operation"


class UnexpectedAnswerError(StoreError):
    """The answer is not what this request gives on S3."""

    code = "unexpected-answer"


# --- reports -------------------------------------------------------------------------------------


class ReportError(StocktakeError):
    """An inventory report cannot be used."""

    code = "report"


class ReportNotFoundError(ReportError):
    """Nothing was ever delivered at this place."""

    code = "report-not-found"
    default_hint = (
        "the first report takes up to 48 hours; the address is "
        "s3://destination-bucket/[prefix/]source-bucket/configuration-id"
    )


class ReportNotReadyError(ReportError):
    """The delivery is being written: manifest.checksum is not there yet."""

    code = "report-not-ready"
    default_retryable = True
    default_hint = "try again in a few minutes"


class ReportExpiredError(ReportError):
    """A part that the manifest names is gone, usually by a lifecycle rule."""

    code = "report-expired"
    default_hint = "import another date: stocktake inventory dates ... lists them"


class ReportChangedError(ReportError):
    """manifest.json was rewritten while the report was being imported."""

    code = "report-changed"
    default_retryable = True
    default_hint = "run the import again; it starts from the new manifest"


class ManifestInvalidError(ReportError):
    """manifest.json is not JSON, or lacks or contradicts something it must say."""

    code = "manifest-invalid"


class ManifestChecksumError(ReportError):
    """manifest.json and manifest.checksum disagree, also after reading both again."""

    code = "manifest-checksum"
    default_retryable = True


class ForeignManifestError(ReportError):
    """The manifest is about another source bucket than the one asked for."""

    code = "foreign-manifest"


class NotAnInventoryError(ReportError):
    """The manifest belongs to S3 Batch Operations, Storage Lens or something else."""

    code = "not-an-inventory"


class ForeignPartError(ReportError):
    """The manifest points outside the report's own folder."""

    code = "foreign-part"


class PartCorruptError(ReportError):
    """A part's size, MD5, gzip stream or file structure is wrong."""

    code = "part-corrupt"
    default_retryable = True


class PartBombError(ReportError):
    """A part inflates beyond every plausible ratio."""

    code = "part-bomb"


class KeyEncodingError(ReportError):
    """The report's keys are not encoded as they were read; `encoding` says how they are."""

    code = "key-encoding"


class TooManyBadRowsError(ReportError):
    """More rows are unreadable than max(10, 0.01 %)."""

    code = "too-many-bad-rows"


class StaleReportError(ReportError):
    """The report is older than the newest one imported, or dated in the future."""

    code = "stale-report"
    default_hint = "pass --force to import it all the same"


class ReportWriteError(ReportError):
    """A report of our own cannot be written: a column or value does not fit the format."""

    code = "report-write"


class ReportExistsError(ReportWriteError):
    """A delivery with this stamp is already at the destination."""

    code = "report-exists"
    default_hint = "pass --overwrite to replace it"


# --- catalog -------------------------------------------------------------------------------------


class CatalogError(StocktakeError):
    """The catalog cannot do what was asked."""

    code = "catalog"


class CatalogNotFoundError(CatalogError):
    """There is no catalog at this place."""

    code = "catalog-not-found"
    default_hint = "import something first (stocktake inventory import ...), or pass --catalog"


class CatalogVersionError(CatalogError):
    """The catalog or snapshot was written by a newer stocktake."""

    code = "catalog-version"
    default_hint = "upgrade: pip install --upgrade stocktake"


class CatalogCorruptError(CatalogError):
    """A catalog file is missing or is not what the snapshot says it is."""

    code = "catalog-corrupt"


class SnapshotNotFoundError(CatalogError):
    """No snapshot matches the reference."""

    code = "snapshot-not-found"
    default_hint = "stocktake snapshots lists what there is"


class NotInSnapshotError(CatalogError):
    """No such folder or object in the snapshot."""

    code = "not-in-snapshot"
    default_hint = "it may be newer than the snapshot; folders end in `/`"


class SnapshotInUseError(CatalogError):
    """The snapshot is pinned, or something is reading it."""

    code = "snapshot-in-use"


class ImportRunningError(CatalogError):
    """Another import of the same source is at work."""

    code = "import-running"
    default_retryable = True


class CoverageMismatchError(CatalogError):
    """Two snapshots do not cover the same thing and cannot be compared."""

    code = "coverage-mismatch"


class ConfirmationNeededError(CatalogError):
    """A change that looks like a mistake: an empty report or a mass deletion."""

    code = "confirmation-needed"
    exit_code = 3
    default_hint = "if it is right, run it again with --accept-deletions"


class QueryLimitError(CatalogError):
    """A row, time or memory limit stopped the query."""

    code = "query-limit"


class DiskFullError(CatalogError):
    """No space is left where the catalog lives."""

    code = "disk-full"
    default_hint = "free space or move the catalog; finished parts are kept, run it again"


class StateError(StocktakeError):
    """The control database cannot be opened, migrated or written."""

    code = "state"


class StateLockedError(StateError):
    """Another process holds the control database, longer than we waited."""

    code = "state-locked"
    default_retryable = True
    default_hint = "run it again when the other stocktake has finished"


class ServerStartError(StocktakeError):
    """A local demo or test server does not come up."""

    code = "server-start"
    default_hint = "its log says why; the path is in the message"


class InterruptedRunError(StocktakeError):
    """Stopped by the user; everything finished is kept."""

    code = "interrupted"
    exit_code = 130
    default_hint = "run the same command again to go on where it stopped"
