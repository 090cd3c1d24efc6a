"""The reading commands on a catalog that the command itself made: JSON for programs, 80 columns for
people, and what every answer says about its age."""

from __future__ import annotations

import pytest
from acceptance_shell import ADDED, CHANGED, GONE, MOVED, REPORTS, SOURCE

BIDI = "2026/right\u202eto left.txt"


@pytest.fixture(scope="module")
def ask(world):
    """Run a reading command for a program; it must have succeeded."""

    def run(*args, code=0):
        answer = world.inside(*args, "--json", "--quiet")
        assert (answer.code, answer.err) == (code, ""), answer
        return answer.json

    return run


@pytest.fixture(scope="module")
def look(world):
    """Run a reading command for people; its lines fit 80 columns and nothing can move a cursor."""

    def run(*args, code=0):
        answer = world.inside(*args)
        assert answer.code == code, answer
        for line in (answer.out + answer.err).splitlines():
            assert len(line) <= 80, line
            assert line.isprintable(), line
        return answer

    return run


def test_every_answer_says_where_it_comes_from_and_how_old_it_is(world, ask, look):
    source = ask("ls")["source"]
    assert source["source"] == f"{SOURCE}/stocktake"
    assert source["kind"] == "aws_inventory"
    assert source["snapshot_id"] == world.second.json["snapshot_id"]
    assert source["as_of"].endswith("Z")
    for command in ("ls", "tree", "du", "find", "top", "dupes"):
        assert ask(command)["source"] == source
        footer = look(command).err.splitlines()
        assert footer[-2].startswith("as of 20")
        assert footer[-2].endswith(f" UTC, inventory stocktake of {SOURCE}")
        assert footer[-1] == f"snapshot {source['snapshot_id']}"


def test_quiet_leaves_the_answer_alone(world):
    assert world.shell("ls", "--quiet").err == ""


def test_ls_shows_folders_with_everything_below_them_and_objects(ask, look):
    answer = ask("ls", f"s3://{SOURCE}/2026/")
    assert answer["folder"]["objects"] == 3
    assert [(row["kind"], row["name"]) for row in answer["rows"]] == [
        ("object", "c.cr3"),
        ("object", "new.jpg"),
        ("object", "right\u202eto left.txt"),
    ]
    assert answer["rows"][0]["size_bytes"] == 130_000
    assert answer["next"] is None
    lines = look("ls").out.splitlines()
    assert lines[0].split() == ["SIZE", "OBJECTS", "MODIFIED", "(UTC)", "NAME"]
    assert [line.split()[-1] for line in lines[1:]] == ["2025/", "2026/", "notes/"]


def test_ls_works_without_a_bucket_and_without_the_last_slash(ask):
    assert ask("ls", "2026") == ask("ls", f"s3://{SOURCE}/2026/")


def test_ls_escapes_what_would_turn_the_line_round(look):
    assert "right\\u202eto left.txt" in look("ls", "2026/").out


def test_ls_pages_with_a_cursor_until_there_is_no_next(ask):
    names, cursor = [], ()
    while True:
        page = ask("ls", "2025/spring", "--limit", "1", *cursor)
        names += [row["name"] for row in page["rows"]]
        if page["next"] is None:
            break
        cursor = ("--cursor", page["next"])
    assert names == ["a.jpg", "copy of a.jpg"]


def test_ls_sorts_the_largest_first(ask):
    sizes = [row["size_bytes"] for row in ask("ls", "--sort", "size")["rows"]]
    assert sizes == sorted(sizes, reverse=True)


def test_ls_of_an_object_shows_all_that_is_known_of_it(ask, look):
    answer = ask("ls", CHANGED)
    assert (answer["object"], answer["folder"]) == (CHANGED, None)
    assert answer["rows"][0]["size_bytes"] == 130_000
    assert "130,000 (127.0 KiB)" in look("ls", CHANGED).out


