"""The copy of a manifest in the bucket: push, pull, merging what two hosts did (MAN-2, MAN-5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from copy_world import (
    BUCKET,
    COPY_KEY,
    ID,
    NOON,
    PREFIX,
    dataset_of,
    drop,
    make_bucket,
    numbers,
    open_host,
    put,
    upload,
)
from stocktake.clock import FixedClock
from stocktake.errors import (
    AccessDeniedError,
    DatasetChangedError,
    DeletionRefusedError,
    ManifestFormatError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreUnavailableError,
    UnsupportedOperationError,
)
from stocktake.manifests import (
    CopyOptions,
    Dataset,
    DatasetSpec,
    copy_place,
    create_dataset,
    parse_manifest,
    pull_copy,
    push_copy,
)
from stocktake.model import S3Url
from stocktake.store import ListQuery, ObjectHead, PutOptions, Store, uploads_of
from stocktake.telemetry import Meter
from stocktake.testing import FaultStore, MemoryStore, Planned


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def store(meter: Meter) -> Store:
    found = MemoryStore(meter=meter)
    make_bucket(found)
    return found


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Dataset]]:
    states = [open_host(tmp_path / name, FixedClock(NOON)) for name in ("ada", "bob")]
    yield [dataset_of(state) for state in states]
    for state in states:
        state.close()


def copied(store: Store) -> dict[str, int]:
    found = parse_manifest(store.get(BUCKET, COPY_KEY))
    return {one.s3_key.removeprefix(PREFIX): int(one.token, 16) for one in found.records}


def test_copy_is_beside_the_files(hosts: list[Dataset]) -> None:
    assert copy_place(hosts[0].info()) == S3Url(BUCKET, COPY_KEY)


def test_what_one_host_pushes_the_other_pulls_field_by_field(
    store: Store, hosts: list[Dataset]
) -> None:
    ada, bob = hosts
    put(ada, upload("a", 1), upload("ä\n\u202e b", 2))
    pushed = push_copy(ada, store)
    assert (pushed.written, pushed.version, pushed.ahead) == (True, 1, 0)
    pulled = pull_copy(bob, store)
    assert (pulled.added, pulled.written, pulled.ahead) == (2, False, 0)
    theirs = [one.record for one in bob.entries()]
    assert theirs == [one.record for one in ada.entries()]


def test_push_of_nothing_new_is_one_request(
    store: Store, hosts: list[Dataset], meter: Meter
) -> None:
    put(hosts[0], upload("a", 1))
    etag = push_copy(hosts[0], store).etag
    before = sum(meter.calls.values())
    again = push_copy(hosts[0], store)
    assert (again.written, again.etag) == (False, etag)
    assert sum(meter.calls.values()) - before == 1


def test_pull_of_nothing_new_is_one_request(
    store: Store, hosts: list[Dataset], meter: Meter
) -> None:
    ada, bob = hosts
    put(ada, upload("a", 1), upload("b", 2))
    push_copy(ada, store)
    pull_copy(bob, store)
    before = sum(meter.calls.values())
    assert pull_copy(bob, store).ahead == 0
    put(bob, upload("c", 3), upload("a", 4))
    drop(bob, "b")
    assert pull_copy(bob, store).ahead == 3
    assert sum(meter.calls.values()) - before == 2


def test_both_hosts_changes_come_together(store: Store, hosts: list[Dataset]) -> None:
    ada, bob = hosts
    put(ada, *(upload(f"common {n}", 10 + n) for n in range(4)))
    push_copy(ada, store)
    pull_copy(bob, store)
    put(ada, upload("of ada", 20), upload("common 0", 21))
    drop(ada, "common 1")
    put(bob, upload("of bob", 30), upload("common 2", 31))
    drop(bob, "common 3")
    push_copy(ada, store)
    merged = push_copy(bob, store)
    assert (merged.added, merged.replaced, merged.deleted, merged.conflicts) == (1, 1, 1, 0)
    pull_copy(ada, store)
    expected = {"common 0": 21, "common 2": 31, "of ada": 20, "of bob": 30}
    assert numbers(ada) == numbers(bob) == copied(store) == expected


def test_change_beats_deletion_on_either_side(store: Store, hosts: list[Dataset]) -> None:
    ada, bob = hosts
    put(ada, upload("a", 1), upload("b", 2))
    push_copy(ada, store)
    pull_copy(bob, store)
    put(ada, upload("a", 3))
    drop(ada, "b")
    drop(bob, "a")
    put(bob, upload("b", 4))
    push_copy(ada, store)
    assert push_copy(bob, store).conflicts == 2
    pull_copy(ada, store)
    assert numbers(ada) == numbers(bob) == {"a": 3, "b": 4}


@pytest.mark.parametrize("first", [0, 1])
def test_newer_upload_wins_whoever_pushes_first(
    first: int, store: Store, hosts: list[Dataset]
) -> None:
    put(hosts[0], upload("a", 1))
    put(hosts[1], upload("a", 2))
    push_copy(hosts[first], store)
    result = push_copy(hosts[1 - first], store)
    pull_copy(hosts[first], store)
    assert numbers(hosts[0]) == numbers(hosts[1]) == {"a": 2}
    assert result.conflicts == 1
    if first == 0:  # what lost is said; where it came from its history has it
        assert [one.token for one in result.lost] == [upload("a", 1).token]
    assert [one.added for one in hosts[0].history()][-1] == 1


def test_deletion_of_what_was_pulled_is_not_undone(store: Store, hosts: list[Dataset]) -> None:
    """A pull while something of our own is not pushed yet leaves no common version to note."""
    ada, bob = hosts
    put(ada, upload("a", 1), upload("b", 2))
    push_copy(ada, store)
    put(bob, upload("own", 9))
    assert pull_copy(bob, store).ahead == 1
    drop(bob, "a")
    pull_copy(bob, store)
    assert numbers(bob) == {"b": 2, "own": 9}
    push_copy(bob, store)
    pull_copy(ada, store)
    assert numbers(ada) == {"b": 2, "own": 9}


def test_push_that_was_killed_before_its_note_is_not_merged_as_foreign(
    store: Store, hosts: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = hosts
    put(ada, upload("a", 1), upload("b", 2))
    with monkeypatch.context() as patched:
        patched.setattr("stocktake.manifests._copy.note_agreement", _killed)
        with pytest.raises(KeyboardInterrupt):
            push_copy(ada, store)
    pull_copy(bob, store)
    drop(bob, "a")
    push_copy(bob, store)
    pull_copy(ada, store)
    assert numbers(ada) == {"b": 2}, "the copy's mark says that it was ours, so bob deleted it"


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_answer_that_was_lost_is_found_to_be_our_own(store: Store, hosts: list[Dataset]) -> None:
    put(hosts[0], upload("a", 1))
    condition = PreconditionFailedError("somebody was faster", bucket=BUCKET)
    lossy = FaultStore(store, [Planned("put", condition, key=COPY_KEY, after_effect=True)])
    result = push_copy(hosts[0], lossy)
    assert (result.rounds, result.conflicts, result.version) == (2, 0, 1)
    assert copied(store) == {"a": 1}


def test_writer_that_was_faster_is_merged(store: Store, hosts: list[Dataset]) -> None:
    ada, bob = hosts
    put(ada, upload("a", 1))
    put(bob, upload("b", 2))

    class Slow:
        """Lets bob push just before ada's write arrives."""

        done = False

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def put(
            self, bucket: str, key: str, body: bytes, options: PutOptions = PutOptions()
        ) -> ObjectHead:
            if key == COPY_KEY and not self.done:
                self.done = True
                push_copy(bob, store)
            return store.put(bucket, key, body, options)

    result = push_copy(ada, Slow())  # type: ignore[arg-type]
    assert (result.rounds, result.added) == (2, 1)
    assert copied(store) == {"a": 1, "b": 2}


