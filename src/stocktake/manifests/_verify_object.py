"""One object held against its record: by what HEAD says of it, or by its bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stocktake.errors import (
    ArchivedObjectError,
    BucketNotFoundError,
    CredentialsError,
    ObjectNotFoundError,
    StoreError,
    WrongRegionError,
)
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._verify_bytes import ByteCheck, Expected
from stocktake.manifests._verify_values import Damage, VerifyFinding
from stocktake.store import ObjectHead, Store, token_of

PIECE_BYTES = 1 << 20
NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one object. `error` if the store did not say."""

    finding: VerifyFinding | None = None
    proven: bool = True
    error: StoreError | None = None


class ObjectChecker:
    """Looks at objects. Safe to use from several threads.

    Args:
        store: Where they are.
        bucket: The dataset's.
        read: Read the bytes; else only ask.
        advance: Is told of bytes that were looked at; what it raises ends it.
    """

    def __init__(
        self, store: Store, bucket: str, *, read: bool, advance: Callable[[int], None]
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._read = read
        self._advance = advance

    def check(self, record: UploadRecord) -> Checked:
        """Hold an object against its record.

        Raises:
            CredentialsError, BucketNotFoundError, WrongRegionError: No other will be seen either.
        """
        try:
            return self._by_bytes(record) if self._read else self._by_head(record)
        except (CredentialsError, BucketNotFoundError, WrongRegionError):
            raise
        except ObjectNotFoundError:
            return Checked(missing(record, self._known_by))
        except ArchivedObjectError as error:
            expected = f"{record.size_bytes:,} bytes"
            what = Damage.ARCHIVED
            return Checked(VerifyFinding(record.s3_key, what, expected, error.message, "bytes"))
        except StoreError as error:
            what = Damage.UNREADABLE
            found = VerifyFinding(record.s3_key, what, "", error.message, self._known_by)
            return Checked(found, error=error)

    @property
    def _known_by(self) -> str:
        return "bytes" if self._read else "head"

    def _by_head(self, record: UploadRecord) -> Checked:
        head = self._store.head(self._bucket, record.s3_key)
        self._advance(1)
        crc = head.checksums.get("crc64nvme")
        if head.size_bytes != record.size_bytes:
            return Checked(other_size(record, head.size_bytes, "head"))
        same: bool | None = None
        if crc is not None and record.crc64nvme is not None:
            same = crc == record.crc64nvme
            if not same:
                return Checked(_found(record, Damage.CHECKSUM, record.crc64nvme, crc, "head"))
        if same is None and None not in {record.etag, head.etag} and record.etag != head.etag:
            return Checked(_found(record, Damage.ETAG, str(record.etag), str(head.etag), "head"))
        vouched = same is not None or (record.etag is not None and record.etag == head.etag)
        return Checked(_rewritten(record, head, "head"), proven=vouched)

    def _by_bytes(self, record: UploadRecord) -> Checked:
        check = ByteCheck(Expected.of(record))
        with self._store.get(self._bucket, record.s3_key) as body:
            if body.head.size_bytes != record.size_bytes:
                return Checked(other_size(record, body.head.size_bytes, "bytes"))
            while piece := body.read(PIECE_BYTES):
                check.update(piece)
                self._advance(len(piece))
            head = body.head
        verdict = check.verdict
        if verdict.same is False:
            what = Damage.SIZE if verdict.by == "size" else Damage.CHECKSUM
            expected, found = f"{verdict.by} {verdict.expected}", f"{verdict.by} {verdict.found}"
            return Checked(_found(record, what, expected, found, "bytes"))
        if (
            verdict.same is None
            and None not in {record.etag, head.etag}
            and (record.etag != head.etag)
        ):
            return Checked(_found(record, Damage.ETAG, str(record.etag), str(head.etag), "bytes"))
        return Checked(_rewritten(record, head, "bytes"), proven=verdict.same is True)


def missing(record: UploadRecord, known_by: str) -> VerifyFinding:
    """The finding of an object or file that is not there."""
    expected = f"{record.size_bytes:,} bytes"
    return _found(record, Damage.MISSING, expected, NOTHING, known_by)


def other_size(record: UploadRecord, found_bytes: int, known_by: str) -> VerifyFinding:
    """The finding of an object or file of another size."""
    expected, found = f"{record.size_bytes:,} bytes", f"{found_bytes:,} bytes"
    return _found(record, Damage.SIZE, expected, found, known_by)


def _rewritten(record: UploadRecord, head: ObjectHead, known_by: str) -> VerifyFinding | None:
    """The same bytes, but not the upload that the manifest is about."""
    if record.token and token_of(head.metadata) != record.token:
        found = token_of(head.metadata) or "no token"
        return _found(record, Damage.CHANGED, f"token {record.token}", found, known_by)
    pairs = (
        ("version", record.version_id, head.version_id),
        ("ETag", record.etag, head.etag),
    )
    for name, expected, found_now in pairs:
        if expected is not None and found_now is not None and expected != found_now:
            expected_text, found = f"{name} {expected}", f"{name} {found_now}"
            return _found(record, Damage.CHANGED, expected_text, found, known_by)
    return None


def _found(
    record: UploadRecord, what: Damage, expected: str, found: str, known_by: str
) -> VerifyFinding:
    return VerifyFinding(record.s3_key, what, expected, found, known_by)
