"""What merging a copy asks of the database, and of the copy itself."""

from __future__ import annotations

import hashlib

from stocktake.errors import ManifestFormatError
from stocktake.manifests._copy_object import RemoteCopy
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_rows import entry_of, select_entries
from stocktake.manifests._dataset_values import DatasetInfo, DeleteEntry, Edit, PutEntry
from stocktake.manifests._merge import Difference, Known, identity
from stocktake.manifests._record import UploadRecord
from stocktake.model import S3Url, display_key
from stocktake.state import dataset_entries


def edit_of(one: Difference) -> Edit:
    """What makes theirs ours, unless ours is another by then."""
    since = one.ours.since_version if one.ours is not None else None
    if one.theirs is not None:
        return PutEntry(one.theirs, since)
    assert since is not None  # what neither side has is no difference
    return DeleteEntry(one.s3_key, since)


def ended_since(dataset: Dataset, base: int) -> Known:
    """Tells of an upload whether it came into the dataset after the base and went again.

    Memory: a hash for each that did.
    """
    columns = dataset_entries.c
    query = select_entries(
        dataset.id, columns.since_version > base, columns.until_version.is_not(None)
    )
    with dataset.state.read() as connection:
        found = connection.execution_options(yield_per=1000).execute(query)
        ended = {_digest(entry_of(row).record) for row in found}
    return lambda record: _digest(record) in ended


def _digest(record: UploadRecord) -> bytes:
    text = repr((record.s3_key, identity(record)))
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).digest()


def check_about(remote: RemoteCopy, info: DatasetInfo, place: S3Url) -> None:
    """Refuse a copy that is about something else, or that would lose files if it were rewritten.

    Raises:
        ManifestFormatError: Another dataset's, or some of its files cannot be read.
    """
    spec = remote.manifest.spec
    said, meant = S3Url(spec.bucket, spec.prefix), S3Url(info.bucket, info.prefix)
    if spec.id != info.id or said != meant:
        raise ManifestFormatError(
            f"{place} is about dataset `{spec.id}` at {display_key(str(said))}, "
            f"not `{info.id}` at {display_key(str(meant))}",
            hint="to take its files over: stocktake manifest import",
        )
    if remote.manifest.left_out:
        notes = "; ".join(remote.manifest.notes)
        raise ManifestFormatError(
            f"{remote.manifest.left_out:,} files of {place} cannot be read: {notes}",
            hint="what can be read is taken by: stocktake manifest import; "
            "then delete the copy and push",
        )
