"""One import from parts to publication (CAT-1, CAT-5, CAT-6, INV-5 to INV-8)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from import_doubles import FailingSource, Watcher, files_of, rows_of
from sqlalchemy import select

from stocktake.catalog import (
    Catalog,
    ImportOptions,
    ImportResult,
    Snapshot,
    find_snapshot,
    import_snapshot,
    list_snapshots,
)
from stocktake.catalog._change_log import newest_seq, read_changes
from stocktake.errors import (
    ConfirmationNeededError,
    PartCorruptError,
    ReportChangedError,
    ReportExpiredError,
    TooManyBadRowsError,
)
from stocktake.model import Coverage
from stocktake.state import imports
from stocktake.testing import MemoryPart, MemorySource

DAY = datetime(2026, 1, 5, 1, tzinfo=UTC)
OLD = datetime(2025, 1, 1, tzinfo=UTC)
VERSIONS = ("key", "version_id", "is_latest", "is_delete_marker", "size_bytes", "last_modified")
BAD = PartCorruptError("the MD5 is wrong", retryable=True)


def obj(key: str, etag: str = "e", size_bytes: int = 1, **more: Any) -> dict[str, Any]:
    return {"key": key, "etag": etag, "size_bytes": size_bytes, "last_modified": OLD, **more}


def many(count: int, prefix: str = "k") -> list[dict[str, Any]]:
    return [obj(f"{prefix}{n:04d}", etag=f"{prefix}{n}") for n in range(count)]


def day(number: int, parts: Any, **more: Any) -> MemorySource:
    return MemorySource(parts, as_of=DAY + timedelta(days=number), **more)


def latest(catalog: Catalog) -> Snapshot:
    return find_snapshot(catalog, "latest")


def changes(catalog: Catalog) -> list[tuple[int, str, str]]:
    """Every numbered change: (number, change, key)."""
    source_id = latest(catalog).source_id
    batches = read_changes(catalog, source_id, 0, 1000)
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert len(rows) == newest_seq(catalog, source_id)
    return [(row["seq"], row["change"], row["key"]) for row in rows]


def test_first_import_publishes_every_row_and_no_changes(catalog: Catalog) -> None:
    result = import_snapshot(catalog, day(0, [many(3, "b"), many(2, "a")]))
    snapshot = latest(catalog)
    assert (result.state, result.snapshot_id, result.diff) == ("published", snapshot.id, None)
    assert [row["key"] for row in rows_of(catalog, snapshot)] == [
        row["key"] for row in many(2, "a") + many(3, "b")
    ]
    assert result.stats is not None
    assert (result.stats.objects, result.stats.size_bytes, result.stats.rows) == (5, 5, 5)
    assert (snapshot.objects, snapshot.size_bytes) == (5, 5)
    assert changes(catalog) == []


def test_result_is_one_json_document_and_is_kept_as_the_receipt(catalog: Catalog) -> None:
    import_snapshot(catalog, day(0, [many(20)]))
    result = import_snapshot(catalog, day(1, [many(20), [obj("new", "n", 7)]]))
    shown = json.loads(json.dumps(result.to_dict()))
    assert shown["state"] == "published"
    assert (shown["parts"], shown["resumed_parts"], shown["part_bytes"]) == (2, 0, 2100)
    assert shown["stats"]["objects"] == 21
    assert (
        shown["diff"] | {"new": 1, "new_bytes": 7, "changes": 1, "bytes_delta": 7} == shown["diff"]
    )
    assert set(shown["phase_s"]) == {
        "read", "recheck", "deduplicate", "folders", "compare", "publish",
    }  # fmt: skip
    with catalog.state.read() as connection:
        receipts = connection.execute(select(imports.c.receipt).order_by(imports.c.as_of)).scalars()
        receipt = list(receipts)[-1]
    assert receipt["snapshot_id"] == result.snapshot_id
    assert receipt["stats"] == shown["stats"]


def test_no_change_has_a_json_form_too(catalog: Catalog) -> None:
    import_snapshot(catalog, day(0, [many(1)]))
    shown = import_snapshot(catalog, day(0, [many(1)])).to_dict()
    assert (shown["state"], shown["stats"], shown["diff"], shown["parts"]) == (
        "no-change",
        None,
        None,
        1,
    )


def test_watcher_sees_the_phases_in_order_and_every_byte_once(catalog: Catalog) -> None:
    watcher = Watcher()
    source = FailingSource(day(0, [many(5), many(7, "x"), []], block_rows=2), {0: [BAD]})
    import_snapshot(catalog, source, progress=watcher)
    assert watcher.phases[0] == ("read", 1200, "bytes")
    assert [name for name, _, _ in watcher.phases] == [
        "read", "recheck", "deduplicate", "folders", "compare", "publish",
    ]  # fmt: skip
    # a part that is read twice does not count twice
    assert watcher.done["read"] == 1200
    assert watcher.notes == ["reading `data/part-0.csv.gz` again: the MD5 is wrong"]


def test_later_import_appends_its_changes_to_the_log(catalog: Catalog) -> None:
    import_snapshot(catalog, day(0, [many(30)]))
    import_snapshot(catalog, day(1, [many(29), [obj("new")]]))
    result = import_snapshot(catalog, day(2, [many(29), [obj("new", "other")]]))
    assert result.diff is not None
    assert (result.diff.modified, result.diff.changes) == (1, 1)
    assert changes(catalog) == [
        (1, "deleted", "k0029"),
        (2, "new", "new"),
        (3, "modified", "new"),
    ]


def test_import_without_comparison_says_so_and_logs_nothing(catalog: Catalog) -> None:
    import_snapshot(catalog, day(0, [many(30)]))
    result = import_snapshot(catalog, day(1, [many(1)]), ImportOptions(compare=False))
    assert result.diff is None
    assert changes(catalog) == []


def test_older_report_that_is_forced_in_is_not_news(catalog: Catalog) -> None:
    """The change log goes forward only: later changes follow from the newest snapshot."""
    import_snapshot(catalog, day(0, [many(30)]))
    newest = import_snapshot(catalog, day(2, [many(31)]))
    result = import_snapshot(catalog, day(1, [many(2)]), ImportOptions(force=True))
    assert (result.state, result.diff) == ("published", None)
    assert latest(catalog).id == newest.snapshot_id
    import_snapshot(catalog, day(3, [many(32)]))
    assert changes(catalog) == [(1, "new", "k0030"), (2, "new", "k0031")]


def test_corrupt_part_is_read_once_more(catalog: Catalog) -> None:
    source = day(0, [many(2), many(3, "x")])
    result = import_snapshot(catalog, FailingSource(source, {1: [BAD]}))
    assert result.state == "published"
    assert sorted(source.reads) == [0, 1, 1]
    assert len(rows_of(catalog, latest(catalog))) == 5


@pytest.mark.parametrize(
    ("errors", "reads"),
    [
        ([BAD, BAD], 2),
        ([PartCorruptError("size", retryable=False)], 1),
        ([ReportExpiredError("x")], 1),
    ],
)
def test_part_that_stays_bad_fails_the_import_and_publishes_nothing(
    catalog: Catalog, errors: list[Exception], reads: int
) -> None:
    """INV-5: the last good snapshot is untouched, and a later run reads only what is missing."""
    import_snapshot(catalog, day(0, [many(9)]))
    good, before = latest(catalog), rows_of(catalog, latest(catalog))
    source = day(1, [many(3), many(3, "x"), many(3, "y")])
    with pytest.raises(type(errors[0])):
        import_snapshot(
            catalog,
            FailingSource(source, {1: list(errors)}),
            ImportOptions(workers=1, accept_deletions=True),
        )
    assert source.reads.count(1) == reads
    assert [snapshot.id for snapshot in list_snapshots(catalog)] == [good.id]
    assert rows_of(catalog, latest(catalog)) == before
    with catalog.state.read() as connection:
        failed = connection.execute(select(imports).where(imports.c.state == "failed")).one()
    assert failed.error["code"] == type(errors[0]).code  # type: ignore[attr-defined]
    source.reads.clear()
    result = import_snapshot(catalog, source, ImportOptions(accept_deletions=True))
    assert sorted(source.reads) == [1, 2]
    assert result.resumed_parts == 1
    assert len(rows_of(catalog, latest(catalog))) == 9


def test_other_part_at_work_stops_when_one_fails(catalog: Catalog) -> None:
    source = FailingSource(
        day(0, [[], many(5000)], block_rows=1), {0: [ReportExpiredError("gone")]}
    )
    with pytest.raises(ReportExpiredError):
        import_snapshot(catalog, source)
    assert not any(path.endswith(".parquet") for path in files_of(catalog))


def test_too_many_bad_rows_fail_and_a_few_are_kept_with_samples(catalog: Catalog) -> None:
    """INV-7."""
    few = MemoryPart(many(10), bad=[f"row {n}" for n in range(10)])
    result = import_snapshot(catalog, day(0, [few]))
    assert result.stats is not None
    assert result.stats.bad_rows == 10
    assert [s["row"] for s in latest(catalog).manifest.bad_samples] == list(few.bad)
    with pytest.raises(TooManyBadRowsError):
        import_snapshot(catalog, day(1, [few, MemoryPart(many(1, "x"), bad=["one more"])]))
    assert len(list_snapshots(catalog)) == 1


def test_rows_with_undecodable_keys_are_kept_apart(catalog: Catalog) -> None:
    """INV-4."""
    part = MemoryPart(many(2), undecodable=[obj("%FF"), obj("%FE")])
    result = import_snapshot(catalog, day(0, [part, MemoryPart(undecodable=[obj("%FD")])]))
    assert result.stats is not None
    assert (result.stats.objects, result.stats.rows, result.stats.undecodable_keys) == (2, 2, 3)
    files = latest(catalog).manifest.undecodable_files
    assert [(file.min_key, file.max_key) for file in files] == [("%FE", "%FF"), ("%FD", "%FD")]
    assert any("3 keys could not be decoded" in warning for warning in result.warnings)


def test_manifest_that_was_rewritten_meanwhile_publishes_nothing(catalog: Catalog) -> None:
    source = day(0, [many(2)])
    source.changed = True
    with pytest.raises(ReportChangedError):
        import_snapshot(catalog, source)
    assert list_snapshots(catalog) == []


def test_report_that_lists_no_files_needs_confirmation(catalog: Catalog) -> None:
    import_snapshot(catalog, day(0, [many(5)]))
    with pytest.raises(ConfirmationNeededError, match="lists no files"):
        import_snapshot(catalog, day(1, []))
    assert latest(catalog).objects == 5
    result = import_snapshot(catalog, day(1, []), ImportOptions(accept_deletions=True))
    assert result.diff is not None
    assert result.diff.deleted == 5
    assert result.stats is not None
    assert (result.stats.objects, result.stats.size_bytes, result.stats.folders) == (0, 0, 1)


def test_mass_deletion_needs_confirmation_and_is_not_read_again(catalog: Catalog) -> None:
    import_snapshot(catalog, day(0, [many(20)]))
    source = day(1, [many(9), many(8, "k001")])
    with pytest.raises(ConfirmationNeededError, match="of 20 objects"):
        import_snapshot(catalog, source)
    assert latest(catalog).objects == 20
    assert sorted(source.reads) == [0, 1]
    result = import_snapshot(catalog, source, ImportOptions(accept_deletions=True))
    assert sorted(source.reads) == [0, 1]
    assert (result.resumed_parts, latest(catalog).id) == (2, result.snapshot_id)


def test_young_rows_are_not_deleted_by_an_older_picture(catalog: Catalog) -> None:
    """CAT-5: unconfirmed until a report that is a margin younger does not have them either."""
    young = obj("young", last_modified=datetime(2026, 1, 5, tzinfo=UTC))
    import_snapshot(catalog, day(0, [many(30), [young]]))
    for number, deleted in ((1, 0), (2, 1), (3, 0)):
        result = import_snapshot(catalog, day(number, [many(30)]))
        assert result.diff is not None
        assert (result.diff.deleted, result.diff.unconfirmed) == (deleted, int(number == 1))
        assert any("not called deleted yet" in w for w in result.warnings) == (number == 1)
    assert changes(catalog) == [(1, "deleted", "young")]


def test_comparison_of_a_refused_run_leaves_no_trace(catalog: Catalog) -> None:
    """A stale file of unconfirmed keys would make the next import delete them a second time."""
    young = [
        obj(f"young{n}", etag=f"y{n}", last_modified=datetime(2026, 1, 5, tzinfo=UTC))
        for n in range(5)
    ]
    import_snapshot(catalog, day(0, [many(20), young]))
    source = day(1, [many(9)])
    with pytest.raises(ConfirmationNeededError):
        import_snapshot(catalog, source)
    accept = ImportOptions(accept_deletions=True, deletion_margin=timedelta(0))
    result = import_snapshot(catalog, source, accept)
    assert result.diff is not None
    assert (result.diff.deleted, result.diff.unconfirmed) == (16, 0)
    import_snapshot(catalog, day(2, [many(9)]))
    assert len(changes(catalog)) == 16


def test_refused_comparison_is_not_logged_if_accepted_without_one(catalog: Catalog) -> None:
    import_snapshot(catalog, day(0, [many(20)]))
    source = day(1, [many(9)])
    with pytest.raises(ConfirmationNeededError):
        import_snapshot(catalog, source)
    import_snapshot(catalog, source, ImportOptions(compare=False))
    assert changes(catalog) == []
    assert not any(path.startswith("changes/") for path in files_of(catalog))


def test_coverage_change_restricts_what_is_compared(catalog: Catalog) -> None:
    import_snapshot(catalog, day(0, [many(20, "a/"), many(20, "b/")], coverage=Coverage("")))
    result = import_snapshot(catalog, day(1, [many(20, "a/")], coverage=Coverage("a/")))
    assert result.diff is not None
    assert result.diff.changes == 0
    assert any("only keys below `a/` are compared" in warning for warning in result.warnings)


def test_only_files_of_the_snapshot_stay(catalog: Catalog) -> None:
    import_snapshot(catalog, day(0, [many(3), many(3), MemoryPart(undecodable=[obj("%FF")])]))
    snapshot = latest(catalog)
    manifest = snapshot.manifest
    names = [f.name for f in (*manifest.files, *manifest.undecodable_files)]
    expected = [f"{snapshot.path}/{n}" for n in (*names, "folders.parquet", "snapshot.json")]
    assert files_of(catalog) == sorted(["catalog.json", *expected])


def published(
    catalog: Catalog, parts: Any, **more: Any
) -> tuple[ImportResult, list[dict[str, Any]]]:
    result = import_snapshot(catalog, day(0, parts, **more))
    return result, rows_of(catalog, latest(catalog))


def test_row_that_stands_thrice_is_kept_once_with_its_newest_data(catalog: Catalog) -> None:
    newer = obj("k0001", "new", 9, last_modified=datetime(2025, 6, 1, tzinfo=UTC))
    result, rows = published(catalog, [many(3), [*many(2), newer], many(1)])
    assert [(row["key"], row["etag"]) for row in rows] == [
        ("k0000", "k0"),
        ("k0001", "new"),
        ("k0002", "k2"),
    ]
    assert result.stats is not None
    assert (result.stats.rows, result.stats.objects, result.stats.duplicates) == (3, 3, 4)
    assert any("4 rows stood twice and were dropped, 2 of them" in w for w in result.warnings)
    # the part of which nothing stays has no file
    assert len(latest(catalog).manifest.files) == 2


def test_two_latest_versions_become_one(catalog: Catalog) -> None:
    def version(name: str, month: int, *, latest: bool = True) -> dict[str, Any]:
        date = datetime(2025, month, 1, tzinfo=UTC)
        return {"key": "a", "version_id": name, "is_latest": latest, "is_delete_marker": False,
                "size_bytes": month, "last_modified": date}  # fmt: skip

    parts = [
        [version("v1", 1, latest=False), version("v2", 2)],
        [version("v3", 3), version("null", 1)],
    ]
    result, rows = published(catalog, parts, columns=VERSIONS)
    assert [(r["version_id"], r["is_latest"]) for r in rows] == [
        ("null", False),
        ("v1", False),
        ("v2", False),
        ("v3", True),
    ]
    assert result.stats is not None
    assert (result.stats.objects, result.stats.size_bytes) == (1, 3)
    assert (result.stats.demoted_latest, result.stats.noncurrent_bytes) == (2, 4)
    assert any("2 versions claimed to be the latest" in warning for warning in result.warnings)


def test_columns_of_odd_names_survive_the_removal_of_duplicates(catalog: Catalog) -> None:
    odd = 'extra_x" y'
    columns = ("key", odd)
    parts = [[{"key": "a", odd: "1"}], [{"key": "a", odd: "1"}, {"key": "b", odd: "2"}]]
    _, rows = published(catalog, parts, columns=columns)
    assert rows == [{"key": "a", odd: "1"}, {"key": "b", odd: "2"}]
