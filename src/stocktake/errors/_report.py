"""An inventory report cannot be used."""

from __future__ import annotations

from stocktake.errors._root import StocktakeError


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
