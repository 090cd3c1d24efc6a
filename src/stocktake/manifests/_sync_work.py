"""What is done about one key: decide, then send, fetch, or leave it to the end.

One call is one key; its failure is an outcome like any other, and concerns nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from stocktake.clock import Clock
from stocktake.errors import InterruptedRunError, StocktakeError, SyncConflictError
from stocktake.manifests._compare import KeyState, Policy, Sight, SyncAction, action_of, state_of
from stocktake.manifests._dataset_values import Entry, PutEntry
from stocktake.manifests._local_digests import DigestCache, FileDigests, digest_file
from stocktake.manifests._local_files import LocalFile
from stocktake.manifests._local_names import local_key
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._sync_fetch import FolderWriter
from stocktake.manifests._sync_look import Compared, Comparer, is_mirrored
from stocktake.manifests._sync_own import OwnWrites
from stocktake.manifests._sync_sides import KeyRow, RemoteObject
from stocktake.manifests._sync_values import KeyOutcome, LocalCheck, SyncFinding, SyncOptions
from stocktake.manifests._upload_file import FileUpload, FileUploader, Sent
from stocktake.manifests._upload_parts import send_in_parts
from stocktake.store import ObjectHead, Store, token_of

DEFERRED = frozenset({SyncAction.DELETE_OBJECT, SyncAction.DELETE_FILE, SyncAction.FORGET})
"""What waits for the end: only then is it known how much would be deleted."""


@dataclass(frozen=True, slots=True)
class Task:
    """A key and what is known of it already."""

    row: KeyRow
    known: FileDigests | None = None
    sight: Sight | None = None


@dataclass(frozen=True, slots=True)
class Workshop:
    """What keys are worked on with."""

    store: Store
    bucket: str
    prefix: str
    options: SyncOptions
    comparer: Comparer
    cache: DigestCache
    uploader: FileUploader
    writer: FolderWriter | None
    clock: Clock
    own: OwnWrites | None = None

    def work(self, task: Task) -> KeyOutcome:
        """Do what is to be done about a key. Never raises because of this key alone."""
        try:
            return self._work(task)
        except InterruptedRunError as error:
            return self._failed(task, error, "not-done")
        except SyncConflictError as error:
            return self._failed(task, error, "conflict")
        except StocktakeError as error:
            return self._failed(task, error, "failed")

    def _failed(self, task: Task, error: StocktakeError, kind: str) -> KeyOutcome:
        finding = SyncFinding(task.row.key, kind, error.message, error.code)
        state = KeyState.CONFLICT if kind == "conflict" else _guess(task)
        return KeyOutcome(task.row.key, state, SyncAction.ASK, finding=finding)

    def _work(self, task: Task) -> KeyOutcome:
        row, known = task.row, task.known
        if task.sight is not None:
            compared = Compared(task.sight, row.remote)
        else:
            known = known or (self._digests(row.file) if row.file is not None else None)
            compared = self.comparer.look(row, known)
        return self.decide(row, compared, known)

    def decide(self, row: KeyRow, compared: Compared, known: FileDigests | None) -> KeyOutcome:
        """The outcome of a key that was looked at, having done what it takes."""
        state = state_of(compared.sight)
        ours = self.own.recognise(row, compared, state) if self.own is not None else None
        if ours is not None:
            compared, state = ours, state_of(ours.sight)
        action = action_for(row, compared.sight, self.options.policy)
        etag = compared.remote.etag if compared.remote is not None else None
        outcome = KeyOutcome(row.key, state, action, seen_etag=etag)
        if action is SyncAction.ASK:
            return replace(outcome, finding=_conflict(row, state))
        if self.options.dry_run or action is SyncAction.NOTHING or action in DEFERRED:
            size_bytes = row.file.size_bytes if row.file and action is SyncAction.UPLOAD else 0
            return replace(outcome, size_bytes=size_bytes)
        return self._do(row, compared, known, outcome)

    def _do(
        self, row: KeyRow, compared: Compared, known: FileDigests | None, outcome: KeyOutcome
    ) -> KeyOutcome:
        if outcome.action is SyncAction.UPLOAD:
            assert row.file is not None
            sent = self.send(row.key, row.file, compared.remote, known)
            edit = PutEntry(self._sent_record(row.key, row.file, sent), _since(row.entry))
            size_bytes = 0 if sent.verified_by == "adopted" else sent.digests.size_bytes
            return replace(outcome, edit=edit, token=sent.noted_token, size_bytes=size_bytes)
        if outcome.action is SyncAction.ENTER:
            return replace(outcome, edit=self._entered(row, compared, known))
        assert self.writer is not None
        assert compared.remote is not None
        more: tuple[KeyOutcome, ...] = ()
        if outcome.action is SyncAction.KEEP_BOTH:
            assert row.file is not None
            more = (self._keep_beside(row.key, row.file, known),)
        record = self.writer.fetch(row, compared.remote, self.clock)
        edit = PutEntry(record, _since(row.entry))
        return replace(outcome, edit=edit, size_bytes=record.size_bytes, more=more)

    def send(
        self,
        key: str,
        file: LocalFile,
        remote: RemoteObject | None,
        known: FileDigests | None,
    ) -> Sent:
        """Upload a file, in the way that its size asks for."""
        upload = FileUpload(key, file, None if remote is None else remote.etag, known)
        if file.size_bytes >= self.options.multipart_bytes_min:
            return send_in_parts(self.uploader, upload, known or self._digests(file))
        began_ns = self.cache.now_ns()
        sent = self.uploader.put(upload)
        if known is None:
            self.cache.remember(file, sent.digests, began_ns=began_ns)
        return sent

    def _digests(self, file: LocalFile) -> FileDigests:
        if self.options.check is not LocalCheck.CONTENT:
            return self.cache.digests(file)
        began_ns = self.cache.now_ns()
        digests = digest_file(self.comparer.root, file)
        self.cache.remember(file, digests, began_ns=began_ns)
        return digests

    def _keep_beside(self, key: str, file: LocalFile, known: FileDigests | None) -> KeyOutcome:
        """Give the file of a conflict a second name, on both sides."""
        assert self.writer is not None
        digests = known or self._digests(file)
        beside = self.writer.copy_beside(file, digests.sha256)
        other = self.prefix + beside.key
        sent = self.send(other, beside, None, None)
        edit = PutEntry(self._sent_record(other, beside, sent), None)
        size_bytes = sent.digests.size_bytes
        return KeyOutcome(
            other, KeyState.NEW_LOCALLY, SyncAction.UPLOAD, edit, sent.noted_token, size_bytes
        )

    def _entered(self, row: KeyRow, compared: Compared, known: FileDigests | None) -> PutEntry:
        """File and object are the same; the manifest is told."""
        assert row.file is not None
        digests = known or self._digests(row.file)
        head = compared.head or self._head_of(row, compared.remote)
        token = token_of(head.metadata) or ""
        adopted = Sent(head, digests, token, "adopted", _part_size(row.entry, head.etag))
        return PutEntry(self._sent_record(row.key, row.file, adopted), _since(row.entry))

    def _head_of(self, row: KeyRow, remote: RemoteObject | None) -> ObjectHead:
        """The object as the listing has it: adopting ten thousand of them takes no request."""
        assert remote is not None
        return ObjectHead(self.bucket, row.key, remote.size_bytes, remote.etag, None)

    def _sent_record(self, key: str, file: LocalFile, sent: Sent) -> UploadRecord:
        raw, source = file.path, local_key(file.path)
        return UploadRecord(
            s3_key=key,
            size_bytes=sent.digests.size_bytes,
            etag=sent.head.etag,
            version_id=sent.head.version_id,
            md5=sent.digests.md5,
            sha256=sent.digests.sha256,
            crc64nvme=sent.digests.crc64nvme,
            part_size_bytes=sent.part_size_bytes,
            token=sent.token,
            uploaded_at=self.clock.now(),
            verified_by=sent.verified_by,
            source=source,
            source_raw=None if source.encode() == raw else raw.hex(),
            source_sha256=sent.digests.sha256,
            source_size_bytes=file.size_bytes,
            source_mtime_ns=file.mtime_ns,
        )


def action_for(row: KeyRow, sight: Sight, policy: Policy) -> SyncAction:
    """What is to be done about a key. What was made of a file is not deleted for want of one."""
    action = action_of(state_of(sight), sight, policy)
    derived = row.entry is not None and row.file is None and not is_mirrored(row.entry)
    return SyncAction.NOTHING if derived and row.remote is not None else action


def _since(entry: Entry | None) -> int | None:
    return None if entry is None else entry.since_version


def _part_size(entry: Entry | None, etag: str | None) -> int | None:
    same = entry is not None and entry.record.etag == etag
    return entry.record.part_size_bytes if same and entry is not None else None


def _guess(task: Task) -> KeyState:
    """The state of a key that failed before it was known."""
    row = task.row
    if task.sight is not None:
        return state_of(task.sight)
    if row.remote is None:
        return KeyState.NEW_LOCALLY if row.entry is None else KeyState.CHANGED_LOCALLY
    return KeyState.CONFLICT if row.entry is None else KeyState.CHANGED_LOCALLY


_WHY: Mapping[KeyState, str] = {
    KeyState.CONFLICT: "the file and the object are different, and both changed since the last "
    "sync, or there was none",
    KeyState.CHANGED_REMOTELY: "the object was changed by somebody else, the file was not",
}


def _conflict(row: KeyRow, state: KeyState) -> SyncFinding:
    why = _WHY[state]
    if row.file is None:
        why = "the file was deleted, but the object was changed by somebody else"
    return SyncFinding(row.key, "conflict", why)
