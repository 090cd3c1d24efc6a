"""Work of `manifest stats`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from stocktake.cli._manifest_sets import chosen, heading, place_of
from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._text import count_text, plural, size_text, time_text
from stocktake.manifests import Dataset, DatasetInfo, DatasetStats, Extreme, Share, find_version
from stocktake.model import display_key

_KINDS_SHOWN = 12
_SHARES = (
    Column("", flexible=True),
    Column("FILES", right=True),
    Column("SIZE", right=True),
    Column("SHARE", right=True),
)


def show_stats(run: Run, ids: Sequence[str], version: str, *, every: bool) -> int:
    """Answer `manifest stats`."""
    with run.open_catalog() as catalog:
        datasets = chosen(catalog.state, ids, every=every)
        if run.out.json:
            rows = (_json(one.id, _stats(one, version)) for one in datasets)
            run.out.rows_document({}, rows, "datasets")
            return 0
        for number, one in enumerate(datasets):
            if number:
                run.out.line()
            _show(run, one.info(), _stats(one, version))
        if not datasets:
            run.out.line("no datasets yet")
    return 0


def _stats(dataset: Dataset, version: str) -> DatasetStats:
    return dataset.stats(version=find_version(dataset, version))


def _show(run: Run, info: DatasetInfo, stats: DatasetStats) -> None:
    out = run.out
    out.line(heading(info))
    out.line(place_of(info))
    out.line(
        f"version {stats.version}: {plural(stats.files, 'file')}, {size_text(stats.size_bytes)}; "
        f"so far {count_text(stats.replacements)} replaced, {count_text(stats.deletions)} deleted"
    )
    for name, extreme in (
        ("largest", stats.largest),
        ("oldest", stats.oldest),
        ("newest", stats.newest),
    ):
        if extreme is not None:
            out.line(f"{name:<8} {_extreme_text(info, extreme)}")
    if stats.files:
        out.line()
        out.table(_titled("EXTENSION"), _share_rows(stats.by_extension, stats.size_bytes))
        out.line()
        out.table(_titled("PROVEN BY"), _share_rows(stats.by_verified_by, stats.size_bytes))


def _titled(title: str) -> tuple[Column, ...]:
    return (Column(title, flexible=True), *_SHARES[1:])


def _share_rows(shares: Mapping[str, Share], total_bytes: int) -> list[tuple[str, ...]]:
    named = list(shares.items())
    shown, rest = named[:_KINDS_SHOWN], [one for _, one in named[_KINDS_SHOWN:]]
    if rest:
        others = Share(sum(one.files for one in rest), sum(one.size_bytes for one in rest))
        shown.append((f"{len(rest)} others", others))
    return [
        (
            display_key(name) or "(none)",
            count_text(one.files),
            size_text(one.size_bytes),
            f"{100 * one.size_bytes / total_bytes:.1f} %" if total_bytes else "",
        )
        for name, one in shown
    ]


def _extreme_text(info: DatasetInfo, one: Extreme) -> str:
    name = display_key(one.s3_key.removeprefix(info.prefix))
    return f"{size_text(one.size_bytes):>10}  {time_text(one.uploaded_at)}  {name}"


def _json(dataset_id: str, stats: DatasetStats) -> dict[str, Any]:
    values = asdict(stats)
    for field, name in (("by_extension", "extension"), ("by_verified_by", "verified_by")):
        values[field] = [{name: kind, **share} for kind, share in values[field].items()]
    return {"id": dataset_id, **values}
