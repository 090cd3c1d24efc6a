"""What every task of a worker works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from stocktake.clock import Clock
from stocktake.errors import StocktakeError
from stocktake.ship._metadata import object_metadata
from stocktake.ship._patience import Patience
from stocktake.ship._records import ObjectJob, Recorder, SourceJob
from stocktake.ship._settings import ShipSettings
from stocktake.ship._upload import Uploader
from stocktake.ship._upload_target import Target
from stocktake.store import UploadPace, content_type_of

_TOLD_EVERY_BYTES = 4 << 20


class TaskListener(Protocol):
    """Who is told how tasks go. Calls come from several threads and must return soon."""

    def progress(self, source_id: int, phase: str, bytes_done: int, bytes_total: int) -> None:
        """A task is so far: `plan` or `ship`, bytes of the source."""

    def outage(self, error: StocktakeError) -> None:
        """The store is away: everything that needs it waits."""

    def recovered(self) -> None:
        """It is back."""


@dataclass(frozen=True, slots=True)
class TaskContext:
    """Settings, the ledger as a worker sees it, and the way to the bucket."""

    settings: ShipSettings
    recorder: Recorder
    ship_id: str
    uploader: Uploader
    patience: Patience
    clock: Clock
    listener: TaskListener
    pace: UploadPace = field(default_factory=UploadPace)

    def target(self, source: SourceJob, job: ObjectJob) -> Target:
        """Where an object of a planned source goes, with its metadata."""
        planned = job.planned
        source_sha256 = source.sha256 or planned.sha256
        return Target(
            object_id=job.object_id,
            token=job.token,
            key=planned.key,
            sha256=planned.sha256,
            metadata=object_metadata(
                source,
                source_sha256,
                token=job.token,
                ship_id=self.ship_id,
                entry=planned.entry,
            ),
            content_type=content_type_of(planned.key),
            replaces_etag=job.replaces_etag,
            is_source=planned.entry is None and planned.table is None,
            is_table=planned.table is not None,
        )

    def told(self, job: SourceJob, phase: str) -> Callable[[int], None]:
        """Tells progress in bytes of the source, now and then; raises if the task is to stop."""
        last = -_TOLD_EVERY_BYTES

        def tell(done_bytes: int) -> None:
            nonlocal last
            self.patience.check()
            if done_bytes - last >= _TOLD_EVERY_BYTES:
                last = done_bytes
                total = job.identity.size_bytes
                self.listener.progress(job.source_id, phase, min(done_bytes, total), total)

        return tell