def test_commit_in_the_middle_of_a_merge_is_merged_again(
    store: Store, hosts: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = hosts
    put(bob, upload("a", 5), upload("b", 6))
    push_copy(bob, store)
    real = Dataset.commit
    waiting = [upload("a", 7), upload("c", 8)]

    def commit(self: Dataset, edits: object, reason: object, **more: object) -> object:
        if waiting:
            records = [waiting.pop(), waiting.pop()]
            put(ada, *records)
        return real(self, edits, reason, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Dataset, "commit", commit)
    pull_copy(ada, store)
    assert numbers(ada) == {"a": 7, "b": 6, "c": 8}


def test_endless_race_ends_with_an_error(store: Store, hosts: list[Dataset]) -> None:
    put(hosts[0], upload("a", 1))
    condition = PreconditionFailedError("somebody was faster", bucket=BUCKET)
    always = FaultStore(store, [Planned("put", condition, key=COPY_KEY, times=100)])
    with pytest.raises(DatasetChangedError, match="changed 30 times"):
        push_copy(hosts[0], always)


def test_pull_without_a_copy_says_what_to_do(store: Store, hosts: list[Dataset]) -> None:
    with pytest.raises(ObjectNotFoundError) as caught:
        pull_copy(hosts[0], store)
    assert "manifest push" in (caught.value.hint or "")


def test_copy_that_was_deleted_deletes_nothing(store: Store, hosts: list[Dataset]) -> None:
    put(hosts[0], upload("a", 1))
    push_copy(hosts[0], store)
    store.delete(BUCKET, [COPY_KEY])
    assert push_copy(hosts[0], store).written
    assert numbers(hosts[0]) == copied(store) == {"a": 1}


def test_copy_that_lost_most_files_is_refused(store: Store, hosts: list[Dataset]) -> None:
    """MAN-3 guarded: a copy cut by another program does not empty the dataset."""
    ada, bob = hosts
    put(ada, *(upload(f"{n}", n + 1) for n in range(40)))
    push_copy(ada, store)
    pull_copy(bob, store)
    drop(bob, *(f"{n}" for n in range(20)))
    push_copy(bob, store)
    for exchange in (pull_copy, push_copy):
        with pytest.raises(DeletionRefusedError, match="lacks 20 of the 40 files"):
            exchange(ada, store)
        assert len(numbers(ada)) == 40
    assert pull_copy(ada, store, CopyOptions(accept_deletions=True)).deleted == 20


def test_copy_of_another_dataset_is_left_alone(store: Store, hosts: list[Dataset]) -> None:
    put(hosts[0], upload("a", 1))
    push_copy(hosts[0], store)
    other = create_dataset(hosts[1].state, DatasetSpec("17", "Hens", BUCKET, "styles/17/"))
    at = CopyOptions(at=S3Url(BUCKET, COPY_KEY))
    for exchange in (push_copy, pull_copy):
        with pytest.raises(ManifestFormatError, match="about dataset `16`"):
            exchange(other, store, at)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "no JSON object"),
        (
            json.dumps(
                {
                    "style_id": ID,
                    "s3_bucket": BUCKET,
                    "s3_prefix": PREFIX,
                    "files": [{"s3_key": f"{PREFIX}a"}],
                }
            ).encode(),
            "1 files of",
        ),
    ],
)
def test_copy_that_cannot_be_read_is_never_overwritten(
    body: bytes, why: str, store: Store, hosts: list[Dataset]
) -> None:
    put(hosts[0], upload("a", 1))
    store.put(BUCKET, COPY_KEY, body)
    with pytest.raises(ManifestFormatError, match=why):
        push_copy(hosts[0], store)
    assert store.get(BUCKET, COPY_KEY).read() == body


