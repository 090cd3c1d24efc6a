"""Pages of a listing as Arrow columns: for whoever lists millions of keys.

A store that can parse its answers straight into columns implements `ArrowPages`; every other store
is asked for a page of rows, which are turned into columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from stocktake.model import object_schema
from stocktake.store._port import ListedObject, ListQuery, Store

_CURRENT_COLUMNS = (
    "key",
    "size_bytes",
    "last_modified",
    "etag",
    "storage_class",
    "checksum_algorithm",
)
_VERSION_COLUMNS = (*_CURRENT_COLUMNS, "version_id", "is_latest", "is_delete_marker")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

CURRENT_SCHEMA: pa.Schema = object_schema(_CURRENT_COLUMNS)
VERSIONS_SCHEMA: pa.Schema = object_schema(_VERSION_COLUMNS)


@dataclass(frozen=True, slots=True)
class KeyPage:
    """One page of a listing.

    Attributes:
        rows: Schema `listed_schema(versions=...)`, in the order of the answer.
        prefixes: Common prefixes, if a delimiter was asked for.
        next_token: None on the last page.
    """

    rows: pa.RecordBatch
    prefixes: tuple[str, ...] = ()
    next_token: str | None = None


@runtime_checkable
class ArrowPages(Protocol):
    """A store that reads pages straight into columns."""

    def list_columns(self, query: ListQuery) -> KeyPage:
        """As `Store.list_page`, with the same errors and retries."""


@runtime_checkable
class SingleTries(Protocol):
    """A store that leaves trying again to whoever asks."""

    def list_columns_once(self, query: ListQuery) -> KeyPage:
        """As `list_columns`, but what fails is raised at once, also if `retryable`."""


def listed_schema(*, versions: bool) -> pa.Schema:
    """The columns that a listing has, in their order."""
    return VERSIONS_SCHEMA if versions else CURRENT_SCHEMA


def read_key_page(store: Store, query: ListQuery) -> KeyPage:
    """One page as columns, from any store."""
    if isinstance(store, ArrowPages):
        return store.list_columns(query)
    page = store.list_page(query)
    schema = listed_schema(versions=query.versions)
    return KeyPage(rows_to_batch(page.objects, schema), page.prefixes, page.next_token)


def read_key_page_once(store: Store, query: ListQuery) -> KeyPage:
    """As `read_key_page`, for callers that retry and slow down themselves.

    A store of rows only retries as it always does: then its last error comes later.
    """
    if isinstance(store, SingleTries):
        return store.list_columns_once(query)
    return read_key_page(store, query)


def rows_to_batch(rows: tuple[ListedObject, ...] | list[ListedObject], schema: pa.Schema) -> Any:
    """Listed objects as a record batch of the schema."""
    columns: list[Any] = []
    for field in schema:
        values: list[Any] = [getattr(row, field.name) for row in rows]
        if field.name == "last_modified":
            values = [None if value is None else (value - _EPOCH) // _MS for value in values]
        columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
