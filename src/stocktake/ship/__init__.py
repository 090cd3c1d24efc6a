"""A local folder to S3: what arrives is unpacked, converted, uploaded and proven.

In: a folder, a bucket, a ledger. Out: objects, each with a token that proves it is ours; errors
beside the files they are of. Never: a temporary file, a deleted or overwritten object that is not
proven to be ours, a file given up because the store was away.
"""

from stocktake.ship._records import (
    FileJob,
    Identity,
    ObjectJob,
    ObjectResult,
    ObjectState,
    Outcome,
    PlannedObject,
    PlanSummary,
    ReadySource,
    Recorder,
    SourceJob,
    SourceKind,
    SourceState,
    TaskEnd,
    UploadCompleting,
    UploadDropped,
    UploadIntended,
    UploadOpened,
    UploadStep,
)
from stocktake.ship._settings import ShipSettings

__all__ = [
    "FileJob",
    "Identity",
    "ObjectJob",
    "ObjectResult",
    "ObjectState",
    "Outcome",
    "PlanSummary",
    "PlannedObject",
    "ReadySource",
    "Recorder",
    "ShipSettings",
    "SourceJob",
    "SourceKind",
    "SourceState",
    "TaskEnd",
    "UploadCompleting",
    "UploadDropped",
    "UploadIntended",
    "UploadOpened",
    "UploadStep",
]