def test_elsewhere_is_a_copy_as_well(store: Store, hosts: list[Dataset]) -> None:
    ada, bob = hosts
    at = CopyOptions(at=S3Url(BUCKET, "backup/16.json"))
    put(ada, upload("a", 1), upload("b", 2))
    push_copy(ada, store, at)
    pull_copy(bob, store, at)
    drop(bob, "a")
    push_copy(bob, store, at)
    push_copy(ada, store, at)
    assert numbers(ada) == {"b": 2}


class _Unconditional:
    """A store that knows no conditions: it says so, or writes all the same."""

    def __init__(self, inner: Store, *, says: bool) -> None:
        self._inner = inner
        self._says = says

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def put(
        self, bucket: str, key: str, body: bytes, options: PutOptions = PutOptions()
    ) -> ObjectHead:
        if self._says and (options.if_absent or options.if_match):
            raise UnsupportedOperationError("not implemented")
        return self._inner.put(
            bucket, key, body, PutOptions(options.content_type, options.metadata)
        )


@pytest.mark.parametrize("says", [True, False])
def test_store_without_conditional_writes_is_refused_unless_asked(
    says: bool, store: Store, hosts: list[Dataset]
) -> None:
    put(hosts[0], upload("a", 1))
    weak: Store = _Unconditional(store, says=says)  # type: ignore[assignment]
    with pytest.raises(UnsupportedOperationError, match="no conditional writes") as caught:
        push_copy(hosts[0], weak)
    assert "--unconditional" in (caught.value.hint or "")
    keys = [one.key for one in store.list_page(ListQuery(BUCKET)).objects]
    assert keys == [], "nothing is left of the trial"
    assert push_copy(hosts[0], weak, CopyOptions(conditional=False)).written
    assert copied(store) == {"a": 1}


def test_conditions_are_tried_once_a_week(store: Store, hosts: list[Dataset], meter: Meter) -> None:
    ada = hosts[0]
    clock = ada.state.clock
    assert isinstance(clock, FixedClock)
    requests = []
    for number, days in enumerate((0, 1, 7)):
        clock.advance(86_400 * days)
        put(ada, upload("a", number + 1))
        before = sum(meter.calls.values())
        push_copy(ada, store)
        requests.append(sum(meter.calls.values()) - before)
    assert requests == [6, 2, 6]


def test_writer_that_may_not_delete_can_push(store: Store, hosts: list[Dataset]) -> None:
    put(hosts[0], upload("a", 1))
    denied = FaultStore(store, [Planned("delete", AccessDeniedError("s3:DeleteObject"))])
    assert push_copy(hosts[0], denied).written


def test_large_manifest_goes_up_in_parts(
    store: Store, hosts: list[Dataset], monkeypatch: pytest.MonkeyPatch, meter: Meter
) -> None:
    monkeypatch.setattr("stocktake.manifests._copy_object._PART_BYTES", 5 << 20)
    put(hosts[0], *(upload(f"{n:0400}", n + 1) for n in range(6_000)))
    push_copy(hosts[0], store)
    assert len(copied(store)) == 6_000
    assert pull_copy(hosts[1], store).added == 6_000


def test_upload_in_parts_that_fails_leaves_no_upload(
    store: Store, hosts: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stocktake.manifests._copy_object._PART_BYTES", 5 << 20)
    put(hosts[0], *(upload(f"{n:0400}", n + 1) for n in range(6_000)))
    broken = FaultStore(store, [Planned("put_part", StoreUnavailableError("gone"), skip=1)])
    with pytest.raises(StoreUnavailableError):
        push_copy(hosts[0], broken)
    assert uploads_of(store, BUCKET, COPY_KEY) == []
    assert push_copy(hosts[0], store).written
