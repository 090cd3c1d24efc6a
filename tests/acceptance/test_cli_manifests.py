"""`stocktake manifest` as users run it: MAN-1, MAN-4, MAN-5. No server: none of it asks one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from acceptance_shell import Answer, Inside, Shell, help_of, members_in

from dataset_world import NOW, record
from stocktake.catalog import open_catalog
from stocktake.clock import FixedClock
from stocktake.manifests import (
    Dataset,
    DatasetSpec,
    DeleteEntry,
    PutEntry,
    Reason,
    create_dataset,
    parse_manifest,
    render_manifest,
)

PREFIX = "styles/16/"
LONG = "deep/" * 30 + "\u202ename \x1b[31m.jpg"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog with two datasets: one of three versions, one that is empty."""
    home = tmp_path_factory.mktemp("manifests")
    clock = FixedClock(NOW)
    with open_catalog(str(home / "catalog"), create=True, clock=clock) as catalog:
        dataset = create_dataset(
            catalog.state, DatasetSpec("16", "Dynamic Simplicity", "photos", PREFIX)
        )
        names = ["a.jpg", "b.JPG", "c.png", "sub/a.jpg", LONG]
        files = [record(name, at) for at, name in enumerate(names)]
        dataset.commit(map(PutEntry, files), Reason.SYNC, synced=True)
        clock.advance(86_400)
        dataset.commit([PutEntry(record("b.JPG", 50))], Reason.SYNC, synced=True)
        clock.advance(86_400)
        edits = [DeleteEntry(PREFIX + "c.png"), PutEntry(record("new.txt", 9))]
        dataset.commit(edits, Reason.SYNC, synced=True)
        create_dataset(catalog.state, DatasetSpec("sixteen", "sixteen", "photos", ""))
    return home


@pytest.fixture
def shell(home: Path) -> Inside:
    return Inside(home, {"STOCKTAKE_CATALOG": str(home / "catalog")})


@pytest.fixture
def own(tmp_path: Path) -> Inside:
    """A user without any catalog yet."""
    return Inside(tmp_path, {"STOCKTAKE_CATALOG": str(tmp_path / "catalog")})


@pytest.fixture
def dataset(home: Path) -> Iterator[Dataset]:
    with open_catalog(str(home / "catalog"), clock=FixedClock(NOW)) as catalog:
        yield Dataset(catalog.state, "16")


def asked(shell: Shell, *args: str, code: int = 0) -> Any:
    """The JSON answer; its members are those that the help promises."""
    answer = shell("manifest", *args, "--json", "--quiet")
    assert (answer.code, answer.err) == (code, ""), answer
    return answer.json


def looked(shell: Shell, *args: str, code: int = 0) -> Answer:
    """The answer for people: 80 columns where there is a terminal, nothing that moves a cursor."""
    answer = shell("manifest", *args)
    assert answer.code == code, answer
    assert all(line.isprintable() for line in (answer.out + answer.err).splitlines())
    return answer


def test_the_datasets_are_listed(shell: Inside) -> None:
    first, second = asked(shell, "list")["datasets"]
    assert (first["id"], first["title"], first["version"]) == ("16", "Dynamic Simplicity", 3)
    assert (first["total_files"], first["bucket"], first["prefix"]) == (5, "photos", PREFIX)
    assert (second["total_files"], second["last_synced"]) == (0, None)
    shown = looked(shell, "list").out
    assert "Dynamic Simplicity" in shown
    assert "never" in shown
    assert shell("manifest").out == shown
    assert members_in(help_of(shell, "manifest", "list")) == {"datasets"}


def test_show_in_json_is_the_manifest(shell: Inside, dataset: Dataset) -> None:
    """MAN-1: what a program gets is the manifest itself."""
    answer = asked(shell, "show", "16")
    drawn = json.loads(b"".join(render_manifest(dataset)))
    drawn.pop("history")
    assert answer == drawn
    text = shell("manifest", "show", "16", "--json").out.encode()
    assert parse_manifest(text).records == [one.record for one in dataset.entries()]
    promised = members_in(help_of(shell, "manifest", "show"))
    assert promised <= set(answer)


