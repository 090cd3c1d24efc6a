"""What a sync came to, as it comes; and the manifest, told in groups."""

from __future__ import annotations

from dataclasses import replace

from stocktake import faults
from stocktake.clock import Clock
from stocktake.errors import ObjectNotFoundError
from stocktake.manifests._compare import KeyState, SyncAction
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import DeleteEntry, Edit, Entry, PutEntry, Reason
from stocktake.manifests._sync_sides import KeyRow
from stocktake.manifests._sync_values import KeyOutcome, SyncFinding, SyncResult
from stocktake.store import Store, token_of

GROUP_MAX = 500
GROUP_S = 2.0
ROUNDS_MAX = 5

_AWAY = frozenset({"store-unavailable", "throttled", "credentials", "bucket-not-found"})
_AWAY_MAX = 3
"""So many keys one after the other find the store away: it is."""


class Books:
    """Counts outcomes and commits their edits. For one thread.

    Args:
        dataset: Where to; None for a dry run.
        store: Asked what stands at a key that somebody else entered meanwhile.
        run_id: The run.
        clock: For the group's age.
    """

    def __init__(self, dataset: Dataset | None, store: Store, run_id: str, clock: Clock) -> None:
        self.result = SyncResult()
        self.deletions: list[tuple[KeyRow, KeyOutcome]] = []
        self._dataset = dataset
        self._bucket = "" if dataset is None else dataset.info().bucket
        self._store = store
        self._run_id = run_id
        self._clock = clock
        self._edits: list[tuple[Edit, str | None]] = []
        self._since_s = clock.monotonic_s()
        self._away = 0

    @property
    def store_is_away(self) -> bool:
        """Whether the last keys all found it so."""
        return self._away >= _AWAY_MAX

    def take(self, row: KeyRow, outcome: KeyOutcome) -> None:
        """Count what came of a key; its edit is committed with others, soon."""
        result = self.result
        self._count_state(row, outcome)
        if outcome.finding is not None:
            self.take_finding(outcome.finding)
            return
        self._away = 0
        for one in (outcome, *outcome.more):
            self._count_action(one)
            if one.edit is not None:
                self._edits.append((one.edit, one.token))
        if outcome.action in {SyncAction.DELETE_OBJECT, SyncAction.DELETE_FILE, SyncAction.FORGET}:
            self.deletions.append((row, outcome))
        if self._dataset is None and outcome.action is not SyncAction.NOTHING:
            name = outcome.action.value
            result.planned[name] = result.planned.get(name, 0) + 1
        self.flush(only_if_due=True)

    def take_unchanged(self) -> None:
        """Count a key that is everywhere as it was: most of them, most of the time."""
        states, name = self.result.states, KeyState.IDENTICAL.value
        states[name] = states.get(name, 0) + 1
        self.result.identical += 1

    def _count_state(self, row: KeyRow, outcome: KeyOutcome) -> None:
        result, state = self.result, outcome.state
        result.states[state.value] = result.states.get(state.value, 0) + 1
        if row.file is not None and row.remote is not None:
            if state is KeyState.IDENTICAL:
                result.identical += 1
            else:
                result.different += 1

    def take_finding(self, finding: SyncFinding) -> None:
        """Count something that a person should know."""
        result = self.result
        away = finding.code in _AWAY
        if away:  # it is not this key's fault, and the next sync goes on with it
            finding = replace(finding, kind="not-done")
        result.find(finding)
        if finding.kind == "conflict":
            result.conflicts += 1
        elif finding.kind == "not-done":
            result.not_done += 1
        else:
            result.failed += 1
        self._away = self._away + 1 if away else 0

    def _count_action(self, outcome: KeyOutcome) -> None:
        result, action = self.result, outcome.action
        if self._dataset is None:
            if action is SyncAction.UPLOAD:
                result.uploaded_bytes += outcome.size_bytes
            return
        if action is SyncAction.UPLOAD and outcome.size_bytes == 0 and _is_adopted(outcome):
            result.recorded += 1
        elif action is SyncAction.UPLOAD:
            result.uploaded += 1
            result.uploaded_bytes += outcome.size_bytes
        elif action in {SyncAction.DOWNLOAD, SyncAction.KEEP_BOTH}:
            result.downloaded += 1
            result.downloaded_bytes += outcome.size_bytes
        elif action is SyncAction.ENTER:
            result.recorded += 1

    def flush(self, *, only_if_due: bool = False, reason: Reason = Reason.SYNC) -> None:
        """Commit what is waiting."""
        now_s = self._clock.monotonic_s()
        due = len(self._edits) >= GROUP_MAX or now_s - self._since_s >= GROUP_S
        if only_if_due and not due:
            return
        self._since_s = now_s
        group = list(self._edits)
        if not group or self._dataset is None:
            return
        faults.reached("sync.committing")
        self.commit([edit for edit, _ in group], reason)
        faults.reached("sync.committed")
        del self._edits[: len(group)]  # only now: an interruption before commits them again
        for edit, token in group:
            if token is not None and isinstance(edit, PutEntry):
                self._dataset.drop_upload(edit.record.s3_key, token)

    def commit(self, edits: list[Edit], reason: Reason) -> None:
        """Commit edits; where somebody else was quicker, the object says who is right."""
        assert self._dataset is not None
        for _ in range(ROUNDS_MAX):
            if not edits:
                return
            done = self._dataset.commit(edits, reason, run_id=self._run_id)
            again = (self._again(edit, standing) for edit, standing in done.conflicts)
            edits = [one for one in again if one is not None]
        for edit in edits:
            self.take_finding(_meanwhile(edit))

    def _again(self, edit: Edit, standing: Entry | None) -> Edit | None:
        """The edit to make after all; None: what stands there is right."""
        if isinstance(edit, DeleteEntry):
            return None  # entered anew since it was seen: it is not ours to end
        record = edit.record
        if standing is not None and standing.record.etag == record.etag:
            same = (standing.record.size_bytes, standing.record.sha256)
            if same == (record.size_bytes, record.sha256):
                return None
        try:
            head = self._store.head(self._bucket, record.s3_key)
        except ObjectNotFoundError:
            self.take_finding(_meanwhile(edit))
            return None
        ours = token_of(head.metadata) == record.token if record.token else False
        if ours or head.etag == record.etag:
            return PutEntry(record, None if standing is None else standing.since_version)
        if standing is None or standing.record.etag != head.etag:
            self.take_finding(_meanwhile(edit))
        return None


def _is_adopted(outcome: KeyOutcome) -> bool:
    edit = outcome.edit
    return isinstance(edit, PutEntry) and edit.record.verified_by == "adopted"


def _meanwhile(edit: Edit) -> SyncFinding:
    key = edit.record.s3_key if isinstance(edit, PutEntry) else edit.s3_key
    why = "another sync changed it at the same time; sync again"
    return SyncFinding(key, "conflict", why, "sync-conflict")
