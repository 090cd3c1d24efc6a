"""Which files of the folder have come to rest: the scan is the truth, nothing else is believed.

A file is ready when its identity did not change for the settle time, and the kernel said before and
after that nobody has it open for writing. Where the kernel cannot say, the time is longer. The only
clock is the monotonic one; times of files are compared with nothing but earlier times of the same
file, except that files which are ready at the same poll come in the order of their last change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stocktake.clock import Clock
from stocktake.errors import StocktakeError
from stocktake.ship._arrival_checksum import Rereader
from stocktake.ship._arrival_links import LinkPolicy
from stocktake.ship._arrival_rest import RestJudge, Waiting
from stocktake.ship._arrival_root import FolderGuard
from stocktake.ship._folder import identity_of, open_error
from stocktake.ship._kinds import kind_of
from stocktake.ship._records import Identity, ReadySource, SourceState
from stocktake.ship._scan import Fingerprint, FolderSight, fingerprint, fingerprint_of, look

if TYPE_CHECKING:
    from stocktake.ship._settings import ShipSettings

READY_MAX = 20_000
"""Files that one poll reports; the others are waiting and come with the next ones."""

_EVIDENCE_FILES = 1000
_GONE = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one poll found.

    Attributes:
        ready: Files to ship, in the order in which they became available.
        waiting: Files that are not at rest yet, or that did not fit in `ready`.
        busy: Those of them that somebody writes to.
        unmarked: Files whose marker is not there; they are not `waiting`.
        problems: What cannot be read or is not followed, each reported once.
        vanished: Files reported earlier that are not there any more, in a folder that is healthy.
            Completed ones, too: what it means is the ledger's to say.
        altered: With `checksum`: files whose bytes are not those that were shipped, although size
            and times are. The ledger must take them for new (`add_sources(..., force=True)`).
        detected: New and changed files that no poll saw before, ready or not; some of very many.
    """

    ready: list[ReadySource]
    waiting: int
    busy: int
    unmarked: int
    problems: list[tuple[bytes, StocktakeError]]
    vanished: list[bytes]
    altered: list[ReadySource] = field(default_factory=list)
    detected: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _Folder:
    """What is remembered of one directory. Names only: the path is there once."""

    known: dict[bytes, Fingerprint] = field(default_factory=dict)
    waiting: dict[bytes, Waiting] = field(default_factory=dict)
    device: int | None = None
    """None: not looked at yet, or not since the watched folder was replaced."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One directory at this poll: its device, known files that are there, and that are not."""

    device: int
    seen: int
    missing: int


@dataclass(slots=True)
class _Round:
    """What one poll collects."""

    now_s: float
    device: int = 0
    looks: dict[bytes, _Look] = field(default_factory=dict)
    due: list[tuple[int, bytes, bytes, os.stat_result]] = field(default_factory=list)
    problems: dict[bytes, StocktakeError] = field(default_factory=dict)
    blind: list[bytes] = field(default_factory=list)
    detected: list[bytes] = field(default_factory=list)
    waiting: int = 0
    busy: int = 0
    unmarked: int = 0


