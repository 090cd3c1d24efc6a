"""Any history of a folder: what is reported had come to rest, nothing is lost, nothing is twice.

Files are written, appended to, held open, renamed, removed and made again, by a clock that does not
wait. Every content has a size of its own, so that no two are taken for the same within one tick of
the file system's clock.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stocktake.clock import FixedClock
from stocktake.ship import ReadySource, ShipSettings, SourceState
from stocktake.ship._arrival import Arrival

SETTLE_S = 2.0
NAMES = strategies.sampled_from(["a", "b", "c", "d/a", "d/b", "d/deep/a"])
SIZES = itertools.count(1)


@dataclass
class Content:
    """One file: the size that it is known by, and who has it open."""

    size: int
    writers: list[BinaryIO] = field(default_factory=list)


@dataclass
class Place:
    """What is at a path, and when that changed last."""

    content: Content
    at_s: float
    changes: int = 1


class Folder(RuleBasedStateMachine):
    """The folder, a model of it, and what the arrival has said."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="arrival-"))
        self.folder = self.root / "in"
        self.folder.mkdir()
        self.clock = FixedClock(datetime(2026, 11, 1, tzinfo=UTC))
        self.settings = ShipSettings(
            folder=self.folder,
            bucket="landing",
            state_folder=self.root / "state",
            error_folder=self.folder / ".failed",
            settle_s=SETTLE_S,
            settle_unknown_s=SETTLE_S,
        )
        self.places: dict[str, Place] = {}
        self.reported: dict[str, tuple[ReadySource, int]] = {}
        self.tracked: set[str] = set()
        self.fresh = True
        self.arrival = Arrival(self.settings, clock=self.clock)

    def teardown(self) -> None:
        for place in list(self.places.values()):
            for writer in place.content.writers:
                writer.close()
            place.content.writers.clear()
        for _ in range(2):
            self.look(SETTLE_S)
        for name, place in self.places.items():
            assert self.reported[name][0].identity.size_bytes == place.content.size, name
        sighting = self.arrival.poll()
        assert (sighting.ready, sighting.waiting, sighting.vanished) == ([], 0, [])
        shutil.rmtree(self.root)

    def changed(self, name: str, content: Content) -> None:
        before = self.places.get(name)
        changes = before.changes + 1 if before else self.reported.get(name, (None, 0))[1] + 1
        self.places[name] = Place(content, self.clock.monotonic_s(), changes)

    def path(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @rule(name=NAMES, old=strategies.booleans())
    def write(self, name: str, old: bool) -> None:
        """Written in one go, perhaps with a time in the past as `cp -p` has it."""
        content = self.places[name].content if name in self.places else Content(0)
        content.size = next(SIZES)
        self.path(name).write_bytes(b"x" * content.size)
        if old:
            os.utime(self.path(name), (1, 1))
        self.changed(name, content)

    @rule(name=NAMES)
    def open_writer(self, name: str) -> None:
        if name in self.places:
            content = self.places[name].content
            content.writers.append(self.path(name).open("r+b", buffering=0))

    @rule(name=NAMES)
    def write_on(self, name: str) -> None:
        """Whoever has it open writes."""
        if name in self.places and self.places[name].content.writers:
            content = self.places[name].content
            content.size = next(SIZES)
            content.writers[0].truncate(content.size)
            self.changed(name, content)

    @rule(name=NAMES)
    def close_writer(self, name: str) -> None:
        if name in self.places and self.places[name].content.writers:
            self.places[name].content.writers.pop().close()

    @rule(name=NAMES)
    def arrive_by_rename(self, name: str) -> None:
        content = Content(next(SIZES))
        aside = self.root / "aside"
        aside.write_bytes(b"x" * content.size)
        aside.rename(self.path(name))
        self.replaced(name)
        self.changed(name, content)

    @rule(name=NAMES, onto=NAMES)
    def rename(self, name: str, onto: str) -> None:
        if name in self.places and name != onto:
            self.path(name).rename(self.path(onto))
            self.replaced(onto)
            self.changed(onto, self.places.pop(name).content)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.places:
            self.path(name).unlink()
            self.replaced(name)
            del self.places[name]

    @rule()
    def delete_folder(self) -> None:
        shutil.rmtree(self.folder / "d", ignore_errors=True)
        for name in [name for name in self.places if name.startswith("d/")]:
            self.replaced(name)
            del self.places[name]

    def replaced(self, name: str) -> None:
        """Writers of a file that has no name any more write to nobody."""
        for writer in self.places[name].content.writers if name in self.places else ():
            with contextlib.suppress(OSError):
                writer.close()

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        self.arrival.forget(name.encode())
        self.tracked.discard(name)
        self.reported.pop(name, None)

    @rule()
    def restart(self) -> None:
        known = [
            (name.encode(), one.identity, SourceState.COMPLETED)
            for name, (one, _) in self.reported.items()
        ]
        self.arrival = Arrival(self.settings, clock=self.clock, known=known)
        self.tracked, self.fresh = set(), True

    @rule(after_s=strategies.sampled_from([0.0, 0.5, 1.0, SETTLE_S, 60.0]))
    def look(self, after_s: float) -> None:
        self.clock.advance(after_s)
        now_s = self.clock.monotonic_s()
        if self.fresh:
            self.tracked = self.reported.keys() & self.places.keys()
            self.fresh = False
        sighting = self.arrival.poll()
        gone = {name for name in self.tracked if name not in self.places}
        assert {path.decode() for path in sighting.vanished} == gone
        self.tracked -= gone
        for name in gone:
            del self.reported[name]
        assert sighting.problems == []
        for one in sighting.ready:
            name = one.path.decode()
            place = self.places[name]
            assert one.identity.size_bytes == place.content.size
            assert now_s - place.at_s >= SETTLE_S
            assert not place.content.writers
            if name in self.reported:
                assert self.reported[name][1] < place.changes, f"{name} is reported twice"
            self.reported[name] = (one, place.changes)
            self.tracked.add(name)

    @invariant()
    def the_model_is_the_folder(self) -> None:
        there = {
            p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if p.is_file()
        }
        assert there == set(self.places)


Folder.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestArrivalModel = Folder.TestCase