@pytest.mark.parametrize(
    ("version", "number"),
    [("latest", 3), ("previous", 2), ("latest~2", 1), ("3", 3), ("1", 1), ("0", 0),
     ("2026-11-20", 1), ("2026-11-21", 2), ("2026-11-20T12:00:00Z", 1), ("2030-01-01", 3)],
)  # fmt: skip
def test_any_earlier_version_is_shown(shell: Inside, version: str, number: int) -> None:
    """MAN-5."""
    answer = asked(shell, "show", "16", "--version", version)
    assert len(answer["files"]) == answer["total_files"] == (5 if number else 0)
    assert answer["version"] == number


def test_show_for_people_with_a_folder_and_a_limit(shell: Inside) -> None:
    shown = looked(shell, "show", "16", "--limit", "2")
    assert "Dynamic Simplicity" in shown.out
    assert "version 3: 5 files" in shown.out
    assert "--limit shows more" in shown.err
    assert "sub/a.jpg" in looked(shell, "show", "16", "--under", "sub/").out
    assert "a.jpg" in looked(shell, "show", "16", "--under", f"{PREFIX}sub/").out
    assert "no files below `nowhere/`" in looked(shell, "show", "16", "--under", "nowhere/").out
    assert "no files" in looked(shell, "show", "sixteen").out
    assert "\\u202ename" in looked(shell, "show", "16").out


def test_history_names_every_version(shell: Inside) -> None:
    answer = asked(shell, "history", "16")
    assert [one["version"] for one in answer["versions"]] == [3, 2, 1]
    newest = answer["versions"][0]
    assert (newest["added"], newest["replaced"], newest["deleted"]) == (1, 0, 1)
    assert members_in(help_of(shell, "manifest", "history")) == set(answer)
    assert "the newest 1 of 3 versions" in looked(shell, "history", "16", "-n", "1").err
    assert "nothing was uploaded" in looked(shell, "history", "sixteen").out


def test_diff_says_what_differs_by_its_exit_code_too(shell: Inside) -> None:
    answer = asked(shell, "diff", "16", "1", "latest", code=4)
    assert [(one["change"], one["s3_key"]) for one in answer["rows"]] == [
        ("replaced", PREFIX + "b.JPG"),
        ("deleted", PREFIX + "c.png"),
        ("added", PREFIX + "new.txt"),
    ]
    assert (answer["rows"][0]["before"]["size_bytes"], answer["rows"][2]["before"]) == (1001, None)
    assert answer["summary"] == {"added": 1, "replaced": 1, "deleted": 1, "bytes_delta": 56}
    assert members_in(help_of(shell, "manifest", "diff")) == set(answer)
    shown = looked(shell, "diff", "16", code=4)
    assert "1 added, 0 replaced, 1 deleted (+7 B) between versions 2 and 3" in shown.out
    assert "the first 1" in looked(shell, "diff", "16", "-n", "1", code=4).err
    assert "no differences" in looked(shell, "diff", "16", "2", "2").out
    assert "no differences" in looked(shell, "diff", "sixteen").out


def test_log_tells_what_became_of_a_file(shell: Inside) -> None:
    """MAN-5: recorded deletions."""
    answer = asked(shell, "log", "16", "--file", "b.JPG")
    assert [(one["event"], one["version"]) for one in answer["events"]] == [
        ("replaced", 2),
        ("added", 1),
    ]
    (gone,) = asked(shell, "log", "16", "--deleted")["events"]
    assert (gone["event"], gone["s3_key"], gone["version"]) == ("deleted", PREFIX + "c.png", 3)
    assert len(asked(shell, "log", "16")["events"]) == 8
    assert len(asked(shell, "log", "16", "-n", "3")["events"]) == 3
    assert members_in(help_of(shell, "manifest", "log")) == set(answer)
    assert "c.png" in looked(shell, "log", "16").out
    assert "nothing happened to `never`" in looked(shell, "log", "16", "--file", "never").out
    assert "nothing was deleted in `sixteen`" in looked(shell, "log", "sixteen", "--deleted").out


