"""Objects that a failed sync of this very folder wrote, and died before the manifest had them.

If the file was changed or deleted since, such an object looks as if somebody else had written it.
It says itself which run wrote it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from stocktake.errors import ObjectNotFoundError
from stocktake.manifests._compare import KeyState, Seen, Sight
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import RunKind
from stocktake.manifests._sync_look import Compared
from stocktake.manifests._sync_sides import KeyRow, RemoteObject
from stocktake.manifests._upload_file import RUN_NAME
from stocktake.store import Store

_RUNS_MAX = 1_000
_DOUBTED = frozenset({KeyState.CONFLICT, KeyState.CHANGED_REMOTELY})


@dataclass
class OwnWrites:
    """Knows the failed runs of a folder. Safe to share between threads.

    Attributes:
        dataset: None in the preview of a dataset that is not there yet: no run was before.
        place: The folder, as runs have it.
    """

    store: Store
    bucket: str
    dataset: Dataset | None
    place: str
    _failed: frozenset[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def recognise(self, row: KeyRow, compared: Compared, state: KeyState) -> Compared | None:
        """The key as it is if its object is ours: the file changed, the object did not.

        None: it is not ours, or there is no doubt. Costs a HEAD where there is one.

        Raises:
            StoreError: The object cannot be looked at.
        """
        if state not in _DOUBTED or compared.remote is None or not self._failed_runs():
            return None
        head = compared.head
        if head is None:
            try:
                head = self.store.head(self.bucket, row.key)
            except ObjectNotFoundError:
                return None
        if (
            head.etag != compared.remote.etag
            or head.metadata.get(RUN_NAME) not in self._failed_runs()
        ):
            return None
        local = Seen.ABSENT if row.file is None else Seen.CHANGED
        sight = Sight(recorded=True, local=local, remote=Seen.SAME)
        return Compared(sight, RemoteObject(head.size_bytes, head.etag), head)

    def _failed_runs(self) -> frozenset[str]:
        with self._lock:
            if self._failed is None:
                runs = self.dataset.runs(RunKind.SYNC, limit=_RUNS_MAX) if self.dataset else []
                self._failed = frozenset(
                    run.id for run in runs if run.place == self.place and run.state == "failed"
                )
            return self._failed
