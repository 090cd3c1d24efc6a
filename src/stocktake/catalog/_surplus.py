"""Takes surplus rows out of a new snapshot's files before it is published.

Files are write-once, so a file with surplus rows is written again under another name. Most
snapshots have none and nothing is touched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._format import ObjectFile
from stocktake.catalog._import_ledger import ImportRun, PartRecord, replace_part
from stocktake.catalog._runs import RunWriter
from stocktake.catalog.engines._duckdb_fragments import quoted
from stocktake.catalog.engines._protocol import QueryLimits, SnapshotView
from stocktake.faults import reached
from stocktake.model import object_schema

Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

_REWRITE_TIMEOUT_S = 3600.0


def drop_surplus(
    catalog: Catalog, run: ImportRun, view: SnapshotView, records: dict[int, PartRecord]
) -> dict[int, PartRecord]:
    """The parts' records with every (key, version) once and one latest version per key.

    A file that is written again goes into the ledger at once, so that a later run goes on from it;
    the old one is left for the clean-up before publication.

    Args:
        catalog: The catalog.
        run: The import.
        view: The files of the records, in the order of their parts.
        records: What is known of each part, by index.
    """
    owners = [index for index in sorted(records) if records[index].file is not None]
    groups = [
        view.manifest.files[at].row_groups[group]
        for at, index in enumerate(owners)
        for group in records[index].repeats
    ]
    surplus: dict[int, list[pa.Table]] = {}
    for table in catalog.engine.find_surplus(view, groups):
        files = table.column("file_index").to_numpy()
        for at in np.unique(files):
            surplus.setdefault(int(at), []).append(table.filter(pa.array(files == at)))
    cleaned = dict(records)
    for at, tables in surplus.items():
        index = owners[at]
        cleaned[index] = _without(catalog, run, view, at, records[index], pa.concat_tables(tables))
        reached("import.surplus-written")
        replace_part(catalog, run, index, cleaned[index])
        reached("import.surplus-recorded")
    return cleaned


def _without(
    catalog: Catalog,
    run: ImportRun,
    view: SnapshotView,
    at: int,
    record: PartRecord,
    surplus: pa.Table,
) -> PartRecord:
    drop = surplus.column("drop").to_numpy()
    tally = replace(
        record.tally,
        duplicates=int(drop.sum()),
        duplicates_differing=int((drop & surplus.column("differs").to_numpy()).sum()),
        demoted_latest=int((~drop).sum()),
    )
    file = _rewrite(catalog, run, view, at, surplus)
    return replace(record, tally=tally, file=file if file.rows else None, repeats=())


def _rewrite(
    catalog: Catalog, run: ImportRun, view: SnapshotView, index: int, surplus: pa.Table
) -> ObjectFile:
    file = view.manifest.files[index]
    schema = object_schema(view.manifest.header.columns)
    drop = surplus.column("drop").to_numpy()
    rows = surplus.column("row_number").to_numpy()
    name = f"{file.name.removesuffix('.parquet')}-once-{run.fence}.parquet"
    path = f"{run.folder}/{name}"
    statement = (
        f"SELECT {', '.join(quoted(name) for name in schema.names)}, file_row_number FROM "
        "read_parquet(?, hive_partitioning=false, file_row_number=true)"
    )
    limits = QueryLimits(rows_max=file.rows, timeout_s=_REWRITE_TIMEOUT_S)
    with catalog.files.create(path) as sink, RunWriter(sink, schema) as writer:
        for batch in catalog.engine.query(statement, [[view.paths[index]]], limits):
            at = batch.column("file_row_number").to_numpy()
            cleaned = _cleaned(batch, np.isin(at, rows[drop]), np.isin(at, rows[~drop]))
            writer.add(pa.RecordBatch.from_arrays(cleaned.columns[:-1], schema=schema))
        written = writer.close()
    if not written.rows:
        return ObjectFile(name, 0, 0, "", "", ())
    return written.to_file(name, catalog.files.size_bytes(path))


def _cleaned(batch: pa.RecordBatch, drop: Mask, demote: Mask) -> pa.RecordBatch:
    if demote.any():
        latest = batch.column("is_latest").to_numpy(zero_copy_only=False) & ~demote
        at = batch.schema.get_field_index("is_latest")
        batch = batch.set_column(at, batch.schema.field(at), pa.array(latest, pa.bool_()))
    return batch.filter(pa.array(~drop)) if drop.any() else batch
