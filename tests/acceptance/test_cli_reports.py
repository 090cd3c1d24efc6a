"""`stocktake inventory`: from a live bucket to a snapshot, and everything that can be wrong."""

from __future__ import annotations

import hashlib
import json

import pytest
from acceptance_shell import ADDRESS, REPORTS, SOURCE


def test_write_says_where_the_report_is_and_what_it_cost(world):
    """INV-20"""
    assert world.wrote.code == 0
    answer = world.wrote.json
    assert answer["address"] == ADDRESS
    assert (answer["rows"], answer["parts"], answer["format"]) == (8, 1, "csv")
    assert answer["receipt"]["calls"]["ListObjectsV2"] == 1
    assert answer["receipt"]["cost"]["report_delivery_usd"] == 0


def test_import_answers_with_snapshot_statistics_and_receipt(world):
    assert world.first.code == 0
    answer = world.first.json
    assert answer["state"] == "published"
    assert answer["snapshot"]["source"] == f"{SOURCE}/stocktake"
    assert answer["stats"]["objects"] == 8
    assert answer["stats"]["size_bytes"] == 176_032
    assert (answer["parts"], answer["resumed_parts"], answer["diff"]) == (1, 0, None)
    cost = answer["receipt"]["cost"]
    assert answer["receipt"]["calls"]["GetObject"] == 3
    assert cost["by_list_calls"] == 1
    assert set(cost["prices"]) == {"date", "region", "source"}


def test_the_second_import_says_what_changed(world):
    assert world.second.code == 0
    diff = world.second.json["diff"]
    counts = {kind: diff[kind] for kind in ("new", "modified", "deleted", "renamed")}
    assert counts == {"new": 1, "modified": 1, "deleted": 1, "renamed": 1}


def test_dates_lists_the_delivery_and_what_it_was_imported_as(world):
    """INV-1"""
    answer = world.shell("inventory", "dates", ADDRESS, "--json").json
    newest, delivery = answer["deliveries"]
    assert newest["snapshot_id"] == world.second.json["snapshot_id"]
    assert delivery["state"] == "ready"
    assert delivery["snapshot_id"] == world.first.json["snapshot_id"]
    assert delivery["manifest_url"].endswith("/manifest.json")
    people = world.shell("inventory", "dates", ADDRESS)
    assert people.out.splitlines()[0].split() == [
        "DATE",
        "SCANNED",
        "(UTC)",
        "STATE",
        "IMPORTED",
        "AS",
    ]
    assert world.first.json["snapshot_id"] in people.out


def test_importing_the_same_delivery_again_is_no_change_and_cheap(world):
    """CAT-6"""
    answer = world.shell("inventory", "import", ADDRESS)
    assert answer.code == 0
    assert answer.out.startswith("no change: ")
    assert "2 GetObject" in answer.err
    again = world.shell("inventory", "import", ADDRESS, "--json").json
    assert (again["state"], again["stats"]) == ("no-change", None)
    assert again["snapshot_id"] == world.second.json["snapshot_id"]


def test_import_for_people_ends_with_a_receipt_and_the_next_command(world, make_shell):
    answer = make_shell()("inventory", "import", "--manifest", world.wrote.json["manifest_url"])
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].startswith(f"imported {SOURCE}/stocktake of 20")
    assert lines[1].startswith("  snapshot snp_")
    assert lines[2:] == ["  8 objects, 171.9 KiB, 7 folders", "  1 part"]
    assert "receipt of this import" in answer.err
    assert f"next: stocktake tree s3://{SOURCE}/" in answer.err
    assert max(map(len, answer.err.splitlines())) <= 80


def test_a_dry_run_writes_nothing(world, make_shell):
    shell = make_shell()
    answer = shell("inventory", "import", ADDRESS, "--dry-run", "--json")
    assert answer.code == 0
    plan = answer.json
    assert (plan["state"], plan["parts"], plan["format"]) == ("would-import", 1, "csv")
    assert "key" in plan["columns"]
    assert not (shell.home / ".local").exists()
    assert "not imported yet" in shell("inventory", "import", ADDRESS, "--dry-run").out
    assert (
        world.shell("inventory", "import", ADDRESS, "--dry-run", "--json").json["state"]
        == "imported"
    )


def test_a_manifest_alone_names_the_report(world, make_shell):
    url = world.wrote.json["manifest_url"]
    answer = make_shell()("inventory", "import", "--manifest", url, "--json")
    assert answer.json["snapshot"]["source"] == f"{SOURCE}/stocktake"


def test_verify_names_every_part_and_its_state(world):
    answer = world.shell("inventory", "verify", ADDRESS, "--json")
    assert answer.code == 0
    assert answer.json["ok"] is True
    assert [part["rows"] for part in answer.json["parts"]] == [8]
    assert "sound: 1 part, 8 rows, 0 bad rows" in world.shell("inventory", "verify", ADDRESS).out


