"""The seam between stores that write reports: layout, manifest, columns and key encoding.

Everything that differs between makers of inventory reports is asked of one `Dialect`. There is one
today: the AWS layout, read tolerantly enough for the stores that imitate it. Another maker (Google
Storage Insights, an S3 Metadata table) is another implementation of these five questions.

Source: `docs/formats/report.md`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Protocol

from stocktake.inventory._address import ReportAddress, parse_stamp
from stocktake.inventory._manifest import Manifest, parse_manifest
from stocktake.inventory._options import KeyEncoding

_ORC_FIELD = re.compile(r"[<,]\s*(\w+)\s*:")
_PARQUET_FIELD = re.compile(r"(?:required|optional)\s+\w+\s+(\w+)")


class Dialect(Protocol):
    """How one maker of reports lays them out and spells them."""

    def base_prefixes(self, address: ReportAddress) -> tuple[str, ...]:
        """Key prefixes that the dated folders may be under, likeliest first."""

    def stamp_of(self, folder_name: str) -> datetime | None:
        """The instant of a delivery's folder; None if the folder is something else."""

    def manifest(self, data: bytes, *, where: str, allow_missing_md5: bool) -> Manifest:
        """The manifest that these bytes are."""

    def column_names(self, manifest: Manifest) -> tuple[str, ...]:
        """The report's names of its columns, in file order, as far as the manifest tells."""

    def key_encoding(self, wanted: KeyEncoding) -> KeyEncoding:
        """How keys of CSV parts are read; never `auto`."""


class AwsDialect:
    """Amazon S3 Inventory, and the stores that write the same tree."""

    def base_prefixes(self, address: ReportAddress) -> tuple[str, ...]:
        """`p/src/id/` as given, then the spelling that a trailing slash of Prefix makes (`p//`)."""
        bare = address.prefix.rstrip("/")
        spellings = [address.prefix, bare, f"{bare}/"] if bare else [address.prefix]
        tail = f"{address.source_bucket}/{address.config_id}/"
        return tuple(dict.fromkeys(f"{lead}/{tail}" if lead else tail for lead in spellings))

    def stamp_of(self, folder_name: str) -> datetime | None:
        """`2025-06-02T01-00Z`, the minute at which the scan began."""
        return parse_stamp(folder_name)

    def manifest(self, data: bytes, *, where: str, allow_missing_md5: bool) -> Manifest:
        """Version 2016-11-30, the only one there is."""
        return parse_manifest(data, where=where, allow_missing_md5=allow_missing_md5)

    def column_names(self, manifest: Manifest) -> tuple[str, ...]:
        """A list for CSV, `struct<...>` for ORC, `message {...}` for Parquet.

        The last two are only a fallback for reports without rows: the parts' footers know better.
        """
        schema = manifest.file_schema.strip()
        if schema.startswith("struct<"):
            return tuple(_ORC_FIELD.findall(schema))
        if schema.startswith("message"):
            return tuple(_PARQUET_FIELD.findall(schema))
        return tuple(name.strip() for name in schema.split(","))

    def key_encoding(self, wanted: KeyEncoding) -> KeyEncoding:
        """AWS encodes as HTML forms do: a space is a plus."""
        return KeyEncoding.FORM if wanted is KeyEncoding.AUTO else wanted


AWS: Dialect = AwsDialect()
