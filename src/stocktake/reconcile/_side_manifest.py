"""A dataset's manifest as a side: what we know to have uploaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

import pyarrow as pa

from stocktake.manifests import Dataset, Entry, UploadRecord
from stocktake.model import S3Url, normalise_etag
from stocktake.reconcile._proof import HEADS_MAX, Heads, KnownDigests, Look, prove_pair
from stocktake.reconcile._side import SIDE_ROW, Pair, Proof, Same, SideFacts, SideKind
from stocktake.reconcile._side_rows import RowCount

BATCH_ROWS = 10_000


class ManifestSide:
    """The entries of one version of a manifest, the one there is when the side is made."""

    def __init__(
        self,
        dataset: Dataset,
        *,
        version: int | None = None,
        look: Look | None = None,
        trust_etags: bool = False,
        heads_max: int = HEADS_MAX,
    ) -> None:
        """Nothing is read but the dataset's own row.

        Args:
            dataset: Whose manifest.
            version: An earlier one.
            look: HEAD of the other side's object by the key of an entry here.
            trust_etags: Nothing there is encrypted by KMS or the customer.
            heads_max: At most so many HEAD requests.

        Raises:
            DatasetNotFoundError: It was forgotten, or has no such version.
        """
        info = dataset.info()
        self._dataset = dataset
        self._prefix = info.prefix
        self._version = info.version if version is None else version
        self._trust_etags = trust_etags
        self._heads = Heads(look, heads_max)
        self._facts = SideFacts(
            SideKind.MANIFEST,
            f"manifest of {info.id}, version {self._version}",
            _as_of(dataset, self._version),
            objects_at=S3Url(info.bucket, info.prefix),
            notes=() if self._version else ("the manifest is empty: nothing was ever uploaded",),
        )

    @property
    def facts(self) -> SideFacts:
        """As of the last sync, or of the version if that is later or an earlier one is meant."""
        asked = self._heads.asked
        return replace(self._facts, requests={"HEAD": asked} if asked else None)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read it, page by page."""
        count = RowCount()
        found = self._dataset.entries(version=self._version)
        while entries := list(islice(found, BATCH_ROWS)):
            rows = _rows(entries, len(self._prefix))
            count.add(rows)
            self._facts = replace(self._facts, objects=count.objects, size_bytes=count.size_bytes)
            yield rows

    def prove(self, pairs: Sequence[Pair]) -> list[Proof]:
        """By what was proven when it was uploaded."""
        return [self._prove(pair) for pair in pairs]

    def _prove(self, pair: Pair) -> Proof:
        entry = self._dataset.find(self._prefix + pair.key, version=self._version)
        if entry is None:
            return Proof(Same.UNKNOWN, "the manifest was forgotten while it was compared")
        known = _known(entry.record)
        return prove_pair(pair, known, self._heads, trust_etags=self._trust_etags)


def _known(record: UploadRecord) -> KnownDigests:
    return KnownDigests(record.md5, record.sha256, record.crc64nvme)


def _as_of(dataset: Dataset, version: int) -> datetime:
    """When the version was made; the one there is now also holds as of the last sync."""
    info = dataset.info()
    at = info.created_at
    for one in dataset.history(limit=None if version != info.version else 1):
        if one.version == version:
            at = one.at
            break
    if version == info.version and info.last_synced is not None:
        at = max(at, info.last_synced)
    return at


def _rows(entries: Sequence[Entry], skip: int) -> pa.RecordBatch:
    records = [entry.record for entry in entries]
    columns = {
        "key": [one.s3_key[skip:] for one in records],
        "size_bytes": [one.size_bytes for one in records],
        "last_modified": [one.uploaded_at.astimezone(UTC).replace(tzinfo=None) for one in records],
        "etag": [normalise_etag(one.etag) for one in records],
        "md5": [one.md5 for one in records],
        "sha256": [one.sha256 for one in records],
    }
    arrays = []
    for field in SIDE_ROW:
        values = columns.get(field.name, [None] * len(records))
        if field.name == "last_modified":
            arrays.append(pa.array(values, pa.timestamp("us")).cast(field.type, safe=False))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=SIDE_ROW)
