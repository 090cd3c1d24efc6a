"""Work of `manifest show`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from stocktake.cli._manifest_sets import heading, place_of
from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._text import count_text, plural, size_text, time_text
from stocktake.manifests import (
    Dataset,
    DatasetInfo,
    Entry,
    file_values,
    find_version,
    head_values,
    open_dataset,
    version_info,
)
from stocktake.model import display_key

_LIMIT_FOR_PEOPLE = 100
_FILES = (
    Column("FILE", flexible=True),
    Column("SIZE", right=True),
    Column("UPLOADED (UTC)"),
    Column("PROVEN BY"),
    Column("SINCE", right=True),
)


@dataclass(frozen=True, slots=True)
class ShowRequest:
    """What `manifest show` is asked for."""

    dataset_id: str
    version: str
    under: str
    limit: int | None


def show_manifest(run: Run, request: ShowRequest) -> int:
    """Answer `manifest show`."""
    with run.open_catalog() as catalog:
        dataset = open_dataset(catalog.state, request.dataset_id)
        info = version_info(dataset, find_version(dataset, request.version))
        entries = _entries(dataset, info, request)
        if run.out.json:
            files = (file_values(info, one.record) for one in entries)
            run.out.rows_document(head_values(info), files, "files")
            return 0
        _for_people(run, info, entries, request)
    return 0


def _entries(dataset: Dataset, info: DatasetInfo, request: ShowRequest) -> Iterator[Entry]:
    under = request.under.removeprefix(info.prefix) if info.prefix else request.under
    return islice(dataset.entries(prefix=info.prefix + under, version=info.version), request.limit)


def _for_people(
    run: Run, info: DatasetInfo, entries: Iterator[Entry], request: ShowRequest
) -> None:
    out = run.out
    out.line(heading(info))
    out.line(place_of(info))
    what = f"{plural(info.total_files, 'file')}, {size_text(info.total_size_bytes)}"
    synced = f"synchronised {time_text(info.last_synced)} UTC" if info.last_synced else "not synced"
    out.line(f"version {info.version}: {what}, {synced}")
    out.line()
    limit = request.limit or _LIMIT_FOR_PEOPLE
    shown = out.table(_FILES, (_row(info, one) for one in islice(entries, limit)))
    if shown == 0:
        out.line("no files" if info.total_files == 0 else f"no files below `{request.under}`")
    if next(entries, None) is not None or (shown == limit < info.total_files and not request.under):
        out.note(f"the first {count_text(limit)} files; --limit shows more")


def _row(info: DatasetInfo, one: Entry) -> tuple[str, ...]:
    record = one.record
    return (
        display_key(record.s3_key.removeprefix(info.prefix)),
        size_text(record.size_bytes),
        time_text(record.uploaded_at),
        record.verified_by,
        str(one.since_version),
    )
