"""How much is there: an estimate from a few pages, with intervals, skipping the rest.

Method. A survey spends the first part of the requests: the first page, the names of folders, pages
at random places where most keys are suspected. What it reads is known exactly; between the pages
are gaps. The gaps are cut into cells of about a page each, and the second part of the requests
draws cells at random, likelier the more keys are suspected in them, and counts them whole. The
estimate is what is known plus the mean of (count / probability): within one round of draws unbiased
for every way to cut and to suspect (Hansen and Hurwitz 1943); a round that meets a cell far denser
than suspected is given up for finer cells, which biases what comes after. The interval is that
mean's t interval, widened for few and skewed draws.

What is assumed: that a cell which was not drawn is not far denser than suspected. Where the draws
contradict what was suspected (great skew below few folders, and few requests) the estimate is kept
and the interval has no upper end: what is there is at least the lower one. With `split_keys` from a
snapshot the cells are equal but for what has changed since, and intervals are narrow for every
shape of keys.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import ceil, inf
from random import Random

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.clock import Clock, SystemClock
from stocktake.listing._counted_pages import CountedPages
from stocktake.listing._key_gaps import LANDMARKS, LAST_CHAR, Gap, KeyLine, Stretch
from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._sample_interval import Estimate, interval_of, misjudged
from stocktake.model import S3Url
from stocktake.store import Store

_SURVEY_SHARE = 0.6
_DESCENTS = 6
_CELL_PAGES = 0.6
_WHOLE_PAGES = 6.0
_CELLS_MAX = 4096
_EVEN_SHARE = 0.25
_DENSE_PAGES = 3
_DRAWS_LEAST = 16
_LEARNED_PER_PAGE = 50
_END_CALLS_MAX = 24
_FENCES_MAX = 64
_SUBCELLS = 8
_CALIBRATING = 5
_DEPTH_MAX = 12
_GROUPS_MAX = 20


@dataclass(frozen=True, slots=True)
class SampleEstimate:
    """What a sample says about a prefix.

    Attributes:
        objects: How many.
        bytes: Their sizes, added up.
        by_class: Objects per storage class.
        by_folder: Objects per folder right below the prefix, those that were met, at most 20.
        counted: Objects that were read.
        confidence: Share of such intervals that hold the truth.
        metrics: Calls by kind, latencies.
        calls_saved: LIST requests that a full listing would have made more, by the estimate.
        seed: Gives the same places again.
    """

    objects: Estimate
    bytes: Estimate
    by_class: Mapping[str, Estimate]
    by_folder: Mapping[str, Estimate]
    counted: int
    confidence: float
    metrics: ListingMetrics
    calls_saved: int
    seed: int


@dataclass(slots=True)
class _Tally:
    """Sums over objects: the number, the bytes, and numbers by class and folder."""

    values: dict[tuple[str, str], float] = field(default_factory=dict)

    def add(self, name: tuple[str, str], amount: float) -> None:
        self.values[name] = self.values.get(name, 0.0) + amount

    def add_scaled(self, other: _Tally, scale: float) -> None:
        for name, amount in other.values.items():
            self.add(name, amount * scale)

    @property
    def objects(self) -> float:
        return self.values.get(("objects", ""), 0.0)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A piece of a gap: keys after `low` up to `high`, suspected to be `mass`."""

    low: str
    high: str | None
    mass: float


@dataclass(slots=True)
class _Counted:
    """A cell that was read; `end` is where it goes on, None if it was read whole."""

    cell: _Cell
    tally: _Tally
    end: str | None
    rows: int


def sample_objects(
    store: Store,
    source: S3Url,
    *,
    seed: int = 0,
    probes: int = 64,
    confidence: float = 0.95,
    split_keys: Sequence[str] = (),
    clock: Clock | None = None,
    keys_per_page: int = 1000,
) -> SampleEstimate:
    """Estimate what lies below a prefix from about `probes` LIST requests.

    Exact, with equal ends of the intervals, if everything fits into the requests. Needs a store
    that lists in key order. Memory: one page and some thousand cell bounds.

    Args:
        store: Where the bucket is.
        source: Bucket and prefix.
        seed: Chooses the places; the same seed asks the same of the same bucket.
        probes: About how many requests; dense places may take a few more.
        confidence: Of the intervals.
        split_keys: Sorted keys that cut an earlier snapshot into equal pieces: replaces the survey.
        clock: For latencies.
        keys_per_page: Asked for per request.

    Raises:
        StrategyRefusedError: The store does not list in key order.
    """
    sampler = _Sampler(store, source, clock or SystemClock(), (seed, keys_per_page))
    sampler.survey(max(3, int(probes * _SURVEY_SHARE)), list(split_keys))
    draws = sampler.draw(max(_DRAWS_LEAST, probes - sampler.calls))
    return _estimate(sampler, draws, (confidence, seed))