def test_ls_of_an_older_snapshot_still_has_what_went(ask):
    assert GONE not in [row["path"] for row in ask("ls")["rows"]]
    assert GONE in [row["path"] for row in ask("ls", "--snapshot", "previous")["rows"]]


def test_tree_draws_folders_with_counts_and_bytes(ask, look):
    tree = ask("tree", "--depth", "2")["tree"]
    assert [folder["path"] for folder in tree["folders"]] == ["2025/", "2026/", "notes/"]
    assert tree["objects"] == 8
    assert sum(folder["size_bytes"] for folder in tree["folders"]) == tree["size_bytes"]
    lines = look("tree").out.splitlines()
    assert lines[1].endswith(f"s3://{SOURCE}/")
    assert [line.split(maxsplit=3)[3] for line in lines[2:5]] == [
        "├── 2025/",
        "│   ├── autumn/",
        "│   └── spring/",
    ]


def test_tree_says_how_many_folders_it_leaves_out(look):
    assert "└── … 2 more folders" in look("tree", "--width", "1", "--depth", "1").out


def test_du_sums_up_a_prefix_that_is_no_folder(ask, look):
    assert ask("du", "2025/spring/c", "--depth", "0")["total"]["objects"] == 1
    assert look("du").out.splitlines()[-1].endswith(f"s3://{SOURCE}/")


def test_find_combines_name_size_and_date(ask, look):
    def keys(*args):
        return [row["key"] for row in ask("find", *args)["rows"]]

    assert keys("--name", "*.CR3", "-i") == [CHANGED]
    assert keys("--name", "2025/**/*.jpg", "--min-size", "40kB") == ["2025/autumn/moved.jpg"]
    assert keys("--contains", "copy") == ["2025/spring/copy of a.jpg"]
    assert keys("--older", "2000-01-01") == []
    assert keys("--class", "standard", "--max-size", "3") == [ADDED, BIDI]
    assert look("find", "--contains", "nothing like it").err.startswith("nothing found")


def test_top_gives_the_largest_objects_or_the_heaviest_extensions(ask):
    assert [row["key"] for row in ask("top", "-n", "1")["rows"]] == [CHANGED]
    assert [row["extension"] for row in ask("top", "--by", "extension")["rows"]][:2] == [
        "cr3",
        "jpg",
    ]


def test_dupes_grades_copies_by_evidence(ask, look):
    (group,) = ask("dupes")["rows"]
    assert (group["evidence"], group["copies"], group["wasted_bytes"]) == ("strong", 2, 3000)
    assert group["keys"] == ["2025/spring/a.jpg", "2025/spring/copy of a.jpg"]
    assert "strong" in look("dupes").out


def test_diff_exits_4_with_the_changes_and_0_without(ask, look):
    answer = ask("diff", code=4)
    assert {row["key"]: row["change"] for row in answer["rows"]} == {
        CHANGED: "modified",
        ADDED: "new",
        GONE: "deleted",
        MOVED.replace("b.jpg", "moved.jpg"): "renamed",
    }
    renamed = next(row for row in answer["rows"] if row["change"] == "renamed")
    assert renamed["renamed_from"] == MOVED
    assert answer["summary"]["changes"] == 4
    assert look("diff", "latest", "latest").out == "no differences\n"
    people = look("diff", "previous", "latest", code=4)
    assert people.out.splitlines()[-1].startswith("1 new, 1 modified, 1 deleted, 1 renamed, +")


def test_diff_narrows_to_kinds_prefixes_and_folders(ask):
    assert [r["key"] for r in ask("diff", "--kind", "deleted", code=4)["rows"]] == [GONE]
    below = ask("diff", "--under", f"s3://{SOURCE}/2026/", code=4)
    assert below["summary"]["changes"] == 2
    folders = ask("diff", "--folders", code=4)["rows"]
    assert {row["folder"] for row in folders} == {"", "2025/autumn/", "2026/"}
    assert ask("diff", "--summary", code=4)["rows"] == []


