"""Open uploads of one key, as stores page, spell and sort them (SHP-41)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stocktake.store import open_store, uploads_of
from stocktake.testing import FakeS3


class Answers:
    """A store that gives one answer after the other."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def describe(self, operation: str, bucket: str, **parameters: Any) -> dict[str, Any]:
        self.asked.append(parameters)
        return self._answers.pop(0)


def upload(key: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "Key": key,
        "UploadId": f"u{number}",
        "Initiated": datetime(2026, 1, number, tzinfo=UTC),
    } | more


def ids(store, key: str) -> list[str]:
    return [one.upload_id for one in uploads_of(store, "b", key)]


def test_pages_are_followed_and_other_keys_left_out():
    first = {
        "Uploads": [upload("film", 2), upload("film", 1)],
        "IsTruncated": True,
        "NextKeyMarker": "film",
        "NextUploadIdMarker": "u1",
    }
    store = Answers(first, {"Uploads": [upload("film", 3), upload("film2", 4)]})
    assert ids(store, "film") == ["u1", "u2", "u3"]
    assert store.asked == [
        {"Prefix": "film"},
        {"Prefix": "film", "KeyMarker": "film", "UploadIdMarker": "u1"},
    ]


def test_a_store_that_says_there_is_more_and_gives_no_way_to_it_is_not_asked_for_ever():
    assert ids(Answers({"IsTruncated": True}), "film") == []
    page = {"Uploads": [upload("film", 1)], "IsTruncated": True, "NextKeyMarker": "film"}
    assert ids(Answers(page, page), "film") == ["u1", "u1"]


@pytest.mark.parametrize("shown", ["a%01+b", "a%01%20b", "a\x01 b"])
def test_keys_with_control_characters_are_known_in_every_spelling(shown):
    store = Answers({"Uploads": [upload(shown, 1), upload(shown + "c", 2)]})
    assert ids(store, "a\x01 b") == ["u1"]
    assert store.asked[0]["EncodingType"] == "url"


def test_a_key_with_percent_signs_is_taken_as_it_is():
    store = Answers({"Uploads": [upload("a%20b", 1), upload("a b", 2)]})
    assert ids(store, "a%20b") == ["u1"]
    assert "EncodingType" not in store.asked[0]


def test_uploads_of_which_nobody_says_when_they_began_come_first():
    store = Answers({"Uploads": [upload("k", 1), upload("k", 2, Initiated=None)]})
    found = uploads_of(store, "b", "k")
    assert [(one.upload_id, one.initiated) for one in found] == [
        ("u2", None),
        ("u1", datetime(2026, 1, 1, tzinfo=UTC)),
    ]


def test_more_uploads_than_a_page_holds_are_all_found():
    with FakeS3() as fake:
        fake.create_bucket("b")
        store = open_store(fake.options())
        begun = {store.begin_upload("b", "k").upload_id for _ in range(1005)}
        store.begin_upload("b", "k2")
        assert set(ids(store, "k")) == begun