class _Sampler:
    """Reads pages, knows what was counted, and where the gaps are."""

    def __init__(
        self, store: Store, source: S3Url, clock: Clock, seed_and_page: tuple[int, int]
    ) -> None:
        self.metrics = ListingMetrics()
        self.known = _Tally()
        self.counted = 0
        self.is_rough = False
        self.guess = 0.0
        self._guesses = True
        self.page_keys = seed_and_page[1]
        self.line = KeyLine(source.key)
        self._source = source
        self._clock = clock
        self._pages = CountedPages(store, source, clock, self.metrics)
        self._random = Random(seed_and_page[0])  # noqa: S311 - statistics, no secret
        self._began_s = clock.monotonic_s()

    @property
    def calls(self) -> int:
        return self.metrics.requests

    def finish(self) -> None:
        self.metrics.objects = self.counted
        self._pages.finish(self._began_s)

    def survey(self, budget: int, split_keys: list[str]) -> None:
        """Read the first page, then folders, then pages where most is suspected."""
        low = self._source.key
        self._read_known(low)
        if not self.line.gaps:
            return
        if split_keys and split_keys[-1] > self.line.gaps[0].low:
            self._start_warm(split_keys, budget)
            return
        self._find_end()
        self._find_folders()
        number = 0
        while self.calls < budget and self.line.gaps:
            if number % 6 == 0:  # more is known of the characters now
                for gap in self.line.gaps:
                    self.line.guess(gap)
            self._probe(self.line.gaps)
            number += 1
        for gap in self.line.gaps:
            self.line.guess(gap)

    def _start_warm(self, keys: list[str], budget: int) -> None:
        """Cells between quantiles; how much one holds is counted, and the end is surveyed.

        Most buckets grow at the end, so what lies behind the last quantile may be anything.
        """
        self.line.space.learn(keys)
        self._guesses = False
        rest = self.line.gaps[0]
        lows = [rest.low, *(key for key in keys if key > rest.low)]
        cells = [_Cell(*ends, 0.0) for ends in zip(lows, [*lows[1:], None], strict=True)]
        self.line.gaps = [Gap(cell.low, cell.high) for cell in cells]
        before = self.known.objects
        chosen = self._random.sample(cells[:-1], min(_CALIBRATING, len(cells) - 1))
        self._count_all(chosen)
        mass = max(1.0, (self.known.objects - before) / max(1, len(chosen)))
        for gap in self.line.gaps:
            gap.mass = mass
        self._count_all(cells[-1:])
        if self.line.gaps and self.line.gaps[-1].high is None:
            self._guesses = True
            self._find_end()
            while self.calls < budget and self._tail(lows[-1]):
                self._probe(self._tail(lows[-1]))
        for gap in self._tail(lows[-1]):
            self.line.guess(gap)

    def _tail(self, low: str) -> list[Gap]:
        return [gap for gap in self.line.gaps if gap.low >= low]

    def _find_end(self) -> None:
        """Bound the last gap: what do all keys behind the first page begin with, and end at?

        Two bisections: over the length of the common beginning, then over the character after it.
        """
        shared, step = len(self._source.key), 0
        stop: int | None = None  # something lies behind the keys that share so many characters
        while self.line.gaps and self.calls < _END_CALLS_MAX:
            low = self.line.gaps[-1].low
            if stop is not None and stop <= shared + 1:
                break
            at = min(shared + step, len(low)) if stop is None else (shared + stop) // 2
            if self._read_known(low[:at] + LAST_CHAR):
                stop = at
            else:
                shared = at
                step = 2 * step or 1
                if shared >= len(low):
                    break
        while self.line.gaps and self.calls < _END_CALLS_MAX:
            gap = self.line.gaps[-1]
            after = gap.low[shared : shared + 1]
            end = LAST_CHAR if gap.high is None else gap.high[shared : shared + 1]
            between = [char for char in LANDMARKS if after < char < end]
            if not between:
                return
            self._read_known(gap.low[:shared] + between[len(between) // 2])

    def _find_folders(self) -> None:
        """Names of the first level with several folders: one request per level."""
        at = self._source.key
        for _ in range(_DESCENTS):
            pages = self._pages.read(at, delimiter="/", keys_max=self.page_keys, kind="probe")
            page = next(pages)
            self.line.space.learn(page.prefixes)
            if len(page.prefixes) > 1:
                self.line.cuts = list(page.prefixes)
                if len(page.prefixes) <= _FENCES_MAX and not page.rows.num_rows:
                    self.line.fence(page.prefixes)
            if len(page.prefixes) != 1 or page.rows.num_rows:
                return
            at = page.prefixes[0]

    def _probe(self, gaps: list[Gap]) -> None:
        """One page within a gap: mostly the one with most suspected keys, sometimes any."""
        unseen = [one for one in gaps if one.is_unseen]
        if unseen:
            gap = unseen[self._random.randrange(len(unseen))]
        elif self._random.random() < _EVEN_SHARE:
            gap = gaps[self._random.randrange(len(gaps))]
        else:
            gap = max(gaps, key=lambda one: one.mass)
        explores = gap.high is None or self._random.random() < _EVEN_SHARE
        measure = self.line.measure(gap.low, gap.high, landmarks=explores)
        start = measure.key(self._random.uniform(0.1, 0.9)) or measure.middle() or gap.low
        self._read_known(start)

    def _read_known(self, start: str) -> int:
        """Read one page of a gap into what is known; how many keys were there."""
        gap = self.line.gap_at(start)
        if gap is None:
            return 0
        high = gap.high
        rows, end = self._page(start, high)
        self._count(rows, self.known)
        self.line.read(Stretch(start, end if end is not None else high, rows.num_rows))
        return int(rows.num_rows)

    def _page(self, after: str, through: str | None) -> tuple[pa.RecordBatch, str | None]:
        """One page of the keys after one up to another; and its last key, None if that was all."""
        base = self._source.key
        start = after if after > base else ""
        page = next(self._pages.read(base, start_after=start, keys_max=self.page_keys))
        rows = page.rows
        keys = rows.column("key").to_pylist()
        self.line.space.learn(keys[:: max(1, len(keys) // _LEARNED_PER_PAGE)])
        end = keys[-1] if keys and page.next_token is not None else None
        if through is not None and end is not None and end >= through:
            end = None
        if through is not None:
            rows = rows.slice(0, bisect_right(keys, through))
        self.counted += rows.num_rows
        return rows, end

    def _count(self, rows: pa.RecordBatch, tally: _Tally) -> None:
        if not rows.num_rows:
            return
        tally.add(("objects", ""), rows.num_rows)
        tally.add(("bytes", ""), float(pc.sum(rows.column("size_bytes"), min_count=0).as_py()))
        classes = pc.value_counts(pc.fill_null(rows.column("storage_class"), "STANDARD"))
        for one in classes.to_pylist():
            tally.add(("class", one["values"]), one["counts"])
        skip = len(self._source.key)
        for key in rows.column("key").to_pylist():
            cut = key.find("/", skip)
            tally.add(("folder", key[skip : cut + 1] if cut >= 0 else ""), 1)

    def _cells(self) -> list[_Cell]:
        """All gaps in pieces of about a page."""
        cells: list[_Cell] = []
        for gap in self.line.gaps:
            pages = gap.mass / self.page_keys
            # what lies between two quantiles is best left whole: these cells are all alike
            wanted = 1 if pages <= _WHOLE_PAGES else min(_CELLS_MAX, ceil(pages / _CELL_PAGES))
            pieces = self.line.measure(gap.low, gap.high).cells(wanted)
            cells += [_Cell(low, high, gap.mass / len(pieces)) for low, high in pieces]
        return cells

    def draw(self, budget: int) -> list[_Tally]:
        """For each draw the sums over its cell divided by its probability; known cells are not.

        A round whose draws meet a cell that is far denser than suspected becomes survey: its cells
        are known from then on, and a round over what is left follows. No draws: all is known.
        """
        limit = self.calls + budget
        while self.line.gaps:
            rest = max(_DRAWS_LEAST, limit - self.calls)
            cells = self._cells()
            if len(cells) <= rest:
                if self.calls < limit:
                    self._count_all(cells)
                    continue
                rest = max(2, min(rest, len(cells)))
            mean_pages = sum(cell.mass for cell in cells) / len(cells) / self.page_keys
            rest = max(_DRAWS_LEAST // 2, rest // max(1, ceil(mean_pages)))
            draws = self._round(cells, rest, may_stop=self.calls + _DRAWS_LEAST < limit)
            if draws is not None:
                return draws
        return []

    def _count_all(self, cells: list[_Cell]) -> None:
        """Read each cell, but of a dense one only some pages; the rest stays a gap."""
        for cell in cells:
            low: str | None = cell.low
            for _ in range(_DENSE_PAGES):
                if low is None:
                    break
                before = low
                rows, low = self._page(before, cell.high)
                self._count(rows, self.known)
                self.line.read(
                    Stretch(before, low if low is not None else cell.high, rows.num_rows)
                )

    def _round(self, cells: list[_Cell], count: int, *, may_stop: bool) -> list[_Tally] | None:
        """One set of draws; None if it was given up for what it found."""
        weight = sum(cell.mass for cell in cells)
        self.guess = weight if self._guesses else 0.0
        shares = [
            (1 - _EVEN_SHARE) * cell.mass / weight + _EVEN_SHARE / len(cells) for cell in cells
        ]
        ends = list(accumulate(shares))
        draws: list[_Tally] = []
        seen: dict[int, _Counted] = {}
        order = list(range(count))
        self._random.shuffle(order)
        for number in order:
            # one draw in each of equal strata of probability
            at = (number + self._random.random()) / count * ends[-1]
            index = min(bisect_left(ends, at), len(cells) - 1)
            if index not in seen:
                seen[index] = self._count_cell(cells[index], pages_max=self._enough(cells[index]))
                if seen[index].end is not None and may_stop:
                    self.is_rough = self._guesses
                    self._learn_from(seen.values())
                    return None
                if seen[index].end is not None:
                    self.is_rough = True
                    self._finish_cell(seen[index], depth=0)
            scaled = _Tally()
            scaled.add_scaled(seen[index].tally, 1 / shares[index])
            draws.append(scaled)
        return draws

    def _enough(self, cell: _Cell) -> int:
        """Pages after which a cell is far denser than suspected."""
        return _DENSE_PAGES * max(1, ceil(cell.mass / self.page_keys))

    def _learn_from(self, counted: Iterable[_Counted]) -> None:
        for one in counted:
            self.known.add_scaled(one.tally, 1.0)
            end = one.cell.high if one.end is None else one.end
            self.line.read(Stretch(one.cell.low, end, one.rows))
        for gap in self.line.gaps:
            self.line.guess(gap)

    def _count_cell(self, cell: _Cell, *, pages_max: int) -> _Counted:
        """Count a cell, or its first pages."""
        found = _Counted(cell, _Tally(), cell.low, 0)
        for _ in range(pages_max):
            if found.end is None:
                break
            rows, found.end = self._page(found.end, cell.high)
            found.rows += rows.num_rows
            self._count(rows, found.tally)
        return found

    def _finish_cell(self, found: _Counted, *, depth: int) -> None:
        """Of what is left of a dense cell one random piece stands for all."""
        assert found.end is not None
        pieces = self.line.measure(found.end, found.cell.high).cells(_SUBCELLS)
        low, high = pieces[self._random.randrange(len(pieces))]
        last = len(pieces) == 1 or depth >= _DEPTH_MAX
        piece = self._count_cell(_Cell(low, high, 0.0), pages_max=10**6 if last else 1)
        if piece.end is not None:
            self._finish_cell(piece, depth=depth + 1)
        found.tally.add_scaled(piece.tally, len(pieces))


def _estimate(
    sampler: _Sampler, draws: list[_Tally], confidence_and_seed: tuple[float, int]
) -> SampleEstimate:
    """Means and intervals of everything that was counted."""
    known = sampler.known
    confidence, seed = confidence_and_seed
    sampler.finish()
    names = sorted({name for tally in [known, *draws] for name in tally.values})
    found = {
        name: interval_of(
            known.values.get(name, 0.0),
            [draw.values.get(name, 0.0) for draw in draws],
            confidence,
        )
        for name in names
    }
    if draws and (sampler.is_rough or misjudged([draw.objects for draw in draws], sampler.guess)):
        found = {name: replace(one, high=inf) for name, one in found.items()}
    nothing = Estimate(0.0, 0.0, 0.0)
    objects = found.get(("objects", ""), nothing)
    folders = {name: one for (kind, name), one in found.items() if kind == "folder"}
    largest = sorted(folders, key=lambda name: -folders[name].value)[:_GROUPS_MAX]
    return SampleEstimate(
        objects=objects,
        bytes=found.get(("bytes", ""), nothing),
        by_class={name: one for (kind, name), one in found.items() if kind == "class"},
        by_folder={name: folders[name] for name in sorted(largest)},
        counted=sampler.counted,
        confidence=confidence,
        metrics=sampler.metrics,
        calls_saved=max(0, ceil(objects.value / sampler.page_keys) - sampler.calls),
        seed=seed,
    )
