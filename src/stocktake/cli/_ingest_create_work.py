"""Work of `ingest create`: options become the specification of an ingestion."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from stocktake.cli._ingest_sink import parse_sink
from stocktake.cli._ingest_text import spec_json, spec_lines
from stocktake.cli._pairs import parse_pairs
from stocktake.cli._run import Run
from stocktake.cli._text import parse_duration, parse_size
from stocktake.clock import parse_utc
from stocktake.errors import InvalidSettingError
from stocktake.ingest import (
    BatchOrder,
    Filters,
    IngestionSpec,
    OverwritePolicy,
    create_ingestion,
)
from stocktake.listing import StrategyName, parse_settings
from stocktake.model import S3Url

_Choice = TypeVar("_Choice", bound=StrEnum)
_FOR_LOADING = tuple(name for name in StrategyName if name is not StrategyName.SAMPLE)


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What `ingest create` was asked for, as typed."""

    name: str
    source: str
    strategy: str
    settings: tuple[str, ...]
    max_age: str | None
    audit_every: str | None
    only_new: bool
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    min_size: str | None
    max_size: str | None
    modified_after: str | None
    modified_before: str | None
    settle: str
    keep_noise: bool
    overwrite: str
    deletions: bool
    sink: str | None
    sink_settings: tuple[str, ...]
    batch_files: int
    batch_size: str
    order: str
    lease: str
    attempts: int
    backoff: str

    def spec(self) -> IngestionSpec:
        """The specification. Raises UsageError or InvalidSettingError for what cannot be."""
        strategy = choice(StrategyName, self.strategy, "--strategy")
        if strategy not in _FOR_LOADING:
            raise InvalidSettingError(
                "sample only estimates: nothing can be loaded from it",
                hint="strategies that find objects: " + ", ".join(_FOR_LOADING),
            )
        return IngestionSpec(
            name=self.name,
            source=S3Url.parse(self.source),
            strategy=strategy,
            strategy_settings=parse_settings(strategy, parse_pairs(self.settings, "--set")),
            filters=self._filters(),
            overwrite=choice(OverwritePolicy, self.overwrite, "--overwrite"),
            sink=parse_sink(self.sink, self.sink_settings),
            include_existing=not self.only_new,
            max_age=parse_duration(self.max_age, "--max-age") if self.max_age else None,
            audit_every=(
                parse_duration(self.audit_every, "--audit-every") if self.audit_every else None
            ),
            files_max=self.batch_files,
            batch_bytes_max=parse_size(self.batch_size, "--batch-size"),
            lease=parse_duration(self.lease, "--lease"),
            attempts_max=self.attempts,
            backoff=parse_duration(self.backoff, "--backoff"),
            deletions=self.deletions,
            order=choice(BatchOrder, self.order, "--order"),
        )

    def _filters(self) -> Filters:
        return Filters(
            include=self.include,
            exclude=self.exclude,
            size_min_bytes=parse_size(self.min_size, "--min-size") if self.min_size else None,
            size_max_bytes=parse_size(self.max_size, "--max-size") if self.max_size else None,
            modified_after=parse_instant(self.modified_after, "--modified-after"),
            modified_before=parse_instant(self.modified_before, "--modified-before"),
            settle_s=parse_duration(self.settle, "--settle").total_seconds(),
            ignore_noise=not self.keep_noise,
        )


def create_one(run: Run, request: CreateRequest) -> int:
    """Answer `ingest create`."""
    spec = request.spec()
    with run.open_catalog(create=True) as catalog:
        create_ingestion(catalog, spec)
    if run.out.json:
        run.out.document({"ingestion": spec_json(spec)})
        return 0
    run.out.line(f"created {spec.name}")
    for line in spec_lines(spec):
        run.out.line(f"  {line}")
    run.out.note(f"next: stocktake ingest run {spec.name}")
    return 0


def choice(kind: type[_Choice], text: str, option: str) -> _Choice:
    """The member of that name. Raises InvalidSettingError with the names there are."""
    try:
        return kind(text)
    except ValueError:
        names = ", ".join(one.value for one in kind)
        raise InvalidSettingError(f"{option} is `{text}`", hint=f"it can be {names}") from None


def parse_instant(text: str | None, option: str) -> datetime | None:
    """A date or an instant; None stays None. Raises InvalidSettingError."""
    if text is None:
        return None
    try:
        return parse_utc(text)
    except ValueError:
        raise InvalidSettingError(
            f"{option} is `{text}`", hint="write it as 2026-11-20 or 2026-11-20T18:00:00Z"
        ) from None
