"""`stocktake ingest metrics`: what a Prometheus server would scrape (STR-10)."""

from __future__ import annotations

import builtins

import pytest
from acceptance_shell import Inside, help_of, members_in
from prometheus_client.parser import text_string_to_metric_families

from stocktake.ingest import FIGURES
from stocktake.store import open_store
from stocktake.testing import FakeS3

BUCKET = "metrics-photos"
FACTS = (
    *("files_outstanding", "bytes_outstanding", "approximate_queue_size"),
    *("discovery_lag_seconds", "discovery_watermark_timestamp_seconds"),
    *("oldest_unprocessed_age_seconds", "list_requests_total", "list_efficiency"),
    *("list_p50_seconds", "list_p99_seconds", "throttles_total", "objects_seen_total"),
    *("objects_new_total", "objects_changed_total", "objects_deleted_total"),
    *("late_objects_total", "audit_missed_total", "event_gap_seconds", "claims"),
    *("diff_seconds", "state_bytes", "listing_seconds"),
)


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    with FakeS3() as fake:
        fake.create_bucket(BUCKET)
        store = open_store(fake.options())
        for number in range(30):
            store.put(BUCKET, f"a/{number:02d}", b"x")
        home = tmp_path_factory.mktemp("home")
        inside = Inside(
            home,
            {
                "PATH": "/usr/bin:/bin",
                "HOME": str(home),
                "AWS_ENDPOINT_URL": fake.endpoint_url,
                "AWS_ACCESS_KEY_ID": fake.credentials.access_key_id,
                "AWS_SECRET_ACCESS_KEY": fake.credentials.secret_access_key,
                "AWS_REGION": fake.region,
            },
        )
        inside("ingest", "create", "photos", f"s3://{BUCKET}/a/", "--batch-files", "10")
        inside("ingest", "run", "photos", "--exec", "true")
        inside("ingest", "create", "idle", f"s3://{BUCKET}/a/")
        yield inside


def samples(text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_exposition_is_what_a_scraper_reads(user):
    """STR-10"""
    answer = user("ingest", "metrics")
    assert answer.code == 0, answer
    found = samples(answer.out)
    place = (("bucket", BUCKET), ("prefix", "a/"), ("strategy", "full"))
    assert found["stocktake_objects_new_total", place] == 30
    assert found["stocktake_list_requests_total", (place[0], ("kind", "page"), *place[1:])] == 1
    assert found["stocktake_files_outstanding", (("ingestion", "photos"),)] == 0
    assert found["stocktake_files_outstanding", (("ingestion", "idle"),)] == 30
    assert found["stocktake_files_loaded_total", (("ingestion", "photos"),)] == 30
    assert found["stocktake_listing_seconds", place] > 0
    names = {name for name, _ in found}
    assert names <= {f"stocktake_{figure.name}" for figure in FIGURES}


def test_the_names_that_people_know_are_there(user):
    """STR-10"""
    assert set(FACTS) <= {figure.name for figure in FIGURES}


def test_the_same_as_json_without_the_extra(user, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **more):
        if name.startswith("prometheus_client"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    answer = user("ingest", "metrics", "--json")
    assert set(answer.json) == members_in(help_of(user, "ingest", "metrics"))
    assert {"name": "dead_items", "labels": {"ingestion": "photos"}, "value": 0} in answer.json[
        "metrics"
    ]
    missing = user("ingest", "metrics")
    assert missing.code == 2
    assert "stocktake[metrics]" in missing.err


def test_a_file_is_replaced_as_a_whole(user):
    file = user.home / "stocktake.prom"
    file.write_text("old")
    assert user("ingest", "metrics", "--out", str(file)).out == ""
    assert samples(file.read_text())
    assert [path.name for path in user.home.glob("*.prom*")] == ["stocktake.prom"]
    answer = user("ingest", "metrics", "--out", "/no/such/folder/x.prom", "--json")
    assert answer.code == 0  # JSON goes to standard output
    refused = user("ingest", "metrics", "--out", "/no/such/folder/x.prom")
    assert refused.code == 2
