"""A snapshot as an Apache Iceberg table: its Parquet files are registered, not copied.

Every publication replaces the files of the one before in one Iceberg snapshot, so that Spark,
Trino, Athena and DuckDB see the newest and can travel to the older ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._snapshots import Snapshot, describe_snapshot, pin_snapshot
from stocktake.clock import format_utc
from stocktake.errors import CatalogError, InvalidQueryError, MissingExtraError
from stocktake.model import object_schema

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog as IcebergCatalog
    from pyiceberg.table import Table

DEFAULT_NAME = "stocktake"
"""The Iceberg catalog's name if its properties do not say another."""

SNAPSHOT_PROPERTY = "stocktake.snapshot-id"


def publish_iceberg(
    catalog: Catalog,
    snapshot: Snapshot,
    *,
    iceberg_catalog: Mapping[str, str],
    table: str,
) -> str:
    """Make a snapshot the current state of an Iceberg table; returns its metadata file.

    The table has every row of the snapshot's files: where there are versions, all of them. It is
    made if it is not there, and grows columns that it lacks. Publishing the same snapshot again
    changes nothing. The snapshot is pinned, since the table needs its files; for the same reason
    the table is made with `gc.enabled=false`.

    Args:
        catalog: The catalog.
        snapshot: What to publish.
        iceberg_catalog: PyIceberg's properties of the Iceberg catalog (`type`, `uri`, ..., and
            `name`, under which its configuration files and other readers know it).
        table: `namespace.name`.

    Raises:
        MissingExtraError: PyIceberg is not installed.
        InvalidQueryError: Not a table name, or the snapshot has no rows.
        CatalogError: The Iceberg catalog or table refuses.
    """
    namespace, _, name = table.rpartition(".")
    if not namespace or not name:
        raise InvalidQueryError(
            f"`{table}` is not an Iceberg table name", hint="write namespace.name"
        )
    paths = _data_files(catalog, snapshot)
    if not paths:
        raise InvalidQueryError(f"{describe_snapshot(snapshot)} has no rows to publish")
    iceberg = _load(iceberg_catalog)
    pin_snapshot(catalog, snapshot)
    target = _table(iceberg, namespace, table, object_schema(snapshot.manifest.header.columns))
    return _replace_files(target, snapshot, paths)


def _data_files(catalog: Catalog, snapshot: Snapshot) -> list[str]:
    local = "" if catalog.location.startswith("s3://") else "file://"
    return [
        f"{local}{catalog.location}/{snapshot.path}/{file.name}" for file in snapshot.manifest.files
    ]


def _load(properties: Mapping[str, str]) -> IcebergCatalog:
    try:
        from pyiceberg.catalog import load_catalog
        from pyiceberg.exceptions import NotInstalledError
    except ImportError as error:
        raise MissingExtraError(
            "Iceberg support is not installed",
            hint="pip install 'stocktake[iceberg]'",
            extra="iceberg",
        ) from error
    try:
        # some Iceberg catalogs keep tables apart by the name they are opened under
        rest = dict(properties)
        return load_catalog(rest.pop("name", DEFAULT_NAME), **rest)
    except NotInstalledError as error:
        raise MissingExtraError(f"the Iceberg catalog needs more: {error}") from error
    except Exception as error:
        # boundary: catalogs of many kinds behind one door, each with its own exceptions
        raise _refused("the Iceberg catalog cannot be opened", error) from error


def _table(iceberg: IcebergCatalog, namespace: str, name: str, schema: pa.Schema) -> Table:
    try:
        iceberg.create_namespace_if_not_exists(namespace)
        table = iceberg.create_table_if_not_exists(
            name, schema=schema, properties={"gc.enabled": "false"}
        )
        with table.update_schema() as update:
            update.union_by_name(schema)
    except Exception as error:
        # boundary: catalogs of many kinds behind one door, each with its own exceptions
        raise _refused(f"the Iceberg table `{name}` cannot be made ready", error) from error
    return table


def _replace_files(table: Table, snapshot: Snapshot, paths: list[str]) -> str:
    current = table.current_snapshot()
    summary = current.summary if current is not None else None
    if summary is not None and summary.additional_properties.get(SNAPSHOT_PROPERTY) == snapshot.id:
        return str(table.metadata_location)
    properties = {
        SNAPSHOT_PROPERTY: snapshot.id,
        "stocktake.source": snapshot.source_name,
        "stocktake.as-of": format_utc(snapshot.as_of),
    }
    try:
        with table.transaction() as transaction:
            if current is not None:
                transaction.delete("true", snapshot_properties=properties)
            transaction.add_files(
                paths, snapshot_properties=properties, check_duplicate_files=False
            )
    except Exception as error:
        # boundary: catalogs of many kinds behind one door, each with its own exceptions
        raise _refused("the Iceberg table refuses the files", error) from error
    return str(table.metadata_location)


def _refused(what: str, error: Exception) -> CatalogError:
    cause = " ".join(str(error).split()) or type(error).__name__
    return CatalogError(f"{what}: {cause}", cause=type(error).__name__)