def test_snapshots_are_listed_newest_first(world, ask, look):
    listed = ask("snapshots")["snapshots"]
    ids = [world.second.json["snapshot_id"], world.first.json["snapshot_id"]]
    assert [one["id"] for one in listed] == ids
    assert [one["id"] for one in ask("snapshots", "list", "--source", SOURCE)["snapshots"]] == ids
    assert ids[0] in world.shell("snapshots").out


@pytest.mark.parametrize(
    ("args", "code", "error", "hint"),
    [
        (["ls", "no/such/folder"], 1, "not-in-snapshot", "newer than the snapshot"),
        (["ls", "--snapshot", "latest~9"], 1, "snapshot-not-found", "stocktake snapshots"),
        (["ls", "--snapshot", "the day before"], 2, "invalid-query", "latest"),
        (["ls", "s3://another-bucket/"], 1, "snapshot-not-found", "stocktake snapshots"),
        (["ls", "--sort", "colour"], 2, "invalid-setting", "name, size, count, date"),
        (["ls", "--cursor", "nonsense"], 2, "invalid-query", None),
        (["find", "--name", "[a"], 2, "invalid-query", "[[]"),
        (["find", "--newer", "yesterday"], 2, "invalid-setting", "2026-11-20"),
        (["find", "--min-size", "big"], 2, "invalid-setting", "10MB"),
        (["top", "--by", "beauty"], 2, "invalid-setting", "extension"),
        (["dupes", "--evidence", "none"], 2, "invalid-setting", "strong, likely, maybe"),
        (["diff", "--kind", "moved"], 2, "invalid-setting", "renamed"),
        (["ls", "--catalog", "nowhere"], 1, "catalog-not-found", "--catalog"),
        (["snapshots", "delete", "latest"], 1, "snapshot-in-use", "--force"),
        (["snapshots", "retain"], 2, "invalid-setting", "--keep-last"),
    ],
)
def test_what_is_wrong_with_a_question_is_said_with_code_and_hint(world, args, code, error, hint):
    answer = world.inside(*args, "--json")
    assert answer.code == code, answer
    assert answer.json["error"]["code"] == error
    assert hint is None or hint in answer.json["error"]["hint"]


def test_a_catalog_with_two_sources_asks_which_one(world, inside):
    shell = inside
    shell("inventory", "import", "--manifest", world.wrote.json["manifest_url"])
    shell("inventory", "write", f"s3://{REPORTS}/one", "--to", f"s3://{REPORTS}/self")
    shell("inventory", "import", f"s3://{REPORTS}/self/{REPORTS}/stocktake")
    assert shell("ls", "--json").json["error"]["code"] == "ambiguous-snapshot"
    assert shell("ls", f"s3://{SOURCE}/", "--json").code == 0
    assert shell("tree", f"s3://{REPORTS}/", "--json").code == 0


def test_a_snapshot_that_is_pinned_stays_and_one_that_is_not_goes(world, inside):
    shell = inside
    shell("inventory", "import", "--manifest", world.wrote.json["manifest_url"])
    shell(*("inventory", "import", f"s3://{REPORTS}/one/{SOURCE}/stocktake", "--accept-deletions"))
    keep = ("snapshots", "retain", "--keep-last", "1", "--json")
    assert shell("snapshots", "pin", "previous").code == 0
    assert shell(*keep).json["deleted"] == []
    assert "pinned" in shell("snapshots").out
    assert shell("snapshots", "unpin", "previous").code == 0
    (going,) = shell(*keep).json["deleted"]
    assert len(shell("snapshots", "--json").json["snapshots"]) == 2
    assert shell(*keep, "--apply").json["applied"] is True
    assert [one["id"] for one in shell("snapshots", "--json").json["snapshots"]] != [going["id"]]
    deleted = shell("snapshots", "delete", "latest", "--force", "--json").json["deleted"]
    assert deleted["source"] == f"{SOURCE}/stocktake"
    assert shell("snapshots").out == "no snapshots yet\n"
