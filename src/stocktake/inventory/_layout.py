"""How the text columns of one CSV report map to the object record.

>>> CsvLayout.of(("Bucket", "Key", "ETag"), bucket="photos", part_name="p.csv.gz").columns
('bucket', 'key', 'etag')
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stocktake.errors import ManifestInvalidError
from stocktake.model import canonical_column, object_schema

ACL_COLUMN = "extra_object_access_control_list"
"""Up to 15 KB of base64 per row: left out unless it is asked for."""


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """What a CSV part looks like and what is wanted of it.

    Attributes:
        report_names: Column names as the report writes them, in file order (a header row, if there
            is one, says the same).
        columns: Our names of the same columns in the same order; `bucket` may be among them.
        output: The columns to deliver, in the order of `object_schema`.
        key_encoding: `form` (`+` is a space), `percent` or `none`; never `auto`.
        bucket: The source bucket: the value of a `bucket` column.
        part_name: The object key of the part, for messages.
    """

    report_names: tuple[str, ...]
    columns: tuple[str, ...]
    output: tuple[str, ...]
    key_encoding: str
    bucket: str
    part_name: str

    @classmethod
    def of(
        cls,
        report_names: Iterable[str],
        *,
        bucket: str,
        part_name: str,
        key_encoding: str = "form",
        keep_acl: bool = False,
    ) -> CsvLayout:
        """The layout of these columns. Raises `ManifestInvalidError` as `canonical_columns`."""
        names = tuple(report_names)
        columns = canonical_columns(names)
        return cls(
            report_names=names,
            columns=columns,
            output=delivered_columns(columns, keep_acl=keep_acl),
            key_encoding=key_encoding,
            bucket=bucket,
            part_name=part_name,
        )


def canonical_columns(report_names: Iterable[str]) -> tuple[str, ...]:
    """Our names of a report's columns, in the report's order.

    Raises:
        ManifestInvalidError: An empty name, a column twice (also in two spellings), or no key.
    """
    columns: list[str] = []
    for name in report_names:
        column = canonical_column(name)
        if not name.strip():
            raise ManifestInvalidError("the report's schema has a column without a name")
        if column in columns:
            raise ManifestInvalidError(
                f"the report's schema has column `{name}` twice", column=name
            )
        columns.append(column)
    if "key" not in columns:
        raise ManifestInvalidError("the report's schema has no Key column", columns=tuple(columns))
    return tuple(columns)


def delivered_columns(columns: Iterable[str], *, keep_acl: bool = False) -> tuple[str, ...]:
    """Those of our columns that batches carry, in the order of `object_schema`."""
    wanted = [name for name in columns if name != "bucket" and (keep_acl or name != ACL_COLUMN)]
    return tuple(object_schema(wanted).names)
