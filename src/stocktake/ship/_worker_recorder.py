"""The ledger as a worker process sees it: calls over the line, those of many threads together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from stocktake.errors import StocktakeError, WorkerDiedError
from stocktake.ship._records import (
    ObjectJob,
    ObjectResult,
    PlannedObject,
    PlanSummary,
    UploadStep,
)
from stocktake.ship._wire_link import Link


class RemoteRecorder:
    """A `Recorder` at the other end of a line. Raises what the ledger raised."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._completions = _Gathering(link)

    def add_planned(self, source_id: int, objects: Sequence[PlannedObject]) -> None:
        """Record objects of sweep 1."""
        self._link.call("add_planned", source_id, list(objects))

    def end_plan(self, source_id: int, summary: PlanSummary) -> None:
        """Sweep 1 was clean."""
        self._link.call("end_plan", source_id, summary)

    def next_objects(self, source_id: int, after_ordinal: int, limit: int) -> list[ObjectJob]:
        """Objects that are not completed."""
        jobs: list[ObjectJob] = self._link.call("next_objects", source_id, after_ordinal, limit)
        return jobs

    def record(self, step: UploadStep) -> None:
        """Record a step of one multipart upload."""
        self._link.call("record", step)

    def complete(self, results: Sequence[ObjectResult]) -> None:
        """These objects are completed."""
        self._completions.complete(list(results))

    def end_source(self, source_id: int) -> None:
        """All objects are completed."""
        self._link.call("end_source", source_id)

    def knows_token(self, token: str) -> bool:
        """True if the ledger gave this token out."""
        known: bool = self._link.call("knows_token", token)
        return known


class _Gathering:
    """Completions that come while one message is under way go together in the next.

    One of the waiting threads sends for all of them; then the first of those that came meanwhile
    does. So nothing waits for company, and no thread sends for others for ever.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._sending = False
        self._waiting: list[_Turn] = []

    def complete(self, results: list[ObjectResult]) -> None:
        own = _Turn(results)
        with self._lock:
            self._waiting.append(own)
            if not self._sending:
                self._sending = True
                own.leads.set_result(True)
        if own.leads.result():
            self._send_for_all()
        own.answer.result()

    def _send_for_all(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            self._link.call("complete", [result for turn in batch for result in turn.results])
        except WorkerDiedError as error:
            for turn in batch:
                turn.answer.set_exception(error)
        except StocktakeError:
            self._one_by_one(batch)
        else:
            for turn in batch:
                turn.answer.set_result(None)
        with self._lock:
            for turn in batch:
                if not turn.leads.done():
                    turn.leads.set_result(False)
            self._sending = bool(self._waiting)
            if self._waiting:
                self._waiting[0].leads.set_result(True)

    def _one_by_one(self, batch: list[_Turn]) -> None:
        """One of them is refused: each gets its own answer."""
        for turn in batch:
            try:
                self._link.call("complete", turn.results)
            except StocktakeError as error:
                turn.answer.set_exception(error)
            else:
                turn.answer.set_result(None)


class _Turn:
    """What one thread wants to be recorded, and whether it is to send for all."""

    def __init__(self, results: list[ObjectResult]) -> None:
        self.results = results
        self.leads = Future[bool]()
        self.answer = Future[None]()