def test_stats_of_one_of_some_and_of_all(shell: Inside) -> None:
    (one,) = asked(shell, "stats", "16")["datasets"]
    assert {kind["extension"]: kind["files"] for kind in one["by_extension"]} == {
        ".jpg": 4,
        ".txt": 1,
    }
    assert (one["versions"], one["replacements"], one["deletions"]) == (3, 1, 1)
    datetime.fromisoformat(one["oldest"]["uploaded_at"])
    assert len(asked(shell, "stats", "--all")["datasets"]) == 2
    assert len(asked(shell, "stats", "16", "sixteen", "16")["datasets"]) == 2
    assert asked(shell, "stats", "16", "--version", "1")["datasets"][0]["deletions"] == 0
    shown = looked(shell, "stats", "--all").out
    assert ".jpg" in shown
    assert "100.0 %" in shown


def test_manifests_are_written_for_other_programs(shell: Inside, tmp_path: Path) -> None:
    """MAN-2: batch over datasets; one that fails does not stop the others."""
    folder = tmp_path / "s3_manifests"
    answer = asked(shell, "write", "--all", "--dir", str(folder))
    assert [one["file"] for one in answer["files"]] == [
        str(folder / f"{name}_s3_manifest.json") for name in ("16", "sixteen")
    ]
    assert len(json.loads((folder / "16_s3_manifest.json").read_text())["files"]) == 5
    (folder / "16_s3_manifest.json").unlink()
    (folder / "16_s3_manifest.json").mkdir()
    answer = asked(shell, "write", "16", "sixteen", "--dir", str(folder), code=3)
    assert [bool(one["error"]) for one in answer["files"]] == [True, False]
    assert "failed" in looked(shell, "write", "16", "--dir", str(folder), code=3).out


def test_a_dataset_is_made_and_forgotten(own: Inside) -> None:
    made = asked(own, "create", "7", "s3://photos/styles/7", "--title", "Seven")
    assert (made["dataset"]["prefix"], made["dataset"]["version"]) == ("styles/7/", 0)
    assert "stocktake sync FOLDER s3://photos/" in looked(own, "create", "8", "s3://photos").err
    kept = asked(own, "forget", "7", code=3)
    assert (kept["applied"], kept["forgotten"][0]["id"]) == (False, "7")
    assert "nothing was forgotten" in looked(own, "forget", "7", code=3).err
    assert looked(own, "forget", "7", "8", "--yes").out.splitlines() == [
        "forgot 7 (0 files, 0 B, 0 versions)",
        "forgot 8 (0 files, 0 B, 0 versions)",
    ]
    assert asked(own, "list") == {"datasets": []}
    assert "no datasets yet" in looked(own, "list").out


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("show", "17"), 1, "there is no dataset `17`"),
        (("show", "16", "--version", "4"), 1, "has no version `4`: it has 3"),
        (("show", "16", "--version", "latest~3x"), 1, "has no version `latest~3x`"),
        (("show", "16", "--version", "2020-01-01"), 1, "it was made later"),
        (("diff", "16", "0", "latest~9"), 1, "no version `latest~9`"),
        (("stats",), 2, "name datasets, or --all"),
        (("stats", "16", "--all"), 2, "contradict"),
        (("create", "a/b", "s3://photos/x/"), 2, "cannot be the id"),
        (("create", "x", "photos/x/"), 2, "not an S3 address"),
        (("create", "16", "s3://photos/other/"), 1, "is at s3://photos/styles/16/ already"),
        (("create", "new", "s3://photos/styles/16/"), 1, "is dataset `16` already"),
        (("forget", "17", "--yes"), 1, "there is no dataset `17`"),
        (("write", "16", "--dir", "/proc/nowhere"), 3, ""),
    ],
)
def test_mistakes_are_named_and_say_what_helps(
    shell: Inside, args: tuple[str, ...], code: int, says: str
) -> None:
    answer = shell("manifest", *args)
    assert answer.code == code, answer
    assert says in answer.err
    if code < 3:
        assert "hint:" in answer.err


def test_a_misspelt_id_is_suggested(shell: Inside) -> None:
    assert "hint: there is: sixteen" in shell("manifest", "show", "sixten").err


def test_before_there_is_a_catalog(own: Inside) -> None:
    answer = own("manifest", "list")
    assert answer.code == 1
    assert "no catalog" in answer.err
