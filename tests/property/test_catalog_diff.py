"""What differs between snapshots, against plain Python (CAT-4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from catalog_models import (
    EPOCH,
    PLAIN,
    Row,
    columns,
    current,
    diff_model,
    keys,
    rows,
    split,
    unique_rows,
    write_parts,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stocktake.catalog import _runs
from stocktake.catalog.engines import _duckdb_diff
from stocktake.catalog.engines._duckdb_connection import DuckDbConnections, DuckDbSettings
from stocktake.catalog.engines._duckdb_diff import diff
from stocktake.catalog.engines._protocol import DIFF, DiffRules, SnapshotView

quick = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ENGINE = DuckDbConnections(DuckDbSettings(threads=1))
COMPARED = PLAIN[1:]


@pytest.fixture(autouse=True, scope="module")
def _small_pieces() -> object:
    """Many row groups, runs and key ranges from a handful of rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_runs, "ROW_GROUP_ROWS", 3)
        patch.setattr(_runs, "SAMPLE_EVERY", 2)
        patch.setattr(_runs, "_BREAK_ROWS_MIN", 2)
        patch.setattr(_duckdb_diff, "_ROWS_PER_RANGE", 4)
        yield


def view_of(folder: Path, content: Sequence[Row], columns: Sequence[str] = PLAIN) -> SnapshotView:
    return write_parts(folder, split(content, 3), columns)[0]


def differences(old: SnapshotView, new: SnapshotView, rules: DiffRules = DiffRules()) -> list[Row]:
    found: list[Row] = []
    for batch in diff(ENGINE, old, new, rules):
        assert batch.schema == DIFF
        found += batch.to_pylist()
    order = [row["key"].encode() for row in found]
    assert order == sorted(set(order)), "each key once, in order of UTF-8 bytes"
    return found


def kinds(found: Iterable[Row]) -> dict[str, tuple[str, str | None]]:
    return {row["key"]: (row["change"], row["renamed_from"]) for row in found}


def by_key(content: Iterable[Row], columns: Sequence[str] = PLAIN) -> dict[str, Row]:
    return {row["key"]: row for row in current(content, columns)}


def new_values(row: Row) -> Row:
    return {"key": row["key"], **{name: row[f"new_{name}"] for name in COMPARED}}


def old_values(row: Row, key: str) -> Row:
    return {"key": key, **{name: row[f"old_{name}"] for name in COMPARED}}


def apply(known: dict[str, Row], found: Iterable[Row]) -> None:
    """What a consumer of the changes does."""
    for row in found:
        if row["change"] == "deleted":
            del known[row["key"]]
        elif row["change"] != "unconfirmed":
            if row["change"] == "renamed":
                del known[row["renamed_from"]]
            known[row["key"]] = new_values(row)


def mutated(content: list[Row], draw: Any) -> list[Row]:
    """Most rows as they were, some gone, changed, moved, and some new ones."""
    kept: dict[str, Row] = {}
    for row in content:
        fate = draw(st.sampled_from(["same", "same", "gone", "changed", "moved"]))
        if fate == "changed":
            row = draw(rows) | {"key": row["key"]}
        elif fate == "moved":
            row = row | {"key": draw(keys)}
        if fate != "gone":
            kept[row["key"]] = row
    kept |= {row["key"]: row for row in draw(unique_rows(max_size=4))}
    return list(kept.values())


@st.composite
def two_states(draw: Any) -> tuple[list[Row], list[Row]]:
    old = draw(unique_rows(max_size=14))
    return old, mutated(old, draw)


@given(states=two_states(), old_columns=columns, new_columns=columns)
@quick
def test_each_difference_is_named_once_whatever_columns_are_there(
    tmp_path: Path,
    states: tuple[list[Row], list[Row]],
    old_columns: tuple[str, ...],
    new_columns: tuple[str, ...],
) -> None:
    """An absent column is not a difference: the report's schema may change."""
    old, new = states
    found = differences(view_of(tmp_path, old, old_columns), view_of(tmp_path, new, new_columns))
    assert kinds(found) == diff_model(by_key(old, old_columns), by_key(new, new_columns))


@given(states=two_states())
@quick
def test_applying_the_difference_to_the_old_state_gives_the_new_one(
    tmp_path: Path, states: tuple[list[Row], list[Row]]
) -> None:
    old, new = states
    known = by_key(old)
    found = differences(view_of(tmp_path, old), view_of(tmp_path, new))
    for row in found:
        before = row["renamed_from"] or row["key"]
        if row["change"] == "new":
            assert old_values(row, before) == {"key": before, **dict.fromkeys(COMPARED)}
        else:
            assert old_values(row, before) == known[before]
        if row["change"] == "renamed":
            same = ("etag", "size_bytes")
            assert [known[before][n] for n in same] == [row[f"new_{n}"] for n in same]
        elif row["change"] == "deleted":
            assert new_values(row) == {"key": row["key"], **dict.fromkeys(COMPARED)}
    apply(known, found)
    assert known.keys() == by_key(new).keys()
    for key, row in by_key(new).items():
        unequal = {name for name in COMPARED if row[name] != known[key][name]}
        # dates and classes may change without the content; NULL is unknown, not different
        assert not [
            n
            for n in ("etag", "size_bytes")
            if n in unequal and None not in (row[n], known[key][n])
        ]


