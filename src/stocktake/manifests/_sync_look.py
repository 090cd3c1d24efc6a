"""What is seen of one key: how file and object stand to the manifest, and to each other.

Cheap things first: sizes, then the digests that are known, then those of the file. Only where the
manifest cannot vouch for an object, and its ETag does not settle it either, is the object asked.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, replace
from pathlib import Path

from stocktake.errors import ObjectNotFoundError
from stocktake.manifests._compare import Seen, Sight, needs_comparison
from stocktake.manifests._dataset_values import Entry
from stocktake.manifests._etag_check import EtagOutcome, check_etag, md5_of_etag
from stocktake.manifests._local_digests import FileDigests
from stocktake.manifests._local_files import LocalFile, open_local
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._sync_sides import KeyRow, RemoteObject
from stocktake.manifests._sync_values import LocalCheck
from stocktake.store import SHA256_NAME, ObjectHead, Store, token_of


def is_mirrored(entry: Entry) -> bool:
    """Whether the object has the bytes of a file: tables and members of archives are made of it.

    What was made has no file of its name, which does not mean that it was deleted.
    """
    record = entry.record
    return record.entry is None and record.rows is None and not record.columns


def quick_sight(
    row: KeyRow, known: FileDigests | None, check: LocalCheck = LocalCheck.CACHE
) -> Sight | None:
    """What is seen of a key without reading its file; None: it has to be read."""
    local = _local(row.entry, row.file, known, check)
    if local is None:
        return None
    remote = _remote(row.entry, row.remote)
    sight = Sight(row.entry is not None, local, remote)
    if not needs_comparison(sight):
        return sight
    assert row.file is not None
    assert row.remote is not None
    alike = _quickly_alike(row.file, row.remote, known)
    return None if alike is None else replace(sight, alike=alike)


def _local(
    entry: Entry | None, file: LocalFile | None, known: FileDigests | None, check: LocalCheck
) -> Seen | None:
    """The file, seen from the manifest; None: only its digests can say."""
    if file is None:
        return Seen.ABSENT
    if entry is None:
        return Seen.CHANGED
    record = entry.record
    if record.size_bytes != file.size_bytes:
        return Seen.CHANGED
    if check is LocalCheck.TIMES and record.source_mtime_ns == file.mtime_ns:
        return Seen.SAME
    if known is None:
        return None
    has = _has(record, known)
    return None if has is None else Seen.SAME if has else Seen.CHANGED


def _has(record: UploadRecord, digests: FileDigests) -> bool | None:
    """Whether the manifest's object has these bytes; None: it does not say."""
    if record.size_bytes != digests.size_bytes:
        return False
    pairs = (
        (record.sha256, digests.sha256),
        (record.crc64nvme, digests.crc64nvme),
        (record.md5, digests.md5),
    )
    for said, is_now in pairs:
        if said is not None and is_now is not None:
            return said == is_now
    return None


def _remote(entry: Entry | None, remote: RemoteObject | None) -> Seen:
    """The object, seen from the manifest: an ETag that is the same is still what was uploaded."""
    if remote is None:
        return Seen.ABSENT
    if entry is None or entry.record.size_bytes != remote.size_bytes:
        return Seen.CHANGED
    said = entry.record.etag
    if said is None:
        return Seen.SAME if md5_of_etag(remote.etag) == (entry.record.md5 or "?") else Seen.CHANGED
    return Seen.SAME if said == remote.etag else Seen.CHANGED


def _quickly_alike(file: LocalFile, remote: RemoteObject, known: FileDigests | None) -> bool | None:
    if file.size_bytes != remote.size_bytes:
        return False
    md5 = md5_of_etag(remote.etag)
    return True if known is not None and md5 is not None and md5 == known.md5 else None


@dataclass(frozen=True, slots=True)
class Compared:
    """A sight, and the object as it was asked for it, if it was."""

    sight: Sight
    remote: RemoteObject | None
    head: ObjectHead | None = None


class Comparer:
    """Looks closer: at the file's bytes, and at the object. Safe to share between threads."""

    def __init__(self, store: Store, bucket: str, root: Path) -> None:
        self._store = store
        self._bucket = bucket
        self.root = root

    def look(self, row: KeyRow, digests: FileDigests | None) -> Compared:
        """What is seen of a key. `digests` are the file's; None if there is no file.

        Raises:
            SourceChangedError: The file changed since.
            StoreError: The object cannot be looked at.
        """
        local = _local(row.entry, row.file, digests, LocalCheck.CONTENT)
        sight = Sight(row.entry is not None, local or Seen.CHANGED, _remote(row.entry, row.remote))
        unsure = local is None and row.remote is not None
        if digests is None or row.remote is None or not (unsure or needs_comparison(sight)):
            return Compared(sight, row.remote)
        alike, head = self._alike(row, digests)
        remote = row.remote if head is None else RemoteObject(head.size_bytes, head.etag)
        if unsure and alike and sight.remote is Seen.SAME:
            return Compared(replace(sight, local=Seen.SAME), remote, head)
        if head is None and alike is None:
            gone = replace(sight, remote=Seen.ABSENT)
            return Compared(gone, None)
        return Compared(replace(sight, alike=bool(alike)), remote, head)

    def _alike(self, row: KeyRow, digests: FileDigests) -> tuple[bool | None, ObjectHead | None]:
        """Whether file and object have the same bytes; (None, None): the object is gone."""
        file, remote = row.file, row.remote
        assert file is not None
        assert remote is not None
        if digests.size_bytes != remote.size_bytes:
            return False, None
        md5 = md5_of_etag(remote.etag)
        if md5 == digests.md5:
            return True, None
        if md5 is None and remote.etag is not None:
            verdict = check_etag(
                lambda: open_local(self.root, file), digests.size_bytes, remote.etag
            )
            if verdict.outcome is EtagOutcome.SAME:
                return True, None
        try:
            head = self._store.head(self._bucket, row.key)
        except ObjectNotFoundError:
            return None, None
        return _head_says(head, digests), head


def _head_says(head: ObjectHead, digests: FileDigests) -> bool:
    """What the object says of its bytes. What nobody can say counts as different."""
    if head.size_bytes != digests.size_bytes:
        return False
    crc = head.checksums.get("crc64nvme")
    if crc is not None and digests.crc64nvme is not None:
        return crc == digests.crc64nvme
    sha256 = head.checksums.get("sha256")
    if sha256 is not None and "-" not in sha256:
        return b64decode(sha256).hex() == digests.sha256
    if md5_of_etag(head.etag) == digests.md5:
        return True
    return token_of(head.metadata) is not None and (
        head.metadata.get(SHA256_NAME) == digests.sha256
    )
