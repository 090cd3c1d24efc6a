"""Deletions of a sync: refused where they look like a mistake, else made one object at a time.

An unmounted or emptied folder reads exactly like a mass deletion, and an object that is deleted
from a bucket without versions does not come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stocktake import faults
from stocktake.errors import (
    DeletionRefusedError,
    ObjectNotFoundError,
    StocktakeError,
)
from stocktake.manifests._compare import SyncAction
from stocktake.manifests._dataset_values import DeleteEntry, Edit, Reason
from stocktake.manifests._sync_books import Books
from stocktake.manifests._sync_fetch import FolderWriter
from stocktake.manifests._sync_sides import KeyRow
from stocktake.manifests._sync_values import KeyOutcome, SyncFinding
from stocktake.store import Store

SHARE_MAX = 0.10
COUNT_MAX = 10_000
_BATCH = 1_000
_LOOKERS = 8

Deletion = tuple[KeyRow, KeyOutcome]


def check_deletions(
    dataset_id: str, count: int, total_files: int, *, side_empty: bool, uploaded: int = 0
) -> None:
    """Refuse more than a tenth of a dataset, or 10,000, or anything when a side is empty.

    `uploaded` files were sent before that, and stay.

    Raises:
        DeletionRefusedError: It looks like a mistake.
    """
    if not count:
        return
    share = count / total_files if total_files else 1.0
    if not side_empty and share <= SHARE_MAX and count <= COUNT_MAX:
        return
    why = "; one of the two sides is empty" if side_empty else ""
    done = f", {uploaded:,} uploaded" if uploaded else ""
    raise DeletionRefusedError(
        f"{count:,} of the {total_files:,} files of dataset `{dataset_id}` would be deleted "
        f"({share:.0%}){why}; nothing was deleted{done}",
        dataset=dataset_id,
        deletions=count,
        total_files=total_files,
    )


@dataclass(frozen=True, slots=True)
class Deleter:
    """Makes the deletions that are left for the end.

    Attributes:
        writer: Deletes files; None in a sync that goes one way.
    """

    store: Store
    bucket: str
    writer: FolderWriter | None
    books: Books

    def delete(self, deletions: Sequence[Deletion]) -> None:
        """Delete them, and record it. What does not work, or changed meanwhile, is a finding."""
        for start in range(0, len(deletions), _BATCH):
            batch = deletions[start : start + _BATCH]
            gone = self._objects(
                [one for one in batch if one[1].action is SyncAction.DELETE_OBJECT]
            )
            gone += self._files([one for one in batch if one[1].action is SyncAction.DELETE_FILE])
            forgotten = [one[0] for one in batch if one[1].action is SyncAction.FORGET]
            self.books.result.recorded += len(forgotten)
            edits = [_ended(row) for row in (*gone, *forgotten) if row.entry is not None]
            faults.reached("sync.committing")
            self.books.commit(edits, Reason.DELETE)
            faults.reached("sync.committed")

    def _objects(self, batch: list[Deletion]) -> list[KeyRow]:
        """Delete objects that are still the ones that were compared."""
        if not batch:
            return []
        with ThreadPoolExecutor(_LOOKERS, thread_name_prefix="look") as pool:
            looked = list(pool.map(self._look, batch))
        rows = [row for row in looked if row is not None]
        if not rows:
            return []
        faults.reached("sync.deleting")
        failures = self.store.delete(self.bucket, [row.key for row in rows])
        faults.reached("sync.deleted")
        for key, why in failures.items():
            self._find(SyncFinding(key, "failed", f"could not be deleted: {why}", "store"))
        gone = [row for row in rows if row.key not in failures]
        self.books.result.deleted += len(gone)
        return gone

    def _look(self, deletion: Deletion) -> KeyRow | None:
        row, outcome = deletion
        try:
            head = self.store.head(self.bucket, row.key)
        except ObjectNotFoundError:
            return row
        except StocktakeError as error:
            self._find(SyncFinding(row.key, "failed", error.message, error.code))
            return None
        if head.etag == outcome.seen_etag:
            return row
        why = "the object changed since it was compared; it was not deleted"
        self._find(SyncFinding(row.key, "conflict", why, "sync-conflict"))
        return None

    def _files(self, batch: list[Deletion]) -> list[KeyRow]:
        gone: list[KeyRow] = []
        for row, _ in batch:
            assert self.writer is not None
            assert row.file is not None
            faults.reached("sync.deleting")
            try:
                self.writer.remove(row.file)
            except StocktakeError as error:
                self._find(SyncFinding(row.key, "failed", error.message, error.code))
                continue
            faults.reached("sync.deleted")
            self.books.result.deleted_locally += 1
            gone.append(row)
        return gone

    def _find(self, finding: SyncFinding) -> None:
        self.books.take_finding(finding)


def _ended(row: KeyRow) -> Edit:
    assert row.entry is not None
    return DeleteEntry(row.key, row.entry.since_version)
