"""Work of `manifest list` and `manifest history`."""

from __future__ import annotations

from stocktake.cli._manifest_sets import info_json, place_of
from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._text import count_text, size_text, time_text
from stocktake.manifests import DatasetInfo, VersionInfo, list_datasets, open_dataset
from stocktake.model import display_key

_DATASETS = (
    Column("ID", flexible=True),
    Column("TITLE", flexible=True),
    Column("FILES", right=True),
    Column("SIZE", right=True),
    Column("SYNCED (UTC)"),
    Column("PLACE", flexible=True),
)
_VERSIONS = (
    Column("VERSION", right=True),
    Column("AT (UTC)"),
    Column("WHY"),
    Column("ADDED", right=True),
    Column("REPLACED", right=True),
    Column("DELETED", right=True),
    Column("FILES", right=True),
    Column("SIZE", right=True),
)


def show_datasets(run: Run) -> int:
    """Answer `manifest list`."""
    with run.open_catalog() as catalog:
        found = list_datasets(catalog.state)
        location = catalog.location
    if run.out.json:
        run.out.rows_document({}, map(info_json, found), "datasets")
        return 0
    if not run.out.table(_DATASETS, map(_dataset_row, found)):
        run.out.line("no datasets yet")
        run.out.note("make one: stocktake sync FOLDER s3://BUCKET/PREFIX/ --dataset ID")
    run.out.note(f"catalog {location}")
    return 0


def show_history(run: Run, dataset_id: str, limit: int) -> int:
    """Answer `manifest history`."""
    with run.open_catalog() as catalog:
        dataset = open_dataset(catalog.state, dataset_id)
        info = dataset.info()
        versions = dataset.history(limit=limit)
    if run.out.json:
        run.out.rows_document(
            {"dataset": info.id}, ({**_version_json(one)} for one in versions), "versions"
        )
        return 0
    if not run.out.table(_VERSIONS, map(_version_row, versions)):
        run.out.line(f"nothing was uploaded to `{info.id}` yet")
    if versions and versions[-1].version > 1:
        run.out.note(f"the newest {count_text(limit)} of {count_text(info.version)} versions")
    return 0


def _dataset_row(info: DatasetInfo) -> tuple[str, ...]:
    return (
        display_key(info.id),
        info.title,
        count_text(info.total_files),
        size_text(info.total_size_bytes),
        time_text(info.last_synced) if info.last_synced else "never",
        place_of(info),
    )


def _version_row(one: VersionInfo) -> tuple[str, ...]:
    return (
        str(one.version),
        time_text(one.at),
        one.reason.value,
        count_text(one.added),
        count_text(one.replaced),
        count_text(one.deleted),
        count_text(one.total_files),
        size_text(one.total_size_bytes),
    )


def _version_json(one: VersionInfo) -> dict[str, object]:
    return {
        "version": one.version,
        "at": one.at,
        "reason": one.reason.value,
        "added": one.added,
        "replaced": one.replaced,
        "deleted": one.deleted,
        "total_files": one.total_files,
        "total_size_bytes": one.total_size_bytes,
        "writer": one.writer,
        "run_id": one.run_id,
    }
