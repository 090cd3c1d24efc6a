"""A local folder to S3: what arrives is unpacked, converted, uploaded and proven.

In: a folder, a bucket, a ledger. Out: objects, each with a token that proves it is ours; errors
beside the files they are of. Never: a temporary file, a deleted or overwritten object that is not
proven to be ours, a file given up because the store was away.
"""

from stocktake.ship._check import check_settings
from stocktake.ship._check_findings import Finding, Level
from stocktake.ship._daemon import Daemon, ShipSummary
from stocktake.ship._daemon_context import path_text
from stocktake.ship._daemon_preview import FilePreview, preview
from stocktake.ship._daemon_rebuild import rebuild_anew
from stocktake.ship._daemon_running import is_locked
from stocktake.ship._daemon_start import ledger_path
from stocktake.ship._error_folder import Restored, move_failed, restore_failed
from stocktake.ship._events import EventKind, NoListener, ShipEvent, ShipListener
from stocktake.ship._figures import ActiveFile, ShipFigures
from stocktake.ship._ledger import Ledger, request_retry
from stocktake.ship._ledger_rows import LedgerFigures, OpenUpload, SourceRow
from stocktake.ship._log import LOG_LEVELS, EventLog
from stocktake.ship._rebuild import RebuildReport
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
from stocktake.ship._settings_reading import load_ship_settings
from stocktake.ship._settings_table import SHIP_SETTINGS
from stocktake.ship._signals import signals_to

__all__ = [
    "LOG_LEVELS",
    "SHIP_SETTINGS",
    "ActiveFile",
    "Daemon",
    "EventKind",
    "EventLog",
    "FileJob",
    "FilePreview",
    "Finding",
    "Identity",
    "Ledger",
    "LedgerFigures",
    "Level",
    "NoListener",
    "ObjectJob",
    "ObjectResult",
    "ObjectState",
    "OpenUpload",
    "Outcome",
    "PlanSummary",
    "PlannedObject",
    "ReadySource",
    "RebuildReport",
    "Recorder",
    "Restored",
    "ShipEvent",
    "ShipFigures",
    "ShipListener",
    "ShipSettings",
    "ShipSummary",
    "SourceJob",
    "SourceKind",
    "SourceRow",
    "SourceState",
    "TaskEnd",
    "UploadCompleting",
    "UploadDropped",
    "UploadIntended",
    "UploadOpened",
    "UploadStep",
    "check_settings",
    "is_locked",
    "ledger_path",
    "load_ship_settings",
    "move_failed",
    "path_text",
    "preview",
    "rebuild_anew",
    "request_retry",
    "restore_failed",
    "signals_to",
]
