"""The work of one worker: small files in batches, sweep 1 and sweep 2 of everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from stocktake.clock import Clock
from stocktake.errors import InterruptedRunError
from stocktake.ship._outcome import outcome_of
from stocktake.ship._patience import Patience
from stocktake.ship._records import FileJob, Outcome, Recorder, SourceJob, TaskEnd
from stocktake.ship._settings import ShipSettings
from stocktake.ship._sweep_plan import PlanSweep
from stocktake.ship._sweep_ship import ShipSweep
from stocktake.ship._task_context import TaskContext, TaskListener
from stocktake.ship._task_files import FileBatch
from stocktake.ship._task_memory import bound_memory
from stocktake.ship._upload import Uploader, UploadPlace
from stocktake.store import Store, UploadProfile

_ASKED_KEY = ".stocktake/is-it-there"


class Tasks:
    """Runs the tasks of one worker, one at a time; `stop` may come from another thread.

    Args:
        settings: How the folder is shipped.
        store: Where to; closed by who opened it.
        recorder: The ledger as a worker sees it.
        ship_id: The ledger's own random name; goes into metadata.
        knows_token: Whether an object's token is one of this ledger.
        profile: What the store can do.
        clock: Waits.
        listener: Told how tasks go.
    """

    def __init__(
        self,
        settings: ShipSettings,
        store: Store,
        recorder: Recorder,
        *,
        ship_id: str,
        knows_token: Callable[[str], bool],
        profile: UploadProfile,
        clock: Clock,
        listener: TaskListener,
    ) -> None:
        bound_memory()
        patience = Patience(
            lambda: store.head(settings.bucket, settings.prefix + _ASKED_KEY),
            clock=clock,
            listener=listener,
            cap_s=settings.retry_cap_s,
        )
        place = UploadPlace(store, settings.bucket, profile)
        self._context = TaskContext(
            settings=settings,
            recorder=recorder,
            ship_id=ship_id,
            uploader=Uploader(place, recorder, patience, knows_token),
            patience=patience,
            clock=clock,
            listener=listener,
        )

    def put_files(self, jobs: Sequence[FileJob]) -> Iterator[TaskEnd]:
        """Small plain files, one PUT each; their ends as they come, in any order."""
        return FileBatch(self._context, jobs).run()

    def plan(self, job: SourceJob) -> TaskEnd:
        """Sweep 1: read and verify a source, record what it becomes. Uploads nothing."""

        def sweep() -> dict[str, float]:
            summary = PlanSweep(self._context, job).run()
            return {"objects": summary.objects, "bytes": job.identity.size_bytes}

        return self._ended(job, sweep)

    def ship(self, job: SourceJob) -> TaskEnd:
        """Sweep 2: read a planned source again and write its objects."""

        def sweep() -> dict[str, float]:
            shipped = ShipSweep(self._context, job)
            shipped.run()
            return {"objects": shipped.objects, "bytes": shipped.bytes}

        return self._ended(job, sweep)

    def stop(self) -> None:
        """End what is running soon, and all that follows, with the outcome `STOPPED`."""
        self._context.patience.stop()

    def close(self) -> None:
        """End its threads."""
        self._context.uploader.close()

    def _ended(self, job: SourceJob, sweep: Callable[[], dict[str, float]]) -> TaskEnd:
        started_s = self._context.clock.monotonic_s()
        try:
            self._context.patience.check()
            figures = sweep()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001
            # boundary: one file's failure never stops others
            if self._context.patience.stopped and not isinstance(error, InterruptedRunError):
                error = InterruptedRunError(
                    "the shipper stops: this file is gone on with next time"
                )
            outcome, described = outcome_of(error)
            return TaskEnd(job.source_id, outcome, described)
        figures["seconds"] = self._context.clock.monotonic_s() - started_s
        return TaskEnd(job.source_id, Outcome.DONE, figures=figures)
