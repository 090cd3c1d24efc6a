"""Which version of a dataset somebody means: a number, latest, previous, or a time."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import func, select

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import DatasetNotFoundError
from stocktake.manifests._dataset import Dataset
from stocktake.state import dataset_versions

_BACK = re.compile(r"latest~(\d{1,9})")
_v = dataset_versions.c


def find_version(dataset: Dataset, reference: str) -> int:
    """The version that a reference means.

    `7`; `latest`; `previous` or `latest~1`; `0`, the empty dataset that it was at first; a day
    (2026-11-20: as it stood when that ended) or a time (2026-11-20T12:00Z), UTC without a zone.

    Raises:
        DatasetNotFoundError: None of these, no such version, or the dataset is younger.
    """
    last = dataset.info().version
    steps = {"latest": 0, "previous": 1}.get(reference)
    if (match := _BACK.fullmatch(reference)) is not None:
        steps = int(match[1])
    if steps is not None:
        number: int | None = last - steps
    elif reference.isdecimal() and len(reference) < 10:
        number = int(reference)
    else:
        moment = _instant(dataset, reference)
        if moment < dataset.info().created_at:
            raise _none(dataset, f"no version of {reference}: it was made later")
        number = version_at(dataset, moment)
    if number is None or not 0 <= number <= last:
        raise _none(dataset, f"no version `{reference}`: it has {last}")
    return number


def version_at(dataset: Dataset, moment: datetime) -> int:
    """The version that was the newest one at that moment, by the clocks of those who made them.

    Raises:
        DatasetNotFoundError: The dataset was made later.
    """
    if moment < dataset.info().created_at:
        raise _none(dataset, f"no version of {format_utc(moment)}: it was made later")
    # clocks of several hosts may disagree: what comes before a version of that time is older
    best = 0
    query = select(_v.version, _v.at).where(_v.dataset_id == dataset.id)
    day = format_utc(moment + timedelta(days=1))[:10]
    with dataset.state.read() as connection:
        rows = connection.execute(
            query.where(func.substr(_v.at, 1, 10) <= day).order_by(_v.version.desc())
        )
        for number, at in rows:
            if parse_utc(at) <= moment:
                best = number
                break
    return best


def _instant(dataset: Dataset, reference: str) -> datetime:
    try:
        if len(reference) == len("2026-11-20"):
            day = date.fromisoformat(reference)
            return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        return parse_utc(reference)
    except (ValueError, OverflowError) as error:
        raise _none(dataset, f"no version `{reference}`") from error


def _none(dataset: Dataset, what: str) -> DatasetNotFoundError:
    return DatasetNotFoundError(
        f"dataset `{dataset.id}` has {what}",
        hint=f"see them: stocktake manifest history {dataset.id}",
        dataset=dataset.id,
    )