@given(states=two_states(), prefix=keys)
@quick
def test_a_prefix_restricts_the_difference_to_keys_below_it(
    tmp_path: Path, states: tuple[list[Row], list[Row]], prefix: str
) -> None:
    old, new = states
    found = differences(
        view_of(tmp_path, old), view_of(tmp_path, new), DiffRules(key_prefix=prefix)
    )
    below = [{k: r for k, r in by_key(rows).items() if k.startswith(prefix)} for rows in states]
    assert kinds(found) == diff_model(*below)


@given(states=two_states(), hour=st.integers(0, 7))
@quick
def test_what_vanished_too_young_is_unconfirmed_not_deleted(
    tmp_path: Path, states: tuple[list[Row], list[Row]], hour: int
) -> None:
    """CAT-5: a report is a fuzzy, past picture."""
    old, new = states
    limit = EPOCH + timedelta(hours=hour)
    found = differences(
        view_of(tmp_path, old), view_of(tmp_path, new), DiffRules(deleted_before=limit)
    )
    assert kinds(found) == diff_model(by_key(old), by_key(new), limit)


@st.composite
def generations(draw: Any) -> list[list[Row]]:
    states = [draw(unique_rows(max_size=10))]
    for _ in range(3):
        states.append(mutated(states[-1], draw))
    return states


@given(states=generations(), margin_h=st.integers(0, 4))
@quick
def test_pending_keys_are_carried_until_they_are_back_or_gone(
    tmp_path: Path, states: list[list[Row]], margin_h: int
) -> None:
    """A consumer of all changes ends where the snapshots are, plus what is still in doubt."""
    known = by_key(states[0])
    pending: str | None = None
    deleted: set[str] = set()
    views = [view_of(tmp_path, state) for state in states]
    for number in range(1, len(states)):
        as_of = EPOCH + timedelta(hours=2 * number)
        rules = DiffRules(deleted_before=as_of - timedelta(hours=margin_h), pending_path=pending)
        found = differences(views[number - 1], views[number], rules)
        now = by_key(states[number])
        doubtful = [row for row in found if row["change"] == "unconfirmed"]
        apply(known, found)
        assert known.keys() == now.keys() | {row["key"] for row in doubtful}
        assert not now.keys() & {row["key"] for row in doubtful}
        assert all(_date(row) >= rules.deleted_before for row in doubtful)  # type: ignore[operator]
        gone = {row["key"] for row in found if row["change"] == "deleted"}
        assert not gone & deleted & known.keys()
        deleted |= gone
        pending = None
        if doubtful:
            pending = str(tmp_path / f"pending-{number}.parquet")
            pq.write_table(pa.Table.from_pylist(doubtful, DIFF), pending)


def _date(row: Row) -> datetime:
    value: datetime = row["old_last_modified"]
    return value.replace(tzinfo=UTC)


def test_snapshots_without_any_file_differ_in_everything_or_nothing(tmp_path: Path) -> None:
    empty, one = view_of(tmp_path, []), view_of(tmp_path, [{"key": "a"}])
    assert differences(empty, empty) == []
    assert kinds(differences(empty, one)) == {"a": ("new", None)}
    assert kinds(differences(one, empty)) == {"a": ("deleted", None)}


def test_many_equal_files_that_move_are_paired_in_key_order(tmp_path: Path) -> None:
    same = {"etag": "e1", "size_bytes": 5}
    old = view_of(tmp_path, [{"key": f"old/{n}", **same} for n in range(3)])
    new = view_of(tmp_path, [{"key": f"new/{n}", **same} for n in range(4)])
    assert kinds(differences(old, new)) == {
        "new/0": ("renamed", "old/0"),
        "new/1": ("renamed", "old/1"),
        "new/2": ("renamed", "old/2"),
        "new/3": ("new", None),
    }


@pytest.mark.parametrize(
    "row", [{"etag": "e1", "size_bytes": 0}, {"size_bytes": 5}, {"etag": "e1"}]
)
def test_content_that_says_little_is_no_evidence_of_a_rename(tmp_path: Path, row: Row) -> None:
    old, new = view_of(tmp_path, [{"key": "a", **row}]), view_of(tmp_path, [{"key": "b", **row}])
    assert kinds(differences(old, new)) == {"a": ("deleted", None), "b": ("new", None)}
