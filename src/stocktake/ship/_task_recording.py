"""Results on their way into the ledger: what is proven is recorded at once, many in one commit."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from stocktake import faults
from stocktake.ship._records import ObjectResult, Recorder

_TOGETHER_MAX = 256


class Recording:
    """Records results in a thread of its own, in the order they come.

    Args:
        recorder: The ledger.
        done: Told of each result once it is on disk.
        point: The fault point that is then reached.
    """

    def __init__(
        self, recorder: Recorder, done: Callable[[ObjectResult], None], point: Callable[[], None]
    ) -> None:
        self._recorder = recorder
        self._done = done
        self._point = point
        self._results: queue.SimpleQueue[ObjectResult | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    def add(self, result: ObjectResult) -> None:
        """Record it soon. Raises what recording failed with before."""
        if self._failure is not None:
            raise self._failure
        self._results.put(result)

    def close(self) -> None:
        """Wait until everything is recorded. Raises what recording failed with."""
        self._results.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        ended = False
        while not ended:
            together = [self._results.get()]
            while len(together) < _TOGETHER_MAX and not self._results.empty():
                together.append(self._results.get())
            ended = None in together
            results = [result for result in together if result is not None]
            if results and self._failure is None:
                try:
                    self._recorder.complete(results)
                    self._point()
                    for result in results:
                        self._done(result)
                except BaseException as failure:  # noqa: BLE001
                    # boundary: raised in the thread that adds, or closes
                    self._failure = failure


def put_recorded() -> None:
    """Fault point: results of single PUTs are in the ledger."""
    faults.reached("ship.put-recorded")


def object_recorded() -> None:
    """Fault point: results of planned objects are in the ledger."""
    faults.reached("ship.object-recorded")
