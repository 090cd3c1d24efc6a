"""Named fault points: where crash tests kill the process.

Code that changes durable state says where it is; nothing happens unless the environment variable
`STOCKTAKE_KILL_AT` names that point, as `name` or `name:n` for the n-th time it is reached. Then
the process is killed as by `kill -9`: no clean-up runs. With `STOCKTAKE_KILL_SCOPE=group` its whole
process group dies at the same instant, as in a power cut.
"""

from __future__ import annotations

import itertools
import os
import signal

POINTS = (
    "import.begun",
    "import.part-block",
    "import.part-written",
    "import.part-recorded",
    "import.parts-read",
    "import.surplus-written",
    "import.surplus-recorded",
    "import.deduplicated",
    "import.folders-written",
    "import.compared",
    "import.strays-removed",
    "import.manifest-written",
    "import.publishing",
    "import.published",
    "compact.files-written",
    "compact.manifest-written",
    "events.held",
    "events.deleted",
    "feed.segment-written",
    "feed.appending",
    "feed.appended",
    "feed.merge-written",
    "feed.merged",
    "sink.rows-ready",
    "sink.file-written",
    "sink.file-sending",
    "sink.file-placed",
    "sink.table-made",
    "sink.rows-inserted",
    "sink.token-written",
    "sink.committed",
    "ingest.claimed",
    "ingest.loaded",
    "ingest.committing",
    "ingest.committed",
    "file.written",
    "file.renamed",
    "dataset.committing",
    "dataset.committed",
    "dataset.file-written",
    "copy.merged",
    "copy.written",
    "copy.noted",
    "ledger.committing",
    "ledger.committed",
    "manifest.segment-written",
    "manifest.merge-written",
    "manifest.segment-recorded",
    "ledger.rebuilt",
    "ship.seen",
    "ship.claimed",
    "ship.failed-recorded",
    "ship.failed-moved",
    "ship.plan-begun",
    "ship.plan-entries-recorded",
    "ship.plan-ended",
    "ship.put-sending",
    "ship.put-sent",
    "ship.put-recorded",
    "ship.intended",
    "ship.upload-created",
    "ship.upload-recorded",
    "ship.part-sending",
    "ship.part-sent",
    "ship.parts-sent",
    "ship.source-rechecked",
    "ship.completing-recorded",
    "ship.complete-sent",
    "ship.object-verified",
    "ship.object-recorded",
    "ship.source-ended",
    "ship.recovering",
    "ship.upload-aborted",
    "ship.upload-settled",
    "sync.begun",
    "sync.upload-intended",
    "sync.upload-recorded",
    "sync.part-sent",
    "sync.complete-sent",
    "sync.put-sent",
    "sync.committing",
    "sync.committed",
    "sync.deleting",
    "sync.deleted",
    "sync.manifest-written",
    "restore.part-opened",
    "restore.part-written",
    "restore.renaming",
    "restore.renamed",
)
"""Every point there is; a test reaches each."""

_NAME, _, _TURN = os.environ.get("STOCKTAKE_KILL_AT", "").partition(":")
_GROUP = os.environ.get("STOCKTAKE_KILL_SCOPE") == "group"
_REACHED = itertools.count(1)


def reached(name: str) -> None:
    """Say that a fault point is reached. Costs a comparison when no test asks for it."""
    if name == _NAME and next(_REACHED) == int(_TURN or 1):
        if _GROUP:
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
