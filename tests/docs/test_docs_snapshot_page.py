"""The page about the snapshot format: its examples run, it names all there is (CAT-10)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stocktake.catalog import Catalog, SnapshotStats, find_snapshot, import_snapshot, open_catalog
from stocktake.catalog._format import FOLDERS, SnapshotManifest
from stocktake.catalog.engines._protocol import DIFF
from stocktake.model import OBJECT
from stocktake.testing import MemorySource

PAGE = (Path(__file__).parents[2] / "docs" / "formats" / "snapshot.md").read_text("utf-8")
EXAMPLES = re.findall(r"^(\w+)[^\n]*:\n\n```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ROWS = [[{"key": key} for key in ("photos/1", "a", "photos")], [{"key": "photos/\U0001f600"}]]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    with open_catalog(str(tmp_path / "catalog"), create=True) as catalog:
        import_snapshot(catalog, MemorySource(ROWS))
        return catalog


def test_every_reader_has_an_example() -> None:
    assert [name for name, _ in EXAMPLES] == ["DuckDB", "Polars", "PyArrow"]


@pytest.mark.parametrize(("name", "code"), EXAMPLES)
def test_example_counts_the_rows_below_a_prefix(
    name: str,
    code: str,
    catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(catalog.location) / find_snapshot(catalog, "latest").path
    (tmp_path / "snapshot").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, f"example of {name}", "exec"), {})
    assert capsys.readouterr().out == "2\n"


def documented(heading: str) -> list[str]:
    """The names in the first column of the tables below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)", cell)]


def test_page_names_every_column() -> None:
    assert documented("Object files") == [*OBJECT.names, "extra_"]
    assert documented("`folders.parquet`") == [*FOLDERS.names, "bytes_by_class"]
    assert documented("Changes and diffs") == DIFF.names


def test_page_names_every_field_of_the_manifest() -> None:
    header = MemorySource([]).header
    manifest = SnapshotManifest("snp_1", "", header, (), (), SnapshotStats(0, 0, 0, 0))
    raw = json.loads(manifest.to_bytes())
    named = set(documented("`snapshot.json`"))
    assert {*raw, *raw["source"]} <= named
    assert {"name", "rows", "size_bytes", "min_key", "max_key", "row_groups"} <= named
