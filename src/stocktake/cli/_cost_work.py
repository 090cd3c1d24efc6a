"""Work of `cost`: how many objects there are, and the ways side by side."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stocktake.catalog import Catalog
from stocktake.cli._output import Column, Output
from stocktake.cli._receipt import Prices, dollars_text
from stocktake.cli._run import Run
from stocktake.cli._scan_work import known_snapshot, young_snapshot
from stocktake.cli._text import count_text, parse_duration, time_text
from stocktake.errors import CatalogNotFoundError, InvalidSettingError, UsageError
from stocktake.listing import sample_objects
from stocktake.model import S3Url
from stocktake.setup import LEFT_OUT, CostQuestion, CostReport, Way, compare_costs

_WIDTH = 78
_PROBES = 40
_MARKS = {"*": "older than what is wanted", "+": "a part of the price is not known"}
_COLUMNS = (
    Column("WAY"),
    Column("KNOWN WITHIN", right=True),
    Column("REQUESTS A RUN", right=True),
    Column("A RUN", right=True),
    Column("A DAY", right=True),
    Column("A MONTH", right=True),
)


@dataclass(frozen=True, slots=True)
class CostRequest:
    """What `cost` was asked for, as typed."""

    source: str
    objects: int | None
    every: str
    changes: int | None
    prices: Path | None


@dataclass(frozen=True, slots=True)
class ObjectCount:
    """How many objects there are, between what, and who says so."""

    value: int
    low: int
    high: int | None
    told_by: str
    as_of: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "from": self.told_by,
            "as_of": self.as_of,
        }


def show_cost(run: Run, request: CostRequest) -> int:
    """Answer `cost`."""
    every = parse_duration(request.every, "--every")
    if every.total_seconds() < 1:
        raise InvalidSettingError(f"--every is `{request.every}`, less than a second")
    prices = Prices.load(request.prices)
    source = _source(request)
    count = _count(run, source, request.objects)
    found = compare_costs(CostQuestion(count.value, every, request.changes), prices)
    if run.out.json:
        where = str(source) if source else None
        run.out.document({"source": where, "objects": count.to_dict(), **found.to_dict()})
        return 0
    _show(run.out, source, count, found, request.every)
    return 0


def _source(request: CostRequest) -> S3Url | None:
    if not request.source:
        if request.objects is None:
            raise UsageError(
                "no bucket named", hint="give s3://bucket/prefix, or --objects with their number"
            )
        return None
    text = request.source
    return S3Url.parse(text if text.startswith("s3://") else f"s3://{text}")


def _count(run: Run, source: S3Url | None, given: int | None) -> ObjectCount:
    if given is not None or source is None:
        value = given or 0
        return ObjectCount(value, value, value, "given")
    try:
        with run.open_catalog() as catalog:
            known = _of_catalog(catalog, source)
    except CatalogNotFoundError:
        known = None
    return known or _sampled(run, source)


def _of_catalog(catalog: Catalog, source: S3Url) -> ObjectCount | None:
    keys = known_snapshot(catalog, source)
    newest = young_snapshot(catalog, source, datetime.min.replace(tzinfo=UTC), versions=False)
    if keys is None or newest is None:
        return None
    return ObjectCount(keys.rows, keys.rows, keys.rows, "snapshot", newest.as_of)


def _sampled(run: Run, source: S3Url) -> ObjectCount:
    found = sample_objects(run.open_store(), source, probes=_PROBES, clock=run.clock).objects
    high = round(found.high) if found.is_bounded else None
    told_by = "listing" if found.is_exact else "sample"
    return ObjectCount(round(found.value), round(found.low), high, told_by, run.clock.now())


def _show(
    out: Output, source: S3Url | None, count: ObjectCount, found: CostReport, every: str
) -> None:
    asked = found.question
    where = f"{source}: " if source else ""
    out.line(f"{where}{_count_text(count)}")
    assumed = " (assumed: 1 %)" if asked.changes_per_day is None else ""
    out.line(f"wanted every {every}; {count_text(asked.changes)} changes a day{assumed}")
    out.line()
    currency = found.prices.currency
    out.table(_COLUMNS, (_row(one, currency) for one in found.ways))
    for mark, meaning in _MARKS.items():
        if any(mark in _title(one) for one in found.ways):
            out.line(f"{mark} {meaning}")
    out.line()
    for line in textwrap.wrap(found.honest_sentence(), _WIDTH):
        out.line(line)
    out.note("")
    for one in found.ways:
        _note(out, f"{one.title}: {'; '.join(one.notes)}")
    _note(out, f"left out: {'; '.join(LEFT_OUT)}")
    prices = found.prices
    _note(out, f"prices: AWS {prices.region}, {prices.date}, {prices.currency}; {prices.source}")


def _note(out: Output, text: str) -> None:
    for line in textwrap.wrap(text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False):
        out.note(line)


def _count_text(count: ObjectCount) -> str:
    told = {
        "given": "as given",
        "snapshot": f"snapshot of {time_text(count.as_of)} UTC",
        "listing": "counted",
        "sample": "an estimate from a few requests",
    }[count.told_by]
    if count.told_by != "sample":
        return f"{count_text(count.value)} objects ({told})"
    high = "more" if count.high is None else count_text(count.high)
    return f"about {count_text(count.value)} objects, {count_text(count.low)} to {high} ({told})"


def _row(one: Way, currency: str) -> tuple[str, ...]:
    return (
        _title(one),
        _fresh_text(one.fresh_s),
        count_text(one.requests_per_run) if one.requests_per_run else "-",
        "-" if one.per_run is None else _money(one.per_run, currency),
        _money(one.per_day, currency),
        _money(one.per_month, currency),
    )


def _title(one: Way) -> str:
    marks = ("" if one.fits else " *") + ("" if one.complete else " +")
    return one.title + marks


def _money(amount: float, currency: str) -> str:
    text = dollars_text(amount)
    return text if currency == "USD" else f"{text.removeprefix('$')} {currency}"


def _fresh_text(fresh_s: float) -> str:
    if fresh_s == 0:
        return "the run"
    if fresh_s < 3600:
        return f"{fresh_s / 60:.0f} min"
    return f"{fresh_s / 3600:.0f} h" if fresh_s < 48 * 3600 else f"{fresh_s / 86_400:.0f} days"
