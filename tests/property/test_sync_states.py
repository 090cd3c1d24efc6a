"""The decisions of a sync, all of them, against what must never happen (MAN-3)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.manifests._compare import (
    KeyState,
    OnConflict,
    Policy,
    Seen,
    Sight,
    SyncAction,
    action_of,
    needs_comparison,
    state_of,
)

CONTENTS = st.sampled_from([None, "base", "one", "two"])
POLICIES = st.builds(
    Policy,
    two_way=st.booleans(),
    delete=st.booleans(),
    on_conflict=st.sampled_from([None, *OnConflict]),
)


def _seen(base: str | None, now: str | None) -> Seen:
    if now is None:
        return Seen.ABSENT
    return Seen.SAME if now == base else Seen.CHANGED


def sight_of(base: str | None, local: str | None, remote: str | None) -> Sight:
    """What a perfect observer sees of three contents."""
    alike = None if local is None or remote is None else local == remote
    return Sight(base is not None, _seen(base, local), _seen(base, remote), alike)


def after(
    base: str | None, local: str | None, remote: str | None, action: SyncAction
) -> tuple[str | None, str | None, str | None, set[str]]:
    """Manifest, folder and bucket afterwards, and what was kept beside."""
    match action:
        case SyncAction.UPLOAD:
            return local, local, local, set()
        case SyncAction.DOWNLOAD:
            return remote, remote, remote, set()
        case SyncAction.ENTER:
            return remote, local, remote, set()
        case SyncAction.DELETE_OBJECT:
            return None, local, None, set()
        case SyncAction.DELETE_FILE:
            return None, None, remote, set()
        case SyncAction.FORGET:
            return None, local, remote, set()
        case SyncAction.KEEP_BOTH:
            return remote, remote, remote, {local or ""}
        case _:
            return base, local, remote, set()


@given(CONTENTS, CONTENTS, CONTENTS, POLICIES)
def test_nothing_that_only_one_side_has_is_ever_lost(
    base: str | None, local: str | None, remote: str | None, policy: Policy
) -> None:
    if base is None and local is None and remote is None:
        return
    sight = sight_of(base, local, remote)
    action = action_of(state_of(sight), sight, policy)
    _, folder, bucket, beside = after(base, local, remote, action)
    told = policy.on_conflict in {OnConflict.LOCAL, OnConflict.REMOTE}
    for content in (local, remote):
        if content is None or content in {folder, bucket} | beside:
            continue
        # gone from both sides: only if the manifest had just that, which the other side has
        # replaced or (with --delete) removed; or if somebody said who is right
        assert content == base or told
        if content == base and folder is None and bucket is None:
            assert policy.delete
    if action is SyncAction.UPLOAD:
        assert local is not None
    if action in {SyncAction.DOWNLOAD, SyncAction.KEEP_BOTH, SyncAction.ENTER}:
        assert remote is not None
    if action in {SyncAction.KEEP_BOTH, SyncAction.ENTER, SyncAction.DELETE_FILE}:
        assert local is not None


@given(CONTENTS, CONTENTS, CONTENTS, POLICIES)
def test_one_way_never_touches_the_folder_unless_told_who_is_right(
    base: str | None, local: str | None, remote: str | None, policy: Policy
) -> None:
    if policy.two_way or policy.on_conflict in {OnConflict.REMOTE, OnConflict.BOTH}:
        return
    if base is None and local is None and remote is None:
        return
    sight = sight_of(base, local, remote)
    action = action_of(state_of(sight), sight, policy)
    assert after(base, local, remote, action)[1] == local


@given(CONTENTS, CONTENTS, CONTENTS, POLICIES)
def test_an_object_is_only_replaced_or_deleted_if_the_manifest_has_it_just_so_or_one_was_told(
    base: str | None, local: str | None, remote: str | None, policy: Policy
) -> None:
    if base is None and local is None and remote is None:
        return
    sight = sight_of(base, local, remote)
    action = action_of(state_of(sight), sight, policy)
    bucket = after(base, local, remote, action)[2]
    if bucket != remote and remote is not None:
        assert remote == base or policy.on_conflict is OnConflict.LOCAL
    if remote is not None and bucket is None:
        assert policy.delete


@given(CONTENTS, CONTENTS, CONTENTS, POLICIES)
def test_a_second_sync_finds_nothing_to_do(
    base: str | None, local: str | None, remote: str | None, policy: Policy
) -> None:
    if base is None and local is None and remote is None:
        return
    first = sight_of(base, local, remote)
    action = action_of(state_of(first), first, policy)
    if action is SyncAction.ASK:
        return
    base, local, remote, _ = after(base, local, remote, action)
    if base is None and local is None and remote is None:
        return
    second = sight_of(base, local, remote)
    again = action_of(state_of(second), second, policy)
    assert again is SyncAction.NOTHING or (action is SyncAction.NOTHING and again is action)


@given(CONTENTS, CONTENTS, CONTENTS)
def test_two_ways_with_deletions_the_sides_agree_afterwards(
    base: str | None, local: str | None, remote: str | None
) -> None:
    if base is None and local is None and remote is None:
        return
    sight = sight_of(base, local, remote)
    policy = Policy(two_way=True, delete=True)
    state = state_of(sight)
    action = action_of(state, sight, policy)
    manifest, folder, bucket, _ = after(base, local, remote, action)
    if state is KeyState.CONFLICT:
        assert action is SyncAction.ASK
        assert (folder, bucket) == (local, remote)
    else:
        assert folder == bucket == manifest
    if None in {local, remote} and {local, remote} - {None, base}:
        assert folder is not None, "a change beats a deletion"


@pytest.mark.parametrize(
    ("recorded", "local", "remote"), list(itertools.product([False, True], Seen, Seen))
)
def test_bytes_are_compared_only_where_that_decides(
    recorded: bool, local: Seen, remote: Seen
) -> None:
    sight = Sight(recorded, local, remote)
    if Seen.ABSENT in {local, remote} or remote is Seen.SAME:
        assert not needs_comparison(sight)
    else:
        assert needs_comparison(sight)
