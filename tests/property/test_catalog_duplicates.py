"""Rows that stand twice and latest versions that are not, against plain Python (INV-6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from catalog_models import PLAIN, VERSIONED, Row, hours, keys, rows, write_parts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stocktake.catalog import _runs
from stocktake.catalog.engines import _duckdb_duplicates
from stocktake.catalog.engines._duckdb_connection import DuckDbConnections, DuckDbSettings
from stocktake.catalog.engines._duckdb_duplicates import SURPLUS, find_surplus
from stocktake.errors import CatalogCorruptError

quick = settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ENGINE = DuckDbConnections(DuckDbSettings(threads=1))
Place = tuple[int, int]

few_keys = keys | st.sampled_from(["a", "b", "a/b"])
plain_rows = st.builds(lambda row, key: row | {"key": key}, rows, few_keys)
version_rows = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["a", "b", "a/b", "\uffff", "\U0001f600"]) | keys,
        "version_id": st.sampled_from(["v1", "v2", "null"]),
        "is_latest": st.none() | st.booleans(),
        "is_delete_marker": st.just(False),
        "size_bytes": st.integers(0, 2),
        "last_modified": st.none() | hours,
        "etag": st.sampled_from(["e1", "e2"]),
        "storage_class": st.none(),
    }
)


@pytest.fixture(autouse=True, scope="module", params=["by bounds", "by keys", "all"])
def _small_pieces(request: pytest.FixtureRequest) -> object:
    """Many pieces from a handful of rows, and each way of telling what is suspect."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "by keys":
            patch.setattr(_duckdb_duplicates, "_OVERLAPS_UNSEEN", 0)
        elif request.param == "all":
            patch.setattr(_duckdb_duplicates, "_PAIRS_PER_GROUP", 0)
        patch.setattr(_runs, "ROW_GROUP_ROWS", 3)
        patch.setattr(_runs, "SAMPLE_EVERY", 2)
        patch.setattr(_runs, "_BREAK_ROWS_MIN", 2)
        patch.setattr(_duckdb_duplicates, "_ROWS_PER_RANGE", 5)
        yield


def parts_of(one: st.SearchStrategy[Row]) -> st.SearchStrategy[list[list[Row]]]:
    some = st.lists(one, max_size=9)
    return st.lists(some | some.map(lambda part: sorted(part, key=lambda r: r["key"])), max_size=4)


class Found:
    """A snapshot's rows by place, and what was found about them."""

    def __init__(
        self, folder: Path, parts: Sequence[Sequence[Row]], columns: Sequence[str]
    ) -> None:
        view, written = write_parts(folder, parts, columns)
        repeats = [rows.row_groups[at] for rows in written for at in rows.repeats]
        self.rows: dict[Place, Row] = {
            (index, number): row
            for index, path in enumerate(view.paths)
            for number, row in enumerate(pq.read_table(path).to_pylist())
        }
        self.dropped: dict[Place, bool] = {}
        self.demoted: set[Place] = set()
        for table in find_surplus(ENGINE, view, repeats):
            assert table.schema == SURPLUS
            for row in table.to_pylist():
                place = (row["file_index"], row["row_number"])
                assert place not in self.dropped
                assert place not in self.demoted
                if row["drop"]:
                    self.dropped[place] = row["differs"]
                else:
                    self.demoted.add(place)

    def kept(self) -> dict[Place, Row]:
        return {
            place: row | ({"is_latest": False} if place in self.demoted else {})
            for place, row in self.rows.items()
            if place not in self.dropped
        }


def groups(content: Iterable[Row], *names: str) -> dict[tuple[object, ...], list[Row]]:
    found: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in content:
        found[tuple(row.get(name) for name in names)].append(row)
    return found


def newest(content: Iterable[Row]) -> str:
    return max(str(row["last_modified"] or "") for row in content)


@given(parts=parts_of(plain_rows))
@quick
def test_each_key_stays_once_with_its_newest_data(tmp_path: Path, parts: list[list[Row]]) -> None:
    found = Found(tmp_path, parts, PLAIN)
    kept = {row["key"]: row for row in found.kept().values()}
    every = groups(found.rows.values(), "key")
    assert len(kept) == len(found.kept()) == len(every)
    assert not found.demoted
    for (key,), copies in every.items():
        assert kept[str(key)] in copies
        assert newest([kept[str(key)]]) == newest(copies)
    for place, differs in found.dropped.items():
        assert differs == (found.rows[place] != kept[found.rows[place]["key"]])


@given(parts=parts_of(version_rows))
@quick
def test_each_version_stays_once_and_one_is_the_latest(
    tmp_path: Path, parts: list[list[Row]]
) -> None:
    found = Found(tmp_path, parts, VERSIONED)
    assert all(
        len(versions) == 1
        for versions in groups(found.kept().values(), "key", "version_id").values()
    )
    assert len(found.rows) - len(found.dropped) == len(
        groups(found.rows.values(), "key", "version_id")
    )
    undemoted = [row for place, row in found.rows.items() if place not in found.dropped]
    claims = groups((row for row in undemoted if row["is_latest"]), "key")
    latest = groups((row for row in found.kept().values() if row["is_latest"]), "key")
    # nobody loses its only latest version, and of several the newest stays
    assert latest.keys() == claims.keys()
    for key, versions in latest.items():
        assert len(versions) == 1
        assert newest(versions) == newest(claims[key])


@given(version=version_rows, order=st.permutations([True, False, None]))
@quick
def test_copies_that_disagree_on_being_the_latest_keep_the_key_visible(
    tmp_path: Path, version: Row, order: list[bool | None]
) -> None:
    """A report is taken while the bucket changes: one part may list a version before it aged."""
    found = Found(tmp_path, [[version | {"is_latest": latest}] for latest in order], VERSIONED)
    assert [row["is_latest"] for row in found.kept().values()] == [True]


def test_columns_of_any_name_are_compared_as_data(tmp_path: Path) -> None:
    """A report names its columns as it likes."""
    odd = 'extra_x" y; select 1 --'
    rows = [{"key": "a", odd: "one"}, {"key": "a", odd: "two"}]
    found = Found(tmp_path, [rows[:1], rows[1:]], ("key", odd))
    assert found.dropped == {(1, 0): True}


def test_object_file_that_is_gone_is_named(tmp_path: Path) -> None:
    content = [[{"key": f"{part}{n}"} for n in range(9)] for part in "aaaa"]
    view, _ = write_parts(tmp_path, content, PLAIN)
    Path(view.paths[0]).unlink()
    with pytest.raises(CatalogCorruptError, match=r"0\.parquet"):
        list(find_surplus(ENGINE, view, []))


def test_disjoint_parts_have_no_surplus(tmp_path: Path) -> None:
    parts = [[{"key": f"{part}/{n}"} for n in range(9)] for part in "abc"]
    assert Found(tmp_path, parts, PLAIN).dropped == {}