class Arrival:
    """Finds what arrives in one folder. One thread polls; memory is about 200 bytes per file.

    Args:
        known: What the ledger has: files that are reported only when they change.
        sha256_of: Hex digest of what was shipped of a path, None if it is not shipped; without it
            `settings.checksum` does nothing.
    """

    def __init__(
        self,
        settings: ShipSettings,
        *,
        clock: Clock,
        known: Iterable[tuple[bytes, Identity, SourceState]] = (),
        sha256_of: Callable[[bytes], str | None] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._root = os.fsencode(settings.folder)
        self._judge = RestJudge(settings)
        self._links = LinkPolicy(settings)
        self._marker = os.fsencode(settings.done_marker) if settings.done_marker else None
        self._folders: dict[bytes, _Folder] = {}
        self._evidence: dict[bytes, Fingerprint] = {}
        self._told: set[bytes] = set()
        self._guard = FolderGuard(
            settings.folder,
            clock=clock,
            confirm_s=settings.settle_unknown_s,
            evidence=self._sees_evidence,
        )
        self._rereader = None
        if settings.checksum and sha256_of is not None:
            self._rereader = Rereader(
                settings, clock=clock, paths=self._known_paths, sha256_of=sha256_of
            )
        for path, identity, state in known:
            if state is not SourceState.VANISHED:
                self._remember(path, fingerprint_of(identity))

    def poll(self) -> Sighting:
        """Look at everything once.

        Raises:
            WatchedFolderError: The folder is gone or another one. Nothing is concluded from that;
                the next poll looks whether it is back.
        """
        if not self._guard.check():
            self._start_over()
        now = _Round(self._clock.monotonic_s())
        self._walk(now)
        self._guard.recheck()
        ready = self._take(now)
        self._guard.proven = bool(ready) or any(one.seen for one in now.looks.values())
        vanished = self._vanished(now)
        problems = [(path, e) for path, e in now.problems.items() if path not in self._told]
        self._told = set(now.problems)
        altered = self._rereader.step() if self._rereader is not None else []
        return Sighting(
            ready, now.waiting, now.busy, now.unmarked, problems, vanished, altered, now.detected
        )

    def forget(self, path: bytes) -> None:
        """Look at this file as at a new one; if it is gone it is not called vanished."""
        place, _, name = path.rpartition(b"/")
        folder = self._folders.get(place)
        if folder is not None:
            folder.known.pop(name, None)
            folder.waiting.pop(name, None)
        self._told.discard(path)
        self._evidence.pop(path, None)

    def _known_paths(self) -> Iterator[bytes]:
        """All known files; those that come or go while it is read may be missing."""
        for place in list(self._folders):
            folder = self._folders.get(place)
            for name in list(folder.known) if folder is not None else ():
                yield place + b"/" + name if place else name

    def _remember(self, path: bytes, content: Fingerprint) -> None:
        place, _, name = path.rpartition(b"/")
        self._folders.setdefault(place, _Folder()).known[name] = content
        if path in self._evidence or len(self._evidence) < _EVIDENCE_FILES:
            self._evidence[path] = content

    def _sees_evidence(self) -> bool:
        """Whether a file that is known lies there unchanged."""
        for path, content in self._evidence.items():
            try:
                if fingerprint(os.lstat(self._root + b"/" + path)) == content:
                    return True
            except OSError:
                continue
        return False

    def _start_over(self) -> None:
        """Another folder is accepted: what is missing there has not vanished."""
        for folder in self._folders.values():
            folder.device = None
            folder.waiting.clear()

    def _walk(self, now: _Round) -> None:
        now.device = self._guard.device
        stack = [(b"", now.device, False)]
        while stack:
            place, device, linked = stack.pop()
            path = self._root + b"/" + place if place else self._root
            folder = self._folders.get(place) or _Folder()
            try:
                sight = look(path, folder.known)
            except _GONE:
                continue
            except OSError as error:
                now.problems[place] = open_error(place or b".", error)
                now.blind.append(place)
                continue
            below = place + b"/" if place else b""
            through = self._links.resolve(below, sight, folder.known, now.problems, linked=linked)
            seen = sight.known_seen
            now.looks[place] = _Look(device, seen, len(folder.known) - seen)
            self._consider(now, below, folder, sight)
            if folder.known or folder.waiting:
                self._folders[place] = folder
            for folders, link in ((sight.folders, linked), (through, True)):
                for name, status in folders:
                    if not self._links.is_own(below + name):
                        stack.append((below + name, status.st_dev, link))

    def _consider(self, now: _Round, below: bytes, folder: _Folder, sight: FolderSight) -> None:
        """New and changed files of one directory: are they at rest?"""
        before, folder.waiting = folder.waiting, {}
        markers = self._markers(sight)
        for name, status in sight.changed:
            if markers is not None and name + (self._marker or b"") not in markers:
                now.unmarked += name not in markers
                continue
            path = self._root + b"/" + below + name
            one = before.get(name)
            if one is None or one.print != fingerprint(status):
                if len(now.detected) < READY_MAX:
                    now.detected.append(below + name)
                one = self._judge.first_seen(path, status, now.now_s)
            try:
                due = self._judge.is_due(path, one, now.now_s)
            except _GONE:
                continue
            except OSError as error:
                now.problems[below + name] = open_error(below + name, error)
                continue
            folder.waiting[name] = one
            now.waiting += 1
            now.busy += one.busy
            if due:
                now.due.append((status.st_ctime_ns, below, name, status))

    def _markers(self, sight: FolderSight) -> set[bytes] | None:
        """The markers of one directory; None if files need none."""
        if self._marker is None:
            return None
        return {name for name, _ in sight.changed if name.endswith(self._marker)}

    def _take(self, now: _Round) -> list[ReadySource]:
        """The files at rest that became available first; from now on they are known."""
        now.due.sort(key=lambda one: (one[0], one[1], one[2]))
        ready: list[ReadySource] = []
        for _, below, name, status in now.due:
            if len(ready) >= READY_MAX:
                break
            path, waiting = below + name, self._folders[below[:-1]].waiting
            if not self._confirmed(now, path, waiting[name]):
                continue
            kind = kind_of(self._settings, path, status.st_size)
            ready.append(ReadySource(path, identity_of(status), kind))
            del waiting[name]
            self._remember(path, fingerprint(status))
        now.waiting -= len(ready)
        return ready

    def _confirmed(self, now: _Round, path: bytes, one: Waiting) -> bool:
        try:
            confirmed = self._judge.confirm(self._root + b"/" + path, one)
        except _GONE:  # the next poll sees what has become of it
            return False
        except OSError as error:
            now.problems[path] = open_error(path, error)
            return False
        now.busy += one.busy
        return confirmed

    def _vanished(self, now: _Round) -> list[bytes]:
        """Known files that are gone: never those of a directory that was not, or badly, seen."""
        vanished: list[bytes] = []
        for place, folder in list(self._folders.items()):
            sight = now.looks.get(place)
            first, lost = folder.device is None, False
            if sight is None:
                lost = not first and folder.device == now.device and not _is_below(now.blind, place)
                drop = lost or (first and self._guard.proven and not _is_below(now.blind, place))
            elif first:
                drop = self._guard.proven
                folder.device = sight.device if drop or not folder.known else None
            else:
                drop = lost = sight.missing > 0 and sight.device == folder.device
                folder.device = sight.device if sight.seen else folder.device
            if drop:
                gone = self._drop_missing(place, folder)
                vanished += gone if lost else []
            if not (folder.known or folder.waiting):
                del self._folders[place]
        return vanished

    def _drop_missing(self, place: bytes, folder: _Folder) -> list[bytes]:
        """Known files that are not there. A listing may miss one being replaced: each is asked."""
        below = place + b"/" if place else b""
        path = self._root + b"/" + below
        try:
            there = {entry.name for entry in os.scandir(path)}
        except OSError:
            there = set()
            folder.waiting.clear()
        gone = [
            name for name in folder.known if name not in there and not os.path.lexists(path + name)
        ]
        for name in gone:
            del folder.known[name]
            self._evidence.pop(below + name, None)
        return [below + name for name in gone]


def _is_below(places: list[bytes], place: bytes) -> bool:
    return any(not one or place == one or place.startswith(one + b"/") for one in places)
