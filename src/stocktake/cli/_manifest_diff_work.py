"""Work of `manifest diff` and `manifest log`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._text import count_text, plural, signed_size_text, size_text, time_text
from stocktake.manifests import (
    Dataset,
    DatasetInfo,
    Entry,
    FileEvent,
    file_values,
    find_version,
    open_dataset,
    read_events,
)
from stocktake.model import display_key

EXIT_DIFFERENCES = 4
_CHANGES = (
    Column("CHANGE"),
    Column("FILE", flexible=True),
    Column("BEFORE", right=True),
    Column("AFTER", right=True),
    Column("UPLOADED (UTC)"),
)
_EVENTS = (
    Column("VERSION", right=True),
    Column("AT (UTC)"),
    Column("WHAT"),
    Column("WHY"),
    Column("FILE", flexible=True),
    Column("SIZE", right=True),
)


class _Changes:
    """The changes between two versions, counted while they are read."""

    def __init__(self, dataset: Dataset, old: int, new: int, limit: int) -> None:
        self._pairs = dataset.changes(old, new)
        self._limit = limit
        self.counts: Counter[str] = Counter({"added": 0, "replaced": 0, "deleted": 0})
        self.bytes_delta = 0

    def rows(self) -> Iterator[tuple[str, Entry | None, Entry | None]]:
        """The first ones, up to the limit; all are counted."""
        for before, after in self._pairs:
            change = "added" if before is None else "deleted" if after is None else "replaced"
            self.counts[change] += 1
            self.bytes_delta += (after.record.size_bytes if after else 0) - (
                before.record.size_bytes if before else 0
            )
            if self.counts.total() <= self._limit:
                yield change, before, after

    def summary(self) -> dict[str, Any]:
        """What follows the rows."""
        return {"summary": {**self.counts, "bytes_delta": self.bytes_delta}}


def show_changes(run: Run, dataset_id: str, versions: tuple[str, str], limit: int) -> int:
    """Answer `manifest diff`."""
    with run.open_catalog() as catalog:
        dataset = open_dataset(catalog.state, dataset_id)
        info = dataset.info()
        old, new = (
            0 if one == "previous" and info.version == 0 else find_version(dataset, one)
            for one in versions
        )
        changes = _Changes(dataset, old, new, limit)
        if run.out.json:
            head = {"dataset": info.id, "old": old, "new": new}
            rows = (_change_json(info, *one) for one in changes.rows())
            run.out.rows_document(head, rows, tail=changes.summary)
        else:
            run.out.table(_CHANGES, (_change_row(info, *one) for one in changes.rows()))
            _sum_up(run, changes, (old, new), limit)
    return EXIT_DIFFERENCES if changes.counts.total() else 0


def _sum_up(run: Run, changes: _Changes, versions: tuple[int, int], limit: int) -> None:
    counts = changes.counts
    between = f"versions {versions[0]} and {versions[1]}"
    if not counts.total():
        run.out.line(f"no differences between {between}")
        return
    if counts.total() > limit:
        run.out.note(f"the first {count_text(limit)}; --limit shows more")
    run.out.line()
    words = ", ".join(f"{count_text(count)} {name}" for name, count in counts.items())
    run.out.line(f"{words} ({signed_size_text(changes.bytes_delta)}) between {between}")


def _change_json(
    info: DatasetInfo, change: str, before: Entry | None, after: Entry | None
) -> dict[str, Any]:
    either = after or before
    return {
        "change": change,
        "s3_key": either.record.s3_key if either else None,
        "before": file_values(info, before.record) if before else None,
        "after": file_values(info, after.record) if after else None,
    }


def _change_row(
    info: DatasetInfo, change: str, before: Entry | None, after: Entry | None
) -> tuple[str, ...]:
    either = after or before
    return (
        change,
        _name(info, either) if either else "",
        size_text(before.record.size_bytes) if before else "",
        size_text(after.record.size_bytes) if after else "",
        time_text(either.record.uploaded_at) if either else "",
    )


def show_log(run: Run, dataset_id: str, only: tuple[str | None, bool], limit: int) -> int:
    """Answer `manifest log`; `only` is a file and whether only deletions."""
    name, deleted = only
    with run.open_catalog() as catalog:
        dataset = open_dataset(catalog.state, dataset_id)
        info = dataset.info()
        key = None if name is None else info.prefix + name.removeprefix(info.prefix)
        events = read_events(dataset, limit=limit, s3_key=key, deleted=deleted)
    if run.out.json:
        run.out.rows_document({"dataset": info.id}, map(_event_json, events), "events")
        return 0
    if not run.out.table(_EVENTS, (_event_row(info, one) for one in events)):
        what = "was deleted" if deleted else "happened"
        where = f"to `{display_key(name)}`" if name else f"in `{info.id}`"
        run.out.line(f"nothing {what} {where}")
    if len(events) == limit:
        run.out.note(f"the newest {plural(limit, 'event')}; --limit shows more")
    return 0


def _event_json(one: FileEvent) -> dict[str, Any]:
    return {
        "event": one.kind.value,
        "s3_key": one.entry.record.s3_key,
        "size_bytes": one.entry.record.size_bytes,
        "etag": one.entry.record.etag,
        "version": one.version.version,
        "at": one.version.at,
        "reason": one.version.reason.value,
        "run_id": one.version.run_id,
    }


def _event_row(info: DatasetInfo, one: FileEvent) -> tuple[str, ...]:
    return (
        str(one.version.version),
        time_text(one.version.at),
        one.kind.value,
        one.version.reason.value,
        _name(info, one.entry),
        size_text(one.entry.record.size_bytes),
    )


def _name(info: DatasetInfo, entry: Entry) -> str:
    return display_key(entry.record.s3_key.removeprefix(info.prefix))
