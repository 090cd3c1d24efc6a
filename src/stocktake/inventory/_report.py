"""One delivery of an inventory report, opened and checked: a source that can become a snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

import pyarrow.compute as pc

from stocktake.errors import KeyEncodingError, ObjectNotFoundError, ReportChangedError
from stocktake.inventory._columnar_part import read_columnar_part
from stocktake.inventory._csv_part import read_csv_part
from stocktake.inventory._fetch import FetchedManifest
from stocktake.inventory._key_probe import PROBES_MAX, is_ambiguous, settle_key_encoding
from stocktake.inventory._layout import CsvLayout
from stocktake.inventory._manifest import Manifest, ReportFormat
from stocktake.inventory._options import KeyEncoding, ReadOptions
from stocktake.inventory._part_access import PartAccess
from stocktake.inventory._part_stream import PartStream
from stocktake.model import Block, PartRef, PartTally, S3Url, SourceHeader
from stocktake.store import Store


@dataclass(frozen=True, slots=True)
class OpenedReport:
    """Everything that was found out when a report was opened.

    Attributes:
        header: What it says about itself.
        manifest: Parsed.
        manifest_url: Where manifest.json is.
        fetched: The manifest as it was fetched, to notice a later change.
        columns: The report's names of its columns, in file order.
        key_encoding: How CSV keys are read.
        accesses: One per part, in the manifest's order.
        options: How to read.
        warnings: What was odd and tolerated.
    """

    header: SourceHeader
    manifest: Manifest
    manifest_url: S3Url
    fetched: FetchedManifest
    columns: tuple[str, ...]
    key_encoding: KeyEncoding
    accesses: tuple[PartAccess, ...]
    options: ReadOptions
    warnings: tuple[str, ...]


class Report:
    """An opened inventory report; a `SnapshotSource`. Made by `open_report`.

    Safe to share between threads: each `read` opens its own connection.
    """

    def __init__(self, store: Store, opened: OpenedReport) -> None:
        self._store = store
        self._opened = opened

    @property
    def header(self) -> SourceHeader:
        """What the report says about itself; `identity` is the MD5 of its manifest."""
        return self._opened.header

    @property
    def manifest(self) -> Manifest:
        """The parsed manifest.json."""
        return self._opened.manifest

    @property
    def manifest_url(self) -> S3Url:
        """Where manifest.json is."""
        return self._opened.manifest_url

    @property
    def options(self) -> ReadOptions:
        """How it is read."""
        return self._opened.options

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was odd and tolerated, in words for people; also of parts that were read since."""
        moved = [access.warning for access in self._opened.accesses if access.warning]
        return (*self._opened.warnings, *moved[:1])

    @property
    def size_bytes(self) -> int:
        """Stored bytes of all parts."""
        return self._opened.manifest.size_bytes

    def parts(self) -> tuple[PartRef, ...]:
        """Every part, in the manifest's order."""
        return tuple(access.part for access in self._opened.accesses)

    def read(self, part: PartRef, tally: PartTally) -> Generator[Block, None, None]:
        """The rows of one part, in its order; they count once the iterator has ended.

        CSV blocks come before the part's MD5 is known: if it turns out wrong, the iterator raises
        and the caller drops what it took. Memory: about 20 MB for CSV; for ORC and Parquet up to
        100 MB, see `_columnar_part`.

        Raises:
            PartCorruptError: Size, MD5, gzip or structure is wrong. Read it again once if it is
                `retryable`.
            PartBombError: It inflates beyond every plausible ratio.
            ReportExpiredError: It is gone.
            AccessDeniedError: s3:GetObject or kms:Decrypt is missing.
            StoreError: The store failed.
        """
        opened = self._opened
        access = opened.accesses[part.index]
        if opened.manifest.file_format is ReportFormat.CSV:
            yield from self._read_csv(access, tally)
        else:
            yield from read_columnar_part(
                access,
                opened.manifest.file_format,
                opened.header.columns,
                tally,
                buffer_bytes_max=opened.options.buffer_bytes_max,
            )
        if access.warning:
            tally.warnings.append(access.warning)

    def with_key_encoding(self, encoding: KeyEncoding) -> Report:
        """The same CSV report, its keys read in another way (after `settle_key_encoding`)."""
        opened = self._opened
        if opened.manifest.file_format is not ReportFormat.CSV:
            return self
        attrs = {**opened.header.attrs, "key_encoding": encoding.value}
        header = replace(opened.header, attrs=attrs)
        return Report(self._store, replace(opened, header=header, key_encoding=encoding))

    def plus_key_samples(self, count: int = PROBES_MAX) -> tuple[str, ...]:
        """The first raw CSV keys with a bare `+`, for `settle_key_encoding`. Reads until found."""
        raw = self.with_key_encoding(KeyEncoding.NONE)
        samples: list[str] = []
        for part in raw.parts():
            with closing(raw.read(part, PartTally())) as blocks:
                for block in blocks:
                    keys = block.rows.column("key")
                    samples += keys.filter(pc.match_substring(keys, "+")).to_pylist()
                    if len(samples) >= count:
                        return tuple(samples[:count])
        return tuple(samples)

    def recheck(self, found: PartTally | None = None) -> None:
        """Make sure that the manifest is still the one that was opened. One HEAD, or one GET.

        If the key encoding was left open and `found` shows both `%20` and bare `+`, the bucket is
        asked which reading of a few keys exists.

        Raises:
            ReportChangedError: It was rewritten or removed.
            KeyEncodingError: The keys are percent-encoded, and were read as form-encoded.
        """
        self._check_manifest()
        opened = self._opened
        guessed = opened.options.key_encoding is KeyEncoding.AUTO
        if found is None or not guessed or opened.key_encoding is not KeyEncoding.FORM:
            return
        if is_ambiguous(found.plus_keys, found.percent20_keys):
            self._check_key_encoding()

    def _check_key_encoding(self) -> None:
        header = self.header
        verdict = settle_key_encoding(self._store, header.bucket, self.plus_key_samples())
        if verdict.encoding is KeyEncoding.PERCENT:
            raise KeyEncodingError(
                f"the keys of {header.source_name} are percent-encoded, a `+` is a plus: "
                f"{verdict.reason}",
                hint="import it again with --key-encoding percent",
                encoding=verdict.encoding.value,
            )

    def _check_manifest(self) -> None:
        url, fetched = self._opened.manifest_url, self._opened.fetched
        try:
            head = self._store.head(url.bucket, url.key)
            if head.etag is not None and head.etag == fetched.etag:
                return
            with self._store.get(url.bucket, url.key) as body:
                md5 = hashlib.md5(body.read(), usedforsecurity=False).hexdigest()
        except ObjectNotFoundError as error:
            raise ReportChangedError(f"{url} was removed meanwhile", url=str(url)) from error
        if md5 != fetched.md5:
            raise ReportChangedError(f"{url} was rewritten meanwhile", url=str(url), md5=md5)

    def _read_csv(self, access: PartAccess, tally: PartTally) -> Generator[Block, None, None]:
        opened = self._opened
        layout = CsvLayout.of(
            opened.columns,
            bucket=opened.header.bucket,
            part_name=access.part.name,
            key_encoding=opened.key_encoding.value,
            keep_acl=opened.options.keep_acl,
        )
        with access.open() as body:
            stream = PartStream(body, access.part, tally)
            yield from read_csv_part(cast("BinaryIO", stream), layout, tally)
            stream.finish()
