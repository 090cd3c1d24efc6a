"""Which strategy fits a prefix, from evidence: expected calls, cost, time, risk, and why.

`plan_strategy` is a pure function; `gather_evidence` makes the few requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any

from stocktake.listing._evidence import KEYS_UNKNOWN, Evidence
from stocktake.listing._strategy import GUARANTEES, Promise, StrategyName

_WORKERS, _UNORDERED_WORKERS = 64, 8
_SCAN_OVERHEAD = 1.15
_PAGE_S = 0.082
_CHEAP_CALLS = 120
_HOUR_S, _DAY_S = 3600.0, 86_400.0
_LOOKBACK_LEAST_S = 600.0


@dataclass(frozen=True, slots=True)
class PlanPrices:
    """Prices in one currency.

    Attributes:
        list_per_1000: For 1,000 LIST requests.
        inventory_per_million: For a million objects in a report.
        events_per_million: For a million queue requests; an event takes about two.
    """

    list_per_1000: float = 0.005
    inventory_per_million: float = 0.0025
    events_per_million: float = 0.40


@dataclass(frozen=True, slots=True)
class PlanNeeds:
    """What the user wants.

    Attributes:
        fresh_within_s: A new object has to be known after this long at the latest.
        runs_per_day: How often a listing strategy would run; None: often enough for that.
        sees_overwrites: Overwritten objects have to be noticed without waiting for an audit.
        sees_deletes: Deleted ones too.
    """

    fresh_within_s: float = 3600.0
    runs_per_day: float | None = None
    sees_overwrites: bool = False
    sees_deletes: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """One strategy, judged.

    Attributes:
        strategy: Which.
        fits: It can be used here and does what is needed.
        calls: LIST requests of one run.
        cost_per_month: Of its requests, in the currency of the prices; audits included.
        run_s: How long one run takes.
        fresh_s: How old its answer is at most.
        risk: What it may miss, as a sentence.
        why: What speaks for and against it, as sentences; the weightiest first.
        settings: What to set, for `parse_settings`.
    """

    strategy: StrategyName
    fits: bool
    calls: float
    cost_per_month: float
    run_s: float
    fresh_s: float
    risk: str
    why: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """The candidates, best first.

    Attributes:
        candidates: All strategies that discover; those that do not fit are last.
        audit_every: How often a full scan should look after a partial strategy.
        lookback: How far to look back: twice the longest lateness that was observed.
        findings: What the evidence says, as sentences.
    """

    candidates: tuple[Candidate, ...]
    audit_every: timedelta
    lookback: timedelta
    findings: tuple[str, ...]

    @property
    def best(self) -> Candidate:
        """The recommendation."""
        return self.candidates[0]

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        names = ("fits", "calls", "cost_per_month", "run_s", "fresh_s", "risk")
        return {
            "strategy": str(self.best.strategy),
            "audit_every_s": self.audit_every.total_seconds(),
            "lookback_s": self.lookback.total_seconds(),
            "findings": list(self.findings),
            "candidates": [
                {
                    "strategy": str(one.strategy),
                    **{name: getattr(one, name) for name in names},
                    "why": list(one.why),
                    "settings": dict(one.settings),
                }
                for one in self.candidates
            ],
        }


def plan_strategy(
    evidence: Evidence,
    needs: PlanNeeds = PlanNeeds(),
    prices: PlanPrices = PlanPrices(),
) -> Plan:
    """Judge every strategy that discovers, and rank them.

    First those that fit; of these, those of which no audit has found that they missed objects; of
    these a full scan if it is cheap, because it sees everything; then the shorter run.
    """
    judge = _Judge(evidence, needs, prices)
    candidates = sorted(judge.candidates(), key=judge.rank)
    return Plan(
        tuple(candidates),
        judge.audit_every,
        timedelta(seconds=judge.lookback_s),
        tuple(_findings(evidence)),
    )


class _Judge:
    """Evidence, needs and prices, and what follows from them."""

    def __init__(self, evidence: Evidence, needs: PlanNeeds, prices: PlanPrices) -> None:
        self._evidence = evidence
        self._needs = needs
        self._prices = prices
        self._keys = evidence.keys if evidence.keys is not None else KEYS_UNKNOWN
        self._page_s = evidence.page_s or _PAGE_S
        self._full_calls = 1.0 if self._keys <= 1000 else ceil(self._keys / 1000 * _SCAN_OVERHEAD)
        self._workers = _WORKERS if evidence.ordered else _UNORDERED_WORKERS
        self._runs = needs.runs_per_day or min(1440.0, _DAY_S / max(needs.fresh_within_s, 60.0))
        new = evidence.new_per_run
        self._new = new if new is not None else self._keys / 100

    @property
    def lookback_s(self) -> float:
        """Twice the longest lateness, whole minutes."""
        observed_s = self._evidence.lateness_max_s or 0.0
        return max(_LOOKBACK_LEAST_S, ceil(2 * observed_s / 60) * 60.0)

    @property
    def audit_every(self) -> timedelta:
        """A hundred times what a scan takes, between an hour and a week; often after a miss."""
        seconds = 100 * self._duration_s(self._full_calls, self._workers)
        if self._evidence.missed:
            seconds /= 4
        hours = ceil(min(max(seconds, _HOUR_S), 7 * _DAY_S) / _HOUR_S)
        return timedelta(hours=hours)

    def candidates(self) -> list[Candidate]:
        """Each strategy that discovers, judged."""
        makers: Mapping[StrategyName, Callable[[], Candidate]] = {
            StrategyName.FULL: self._full,
            StrategyName.INCREMENTAL_TIME: self._time,
            StrategyName.INCREMENTAL_LEXICAL: self._lexical,
            StrategyName.PARTITIONED: self._partitioned,
            StrategyName.INVENTORY: self._inventory,
            StrategyName.EVENT_DRIVEN: self._events,
        }
        return [make() for make in makers.values()]

    def rank(self, one: Candidate) -> tuple[Any, ...]:
        """For sorting, best first."""
        is_full = one.strategy is StrategyName.FULL
        cheap = is_full and self._full_calls <= _CHEAP_CALLS
        order = list(StrategyName).index(one.strategy)
        return (not one.fits, bool(self._missed(one.strategy)), not cheap, one.run_s, order)

    def _missed(self, strategy: StrategyName) -> int:
        return self._evidence.missed.get(strategy, 0)

    def _duration_s(self, calls: float, workers: int) -> float:
        return ceil(calls / workers) * self._page_s

    def _month(self, calls: float, *, audited: bool) -> float:
        audits = _DAY_S / self.audit_every.total_seconds() if audited else 0.0
        daily = calls * self._runs + self._full_calls * audits
        return 30 * daily * self._prices.list_per_1000 / 1000

    def _candidate(
        self,
        strategy: StrategyName,
        calls: float,
        workers: int,
        risk: str,
        why: list[str],
        against: list[str],
        settings: Mapping[str, Any],
    ) -> Candidate:
        promise = GUARANTEES[strategy]
        partial = not promise.moves_claim
        unmet = list(against)
        if self._needs.sees_overwrites and promise.sees_overwrites is not Promise.ALWAYS:
            unmet.append(f"overwrites are seen {promise.sees_overwrites} only")
        if self._needs.sees_deletes and promise.sees_deletes is not Promise.ALWAYS:
            unmet.append(f"deletions are seen {promise.sees_deletes} only")
        run_s = self._duration_s(calls, workers)
        fresh_s = _DAY_S / self._runs + run_s
        if fresh_s > 2 * self._needs.fresh_within_s + run_s:
            unmet.append(f"{self._runs:g} runs a day are too few for what is needed")
        if run_s > self._needs.fresh_within_s:
            unmet.append("one run takes longer than an answer may be old")
        missed = self._missed(strategy)
        demoted = (
            [f"demoted: audits found {missed} object{'s' * (missed != 1)} that it had missed"]
            if missed
            else []
        )
        return Candidate(
            strategy,
            not unmet,
            calls,
            self._month(calls, audited=partial),
            run_s,
            fresh_s,
            risk,
            (*demoted, *unmet, *why),
            settings,
        )

    def _full(self) -> Candidate:
        calls = self._full_calls
        why = [f"one run is {calls:,.0f} requests and sees everything"]
        if self._evidence.keys is None:
            why.append(f"nobody has counted the objects: {KEYS_UNKNOWN:,} are assumed")
        return self._candidate(
            StrategyName.FULL,
            calls,
            self._workers,
            "misses nothing that exists when it starts",
            why,
            [],
            {},
        )

    def _time(self) -> Candidate:
        why = ["costs exactly what full costs: a store cannot list by time"]
        return self._candidate(
            StrategyName.INCREMENTAL_TIME,
            self._full_calls,
            self._workers,
            "misses nothing; open uploads hold its watermark back",
            why,
            [],
            {},
        )

    def _lexical(self) -> Candidate:
        evidence = self._evidence
        against = list(evidence.order.reasons)
        if not evidence.ordered:
            against.insert(0, "this store does not list in the order of keys")
        domains, settings = self._domains()
        if domains > 10_000:
            against.append(f"about {domains:,.0f} folders would be ordering domains")
        calls = domains + ceil(self._new / 1000)
        why = [f"about {domains:,.0f} ordering domains and {self._new:,.0f} new objects per run"]
        why += list(evidence.order.warnings)
        settings["lookback_s"] = self.lookback_s
        return self._candidate(
            StrategyName.INCREMENTAL_LEXICAL,
            calls,
            1,
            f"misses what appears more than {_span(self.lookback_s)} behind the end of its folder, "
            "overwrites and deletions, until the next audit",
            why,
            against,
            settings,
        )

    def _domains(self) -> tuple[float, dict[str, Any]]:
        """How many folders a lexical cursor would ask: past dates are closed."""
        if self._evidence.pattern is not None:
            levels = self._evidence.pattern.count("/") + 1
            return self._evidence.chains * (levels + 2.0), {}
        folders = float(self._evidence.folders)
        return (folders, {}) if folders <= 10_000 else (folders, {"domain_depth": 1})

    def _partitioned(self) -> Candidate:
        evidence = self._evidence
        against = [] if evidence.pattern else ["no dates in the names of folders"]
        if not evidence.ordered:
            against.append("this store does not list in the order of keys")
        lookback_s = max(self.lookback_s, _DAY_S)
        pattern = evidence.pattern or ""
        unit_s = _HOUR_S if "%H" in pattern or "%-H" in pattern else _DAY_S
        if "%d" not in pattern and "%-d" not in pattern and "%m" in pattern.replace("-", ""):
            unit_s = 30 * _DAY_S
        window = evidence.chains * (ceil(lookback_s / unit_s) + 1)
        per_partition = self._keys / max(evidence.partitions, 1)
        calls = window * ceil(per_partition / 1000) + evidence.chains * (pattern.count("/") + 1)
        why = [f"partitions `{pattern}`: about {window:,.0f} of them are in the window"]
        return self._candidate(
            StrategyName.PARTITIONED,
            float(calls) + 20,
            1,
            f"misses what is added to partitions older than {_span(lookback_s)}, until the next "
            "audit",
            why if pattern else [],
            against,
            {"pattern": pattern, "lookback_s": lookback_s} if pattern else {},
        )

    def _inventory(self) -> Candidate:
        against = [] if self._evidence.inventory else ["no inventory is configured"]
        if self._needs.fresh_within_s < _DAY_S:
            against.append("a report is a day old, and needs a listing or events for the rest")
        one = self._candidate(
            StrategyName.INVENTORY,
            0.0,
            1,
            "knows nothing of the time since the report's stamp",
            ["reads a report instead of listing"],
            against,
            {},
        )
        cost = self._keys / 1e6 * self._prices.inventory_per_million * 30
        return _with(one, cost_per_month=cost, fresh_s=2 * _DAY_S, run_s=self._page_s * 10)

    def _events(self) -> Candidate:
        against = [] if self._evidence.event_queue else ["no event queue is configured"]
        one = self._candidate(
            StrategyName.EVENT_DRIVEN,
            0.0,
            1,
            "misses events that were lost, until the next audit",
            ["objects are known after seconds"],
            against,
            {},
        )
        events = 2 * self._new * self._runs * 30 / 1e6 * self._prices.events_per_million
        return _with(
            one, cost_per_month=one.cost_per_month + events, fresh_s=60.0, run_s=self._page_s
        )


def _with(one: Candidate, *, cost_per_month: float, fresh_s: float, run_s: float) -> Candidate:
    return Candidate(
        one.strategy,
        one.fits,
        one.calls,
        cost_per_month,
        run_s,
        fresh_s,
        one.risk,
        one.why,
        one.settings,
    )


def _findings(evidence: Evidence) -> list[str]:
    found: list[str] = []
    if evidence.keys is not None:
        said = "" if evidence.keys_exact else "about "
        found.append(f"{said}{evidence.keys:,} objects")
    if evidence.pattern:
        found.append(f"folders are partitions: `{evidence.pattern}`")
    found += [f"keys do not ascend: {reason}" for reason in evidence.order.reasons]
    if evidence.lateness_max_s is not None:
        found.append(f"objects came up to {_span(evidence.lateness_max_s)} late")
    for name, count in evidence.missed.items():
        found.append(f"audits found {count} objects that {name} had missed")
    found.append(f"{evidence.calls} requests were made to find this out")
    return [*found, *evidence.notes]


def _span(seconds: float) -> str:
    for unit, name in ((_DAY_S, "d"), (_HOUR_S, "h"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
