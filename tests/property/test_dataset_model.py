"""Commits of two writers against a dict that keeps every version. MAN-2, MAN-5.

Whatever they write in whatever order, seeing the present or the past: every version reads as it
was then, nothing is made that its writer did not see the ground of, totals and figures are those
of the entries, and what changed between any two versions is exactly that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from dataset_world import NOW, new_dataset, record
from stocktake.clock import FixedClock
from stocktake.manifests import ANY, DeleteEntry, Edit, PutEntry, Reason, UploadRecord
from stocktake.manifests import _dataset_commit as committing
from stocktake.manifests import _dataset_read as reading
from stocktake.state import State, open_state

NAMES = ["a", "a/b", "a\x00", "b%", "ü", "\U0001f600"]
Model = dict[str, tuple[UploadRecord, int]]

edits = st.tuples(
    st.sampled_from(["put", "put", "delete"]),
    st.sampled_from(NAMES),
    st.integers(0, 3),
    st.sampled_from(["any", "seen", "seen"]),
)


class Writers(RuleBasedStateMachine):
    """Two writers; each has seen some version and says so, or does not care."""

    state: State

    @initialize()
    def begin(self) -> None:
        self.dataset = new_dataset(self.state)
        self.prefix = self.dataset.info().prefix
        self.versions: list[Model] = [{}]
        self.deleted: list[tuple[str, int]] = []
        self.seen = [0, 0]

    @rule(writer=st.integers(0, 1))
    def look(self, writer: int) -> None:
        self.seen[writer] = self.dataset.info().version

    @rule(
        writer=st.integers(0, 1),
        words=st.lists(edits, min_size=0, max_size=6, unique_by=lambda word: word[1]),
    )
    def commit(self, writer: int, words: list[tuple[str, str, int, str]]) -> None:
        view = self.versions[self.seen[writer]]
        made = [self._edit(word, view) for word in words]
        done = self.dataset.commit(made, Reason.SYNC)
        self._check(made, done)

    @rule(words=st.lists(edits, min_size=2, max_size=8))
    def commit_keys_again_and_again(self, words: list[tuple[str, str, int, str]]) -> None:
        made = [self._edit((*word[:3], "any"), {}) for word in words]
        done = self.dataset.commit(iter(made), Reason.SYNC)
        self._check(made, done)

    def _edit(self, word: tuple[str, str, int, str], view: Model) -> Edit:
        what, name, number, how = word
        there = view.get(self.prefix + name)
        since = there[1] if there else None
        if what == "put":
            new = record(name, number, prefix=self.prefix)
            return PutEntry(new, ANY if how == "any" else since)
        return DeleteEntry(self.prefix + name, ANY if how == "any" or since is None else since)

    def _check(self, made: list[Edit], done: Any) -> None:
        before = self.versions[-1]
        after = dict(before)
        new = len(self.versions)
        conflicts = []
        for edit in made:
            key = edit.record.s3_key if isinstance(edit, PutEntry) else edit.s3_key
            there = after.get(key)
            if isinstance(edit, PutEntry) and there and there[0] == edit.record:
                continue
            if isinstance(edit, DeleteEntry) and there is None:
                continue
            if edit.expected is not ANY and edit.expected != (there[1] if there else None):
                conflicts.append(edit)
            elif isinstance(edit, PutEntry):
                after[key] = (edit.record, new)
            else:
                del after[key]
        assert [edit for edit, _ in done.conflicts] == conflicts
        changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        kinds = [(key in before, key in after) for key in changed]
        counted = tuple(kinds.count(one) for one in ((False, True), (True, True), (True, False)))
        assert (done.added, done.replaced, done.deleted) == counted
        if changed:
            self.versions.append(after)
            self.deleted += [(key, new) for key in changed if key not in after]
        assert done.version == len(self.versions) - 1

    @invariant()
    def every_version_reads_as_it_was(self) -> None:
        if not hasattr(self, "versions"):
            return
        for number, model in enumerate(self.versions):
            read = [
                (one.record.s3_key, (one.record, one.since_version))
                for one in self.dataset.entries(version=number)
            ]
            assert read == sorted(model.items(), key=lambda item: item[0].encode())
        info = self.dataset.info()
        sizes = [one.size_bytes for one, _ in self.versions[-1].values()]
        assert (info.version, info.total_files) == (len(self.versions) - 1, len(sizes))
        assert info.total_size_bytes == sum(sizes)
        for one in self.dataset.history():
            assert one.total_files == len(self.versions[one.version])

    @rule(pick=st.tuples(st.integers(0, 99), st.integers(0, 99)), at_once=st.sampled_from([0, 99]))
    def compare(self, pick: tuple[int, int], at_once: int) -> None:
        old, new = (number % len(self.versions) for number in pick)
        reading.CHANGES_AT_ONCE = at_once
        told = {
            (before or after).record.s3_key: (  # type: ignore[union-attr]
                before and (before.record, before.since_version),
                after and (after.record, after.since_version),
            )
            for before, after in self.dataset.changes(old, new)
        }
        one, other = self.versions[old], self.versions[new]
        expected = {
            key: (one.get(key), other.get(key))
            for key in {*one, *other}
            if (one.get(key) or [None])[0] != (other.get(key) or [None])[0]
        }
        assert told == expected
        assert list(told) == sorted(told, key=str.encode)

    @rule(name=st.sampled_from(NAMES), pick=st.integers(0, 99))
    def find(self, name: str, pick: int) -> None:
        number = pick % len(self.versions)
        found = self.dataset.find(self.prefix + name, version=number)
        expected = self.versions[number].get(self.prefix + name)
        assert (found and (found.record, found.since_version)) == expected

    @rule()
    def what_was_deleted_is_known(self) -> None:
        told = [
            (entry.record.s3_key, version.version)
            for entry, version in self.dataset.deletions(limit=1000)
        ]
        assert sorted(told) == sorted(self.deleted)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
)
def state(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[State]:
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path_factory.mktemp('model')}/state.db"
    else:
        address = str(request.getfixturevalue("postgres").new_database())
    with open_state(address, clock=FixedClock(NOW)) as opened:
        yield opened


def _play(state: State, monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    monkeypatch.setattr(reading, "PAGE_ROWS", 2)
    monkeypatch.setattr(reading, "CHANGES_AT_ONCE", 99)  # `compare` sets it, this puts it back
    monkeypatch.setattr(committing, "_EDITS_PER_ROUND", 2)
    machine = type("Writers", (Writers,), {"state": state})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=12)
    )


def test_two_writers_against_a_dict(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    _play(state, monkeypatch, 25)


@pytest.mark.slow
def test_two_writers_against_a_dict_for_long(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    _play(state, monkeypatch, 150)