def test_verify_of_a_damaged_part_exits_3_and_names_it(world, acceptance_store, shell):
    """INV-5"""
    shell("inventory", "write", f"s3://{SOURCE}", "--to", f"s3://{REPORTS}/broken", "--overwrite")
    address = f"s3://{REPORTS}/broken/{SOURCE}/stocktake"
    part = shell("inventory", "verify", address, "--json").json["parts"][0]["name"]
    acceptance_store.put(REPORTS, part, b"not what it was")
    answer = shell("inventory", "verify", address, "--json")
    assert answer.code == 3
    assert answer.json["parts"][0]["error"]["code"] == "part-corrupt"
    people = shell("inventory", "verify", address)
    assert "DAMAGED" in people.out
    assert "part-corrupt" in people.out
    imported = shell("inventory", "import", address, "--json")
    assert imported.code == 1
    assert imported.json["error"]["code"] == "part-corrupt"
    assert shell("snapshots", "--json").json["snapshots"] == []


@pytest.mark.parametrize(
    ("args", "code", "error", "hint"),
    [
        (["dates", f"s3://{REPORTS}/one/{SOURCE}/other"], 1, "report-not-found", "48 hours"),
        (["import", f"s3://{REPORTS}/one/{SOURCE}/other"], 1, "report-not-found", "48 hours"),
        (["import", "s3://no-such-bucket/a-bucket/config"], 1, "bucket-not-found", "spelling"),
        (["import", "s3://only-a-bucket"], 2, "invalid-url", "source-bucket/configuration-id"),
        (["import", "/local/path"], 2, "invalid-url", "s3://bucket/key"),
        (["import"], 2, "usage", "s3://destination-bucket"),
        (["import", ADDRESS, "--date", "2020-01-01"], 1, "report-not-found", "there are 2"),
        (["import", ADDRESS, "--date", "yesterday"], 2, "invalid-setting", "2025-06-02"),
        (["import", ADDRESS, "--key-encoding", "rot13"], 2, "invalid-setting", "auto, form"),
        (
            ["write", f"s3://{SOURCE}", "--to", "s3://no-such-bucket"],
            1,
            "bucket-not-found",
            "spell",
        ),
        (
            ["write", f"s3://{SOURCE}", "--to", f"s3://{REPORTS}", "--format", "avro"],
            2,
            "invalid-setting",
            "csv, orc or parquet",
        ),
    ],
)
def test_what_is_wrong_is_said_with_code_and_hint(world, args, code, error, hint):
    answer = world.inside("inventory", *args, "--json")
    assert answer.code == code
    said = answer.json["error"]
    assert said["code"] == error
    assert hint in said["hint"]
    assert answer.err == ""


def test_an_error_for_people_is_message_and_hint_on_stderr(world):
    people = world.shell("inventory", "import", f"s3://{REPORTS}/one/{SOURCE}/other")
    assert (people.code, people.out) == (1, "")
    message, blank, hint = people.err.splitlines()
    assert message.startswith("error: no inventory report was delivered under s3://")
    assert blank == ""
    assert hint.startswith("hint: the first report takes up to 48 hours")


def test_a_report_of_another_bucket_is_refused(world, acceptance_store, shell):
    """INV-2"""
    manifest = acceptance_store.get(REPORTS, key_of(world.wrote.json["manifest_url"])).read()
    checksum = acceptance_store.get(
        REPORTS, key_of(world.wrote.json["manifest_url"]).replace(".json", ".checksum")
    ).read()
    place = "foreign/other-bucket/daily/2026-01-01T00-00Z/manifest."
    acceptance_store.put(REPORTS, place + "json", manifest)
    acceptance_store.put(REPORTS, place + "checksum", checksum)
    answer = shell("inventory", "import", f"s3://{REPORTS}/foreign/other-bucket/daily", "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == "foreign-manifest"


def test_a_report_that_is_being_written_is_said_to_be_retryable(acceptance_store, shell):
    """INV-2"""
    place = f"young/{SOURCE}/daily/2026-01-01T00-00Z/manifest.json"
    acceptance_store.put(REPORTS, place, b"{}")
    address = f"s3://{REPORTS}/young/{SOURCE}/daily"
    answer = shell("inventory", "import", address, "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == "report-not-ready"
    assert answer.json["error"]["retryable"] is True
    assert (
        shell("inventory", "dates", address, "--json").json["deliveries"][0]["state"] == "not-ready"
    )


def test_an_empty_report_needs_a_confirmation(acceptance_store, shell):
    """CAT-5"""
    manifest = {
        "sourceBucket": SOURCE,
        "destinationBucket": f"arn:aws:s3:::{REPORTS}",
        "version": "2016-11-30",
        "creationTimestamp": "1767225600000",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size",
        "files": [],
    }
    place = f"empty/{SOURCE}/daily/2026-01-01T00-00Z/manifest."
    body = json.dumps(manifest).encode()
    acceptance_store.put(REPORTS, place + "json", body)
    acceptance_store.put(REPORTS, place + "checksum", hashlib.md5(body).hexdigest().encode())
    args = ("inventory", "import", f"s3://{REPORTS}/empty/{SOURCE}/daily")
    answer = shell(*args)
    assert answer.code == 3
    assert "--accept-deletions" in answer.err
    assert shell(*args, "--accept-deletions").code == 0


def key_of(url: str) -> str:
    return url.removeprefix(f"s3://{REPORTS}/")
