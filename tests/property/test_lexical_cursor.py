"""A lexical cursor and any order of arrivals: what is within the lookback is never lost (STR-3).

The model knows when each object appeared and which keys its domain showed at any time. An object
must be given by the first run that is committed after it appeared, if it sorts behind everything
that its domain showed `lookback` before it appeared, or among the last `lookback_keys` keys that
the run before it listed, or is in a folder that no run has met. And as long as an object may still
change, every run gives it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from strategy_world import StrategyWorld

FOLDERS = ("", "a/", "b/", "b/2026-03-01/", "b/2026-03-02/", "b/2026-03-03/", "c/x/")


@dataclass(frozen=True)
class Arrival:
    key: str
    folder: str
    at_s: float


class LexicalCursor(RuleBasedStateMachine):
    """Arrivals, overwrites, deletions, waiting, runs that are committed and runs that are not."""

    @initialize(
        lookback_keys=st.sampled_from([0, 0, 1, 4]),
        lookback_s=st.sampled_from([0, 0, 60, 600, 3600]),
        settle_s=st.sampled_from([0, 120, 600]),
        depth=st.sampled_from([None, None, 0, 1]),
    )
    def begin(self, lookback_keys, lookback_s, settle_s, depth):
        self.world = StrategyWorld(
            "incremental_lexical",
            lookback_keys=lookback_keys,
            lookback_s=lookback_s,
            settle_s=settle_s,
            domain_depth=depth,
            close_after="3h",
            unfinished_max=0,
            force=True,
        )
        self.depth = depth
        self.next = dict.fromkeys(FOLDERS, 500)
        self.shown: dict[str, list[tuple[float, str]]] = {}
        self.tails: dict[str, list[str]] = {}
        self.owed: dict[str, Arrival] = {}
        self.met: set[str] = set()
        self.last_new: dict[str, float] = {}
        self.given: set[str] = set()
        self.held: set[str] = set()

    def now(self) -> float:
        return self.world.clock.now().timestamp()

    def domain(self, key: str) -> str:
        folder = key[: key.rfind("/") + 1]
        if self.depth is None:
            return folder
        return "/".join([*folder.split("/")[: self.depth], ""]) if self.depth and folder else ""

    @rule(folder=st.sampled_from(FOLDERS), step=st.integers(1, 3))
    def arrive_in_order(self, folder, step):
        self.next[folder] += step
        self._arrive(f"{folder}{self.next[folder]:04}")

    @rule(folder=st.sampled_from(FOLDERS), behind=st.integers(0, 40))
    def arrive_late(self, folder, behind):
        key = f"{folder}{max(0, self.next[folder] - behind):04}-late"
        if key not in self.world.present():
            self._arrive(key)

    @rule(data=st.data())
    def delete(self, data):
        keys = sorted(self.world.present())
        if keys:
            key = data.draw(st.sampled_from(keys))
            self.world.delete(key)
            self.owed.pop(key, None)
            self.given.discard(key)

    @rule(data=st.data())
    def write_an_unfinished_object_again(self, data):
        keys = sorted(self.held & self.world.present())
        if keys:
            key = data.draw(st.sampled_from(keys))
            self.world.put(key, body=b"longer")
            self.owed[key] = Arrival(key, self.domain(key), self.now())

    @rule(minutes=st.sampled_from([0.5, 1, 5, 30, 61, 240]))
    def wait(self, minutes):
        self.world.wait(minutes=minutes)

    @rule()
    def run_and_crash_before_commit(self):
        self.world.run(commit=False)

    @rule()
    def run(self):
        found = set(self.world.run())
        lost = {key for key in self.owed if key not in found}
        assert not lost, f"within the lookback, and lost: {lost}"
        young = self.fresh_keys() & self.given
        assert young <= found, f"unfinished, and passed: {young - found}"
        self.owed.clear()
        self.given = (self.given | found) & self.world.present()
        self.held = self.fresh_keys() & found
        self.tails = {}
        for key in sorted(self.world.present()):
            self.tails.setdefault(self.domain(key), []).append(key)
            self.met.add(self.domain(key))

    def fresh_keys(self) -> set[str]:
        limit = self.now() - self.world.settings["settle_s"]
        table = self.world.store.buckets["b"]
        return {
            key for key in self.world.present() if table.find(key).last_modified.timestamp() > limit
        }

    def _arrive(self, key: str) -> None:
        world, now = self.world, self.now()
        domain = self.domain(key)
        shown = self.shown.setdefault(domain, [])
        horizon = now - world.settings["lookback_s"]
        in_order = all(other < key for at_s, other in shown if at_s <= horizon)
        tail = self.tails.get(domain, [])
        count = world.settings["lookback_keys"]
        before_last = tail[-count - 1] if len(tail) > count else ""
        among_last = bool(tail) and count > 0 and key > before_last
        world.put(key)
        shown.append((now, key))
        closed_s = world.settings["close_after_s"]
        dated = "2026-" in domain
        idle = dated and now - self.last_new.get(domain, now) >= closed_s - 3600
        self.last_new[domain] = now
        if not idle and (in_order or among_last or domain not in self.met):
            self.owed[key] = Arrival(key, domain, now)

    @invariant()
    def cursor_is_small(self):
        if hasattr(self, "world"):
            assert len(self.world.cursor.get("folders", {})) <= 2 * len(FOLDERS)


LexicalCursor.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestLexicalCursor = LexicalCursor.TestCase
