"""What became of one key since the last sync, and what is to be done about it: a pure function.

Three sides say something of a key: the manifest (what both sides had when they last agreed), the
local folder, and the bucket. Each of the two is, seen from the manifest, the same, changed or
absent; where the manifest has nothing, present or absent.

`state_of` names what became of it, `action_of` what follows. No key is ever overwritten or deleted
on the strength of anything but: the other side is exactly as the manifest has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Seen(StrEnum):
    """A side, seen from the manifest. `CHANGED` is also what stands where the manifest has none."""

    ABSENT = "absent"
    SAME = "same"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of one key.

    Attributes:
        recorded: The manifest has it.
        local: The file.
        remote: The object.
        alike: File and object have the same bytes; None: one is absent, or nobody compared.
    """

    recorded: bool
    local: Seen
    remote: Seen
    alike: bool | None = None


class KeyState(StrEnum):
    """What became of a key since the last sync."""

    IDENTICAL = "identical"
    NEW_LOCALLY = "new-locally"
    CHANGED_LOCALLY = "changed-locally"
    DELETED_LOCALLY = "deleted-locally"
    NEW_REMOTELY = "new-remotely"
    CHANGED_REMOTELY = "changed-remotely"
    DELETED_REMOTELY = "deleted-remotely"
    DELETED = "deleted"
    """Gone from both sides; the manifest still has it."""
    CONFLICT = "conflict"
    """Both changed, each in its own way."""


class SyncAction(StrEnum):
    """What is to be done about a key."""

    NOTHING = "nothing"
    ENTER = "enter"
    """Both have the same bytes, and the manifest does not say so: only it changes."""
    UPLOAD = "upload"
    DOWNLOAD = "download"
    DELETE_OBJECT = "delete-object"
    DELETE_FILE = "delete-file"
    FORGET = "forget"
    """The manifest records the deletion; nothing else is left to delete."""
    ASK = "ask"
    """Nothing is done: somebody has to say which side is right."""
    KEEP_BOTH = "keep-both"
    """The file gets another name, and then each side has both."""


class OnConflict(StrEnum):
    """Which side is right where they differ and nobody can know."""

    LOCAL = "local"
    REMOTE = "remote"
    BOTH = "both"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a sync may do.

    Attributes:
        two_way: What changed in the bucket comes down too.
        delete: Deletions are carried over to the other side.
        on_conflict: None: it is reported, and both sides stay as they are.
    """

    two_way: bool = False
    delete: bool = False
    on_conflict: OnConflict | None = None


def state_of(sight: Sight) -> KeyState:
    """What became of the key. `alike` must be known if both are there and neither is the same."""
    local, remote = sight.local, sight.remote
    if sight.alike and Seen.ABSENT not in {local, remote}:
        return KeyState.IDENTICAL
    if not sight.recorded:
        return _unrecorded(local, remote)
    match local, remote:
        case Seen.SAME, Seen.SAME:
            return KeyState.IDENTICAL
        case Seen.CHANGED, Seen.SAME | Seen.ABSENT:
            return KeyState.CHANGED_LOCALLY  # a change beats a deletion
        case Seen.SAME | Seen.ABSENT, Seen.CHANGED:
            return KeyState.CHANGED_REMOTELY
        case Seen.ABSENT, Seen.SAME:
            return KeyState.DELETED_LOCALLY
        case Seen.SAME, Seen.ABSENT:
            return KeyState.DELETED_REMOTELY
        case Seen.ABSENT, Seen.ABSENT:
            return KeyState.DELETED
        case _:
            return KeyState.CONFLICT


def _unrecorded(local: Seen, remote: Seen) -> KeyState:
    if local is Seen.ABSENT:
        return KeyState.NEW_REMOTELY
    return KeyState.NEW_LOCALLY if remote is Seen.ABSENT else KeyState.CONFLICT


def needs_comparison(sight: Sight) -> bool:
    """Whether `alike` decides: both are there, and the object is not what the manifest has."""
    return sight.alike is None and sight.local is not Seen.ABSENT and sight.remote is Seen.CHANGED


def action_of(state: KeyState, sight: Sight, policy: Policy) -> SyncAction:
    """What follows from it under this policy."""
    match state:
        case KeyState.IDENTICAL:
            known = sight.recorded and (sight.local, sight.remote) == (Seen.SAME, Seen.SAME)
            return SyncAction.NOTHING if known else SyncAction.ENTER
        case KeyState.NEW_LOCALLY | KeyState.CHANGED_LOCALLY:
            return SyncAction.UPLOAD
        case KeyState.DELETED:
            return SyncAction.FORGET
        case KeyState.CONFLICT:
            return _settled(policy)
        case KeyState.NEW_REMOTELY:
            return SyncAction.DOWNLOAD if policy.two_way else SyncAction.NOTHING
        case KeyState.CHANGED_REMOTELY:
            return _changed_remotely(sight, policy)
        case KeyState.DELETED_LOCALLY:
            if policy.delete:
                return SyncAction.DELETE_OBJECT
            return SyncAction.DOWNLOAD if policy.two_way else SyncAction.NOTHING
        case KeyState.DELETED_REMOTELY:
            # one way, the folder is what is right; without --delete everything is kept
            return SyncAction.DELETE_FILE if policy.two_way and policy.delete else SyncAction.UPLOAD


def _changed_remotely(sight: Sight, policy: Policy) -> SyncAction:
    """Behind our back. One way it is a conflict: the folder is right, and is not what is there."""
    if policy.two_way:
        return SyncAction.DOWNLOAD
    if sight.local is not Seen.ABSENT:
        return _settled(policy)
    if not policy.delete:
        return SyncAction.NOTHING
    if policy.on_conflict is OnConflict.LOCAL:
        return SyncAction.DELETE_OBJECT
    return SyncAction.DOWNLOAD if policy.on_conflict is not None else SyncAction.ASK


def _settled(policy: Policy) -> SyncAction:
    match policy.on_conflict:
        case OnConflict.LOCAL:
            return SyncAction.UPLOAD
        case OnConflict.REMOTE:
            return SyncAction.DOWNLOAD
        case OnConflict.BOTH:
            return SyncAction.KEEP_BOTH
        case _:
            return SyncAction.ASK
