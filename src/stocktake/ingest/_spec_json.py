"""The specification of an ingestion as the JSON that is kept of it, and back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import IngestError, InvalidSettingError
from stocktake.ingest._globs import check_globs
from stocktake.ingest._spec import BatchOrder, Filters, IngestionSpec, OverwritePolicy
from stocktake.listing import StrategyName
from stocktake.model import S3Url

_VERSION = 1
_NAME_MAX = 200
_SPANS = ("max_age", "audit_every", "lease", "backoff")


def check_spec(spec: IngestionSpec) -> None:
    """Refuse what cannot work.

    Raises:
        InvalidSettingError: Which setting, and why.
    """
    if not 1 <= len(spec.name) <= _NAME_MAX or not spec.name.isprintable():
        raise InvalidSettingError(
            f"an ingestion's name has 1 to {_NAME_MAX} printable characters", name=spec.name
        )
    limits = {
        "files_max": spec.files_max,
        "batch_bytes_max": spec.batch_bytes_max,
        "attempts_max": spec.attempts_max,
        "look_ahead": spec.look_ahead,
        "lease": spec.lease / timedelta(seconds=1),
    }
    for name, value in limits.items():
        if value < 1:
            raise InvalidSettingError(f"`{name}` of an ingestion is at least 1, not {value}")
    if spec.backoff < timedelta(0) or spec.filters.settle_s < 0:
        raise InvalidSettingError("times to wait cannot be negative")
    check_globs((*spec.filters.include, *spec.filters.exclude))


def spec_to_json(spec: IngestionSpec) -> dict[str, Any]:
    """What `spec_from_json` reads."""
    raw = asdict(spec)
    raw["version"] = _VERSION
    raw["source"] = str(spec.source)
    for name in _SPANS:
        value: timedelta | None = raw[name]
        raw[name] = None if value is None else value.total_seconds()
    filters = raw["filters"]
    for name in ("modified_after", "modified_before"):
        if filters[name] is not None:
            filters[name] = format_utc(filters[name])
    return raw


def spec_from_json(raw: dict[str, Any]) -> IngestionSpec:
    """The specification that was kept.

    Raises:
        IngestError: Written by a newer stocktake.
    """
    if raw["version"] > _VERSION:
        raise IngestError(
            f"the ingestion `{raw['name']}` was made by a newer stocktake",
            hint="upgrade this one",
            version=raw["version"],
        )
    values = {name: value for name, value in raw.items() if name != "version"}
    for name in _SPANS:
        values[name] = None if raw[name] is None else timedelta(seconds=raw[name])
    return IngestionSpec(
        **{
            **values,
            "source": S3Url.parse(raw["source"]),
            "strategy": StrategyName(raw["strategy"]),
            "overwrite": OverwritePolicy(raw["overwrite"]),
            "order": BatchOrder(raw["order"]),
            "filters": _filters(raw["filters"]),
        }
    )


def _filters(raw: dict[str, Any]) -> Filters:
    return Filters(
        **{
            **raw,
            "include": tuple(raw["include"]),
            "exclude": tuple(raw["exclude"]),
            "modified_after": _instant(raw["modified_after"]),
            "modified_before": _instant(raw["modified_before"]),
        }
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_utc(text)
