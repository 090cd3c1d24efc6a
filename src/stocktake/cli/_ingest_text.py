"""How an ingestion reads, for people and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from stocktake.cli._text import count_text, duration_text, size_text
from stocktake.ingest import IngestionSpec, describe_sink


def spec_json(spec: IngestionSpec) -> dict[str, Any]:
    """What its creator decided. Of the sink only a description: its settings may hold secrets."""
    raw = asdict(spec)
    for name, value in list(raw.items()):
        if isinstance(value, timedelta):
            raw[f"{name}_s"] = value.total_seconds()
    for name in ("max_age", "audit_every", "lease", "backoff"):
        raw.pop(name)
        raw.setdefault(f"{name}_s", None)
    raw["source"] = str(spec.source)
    raw["sink"] = sink_text(spec)
    return raw


def sink_text(spec: IngestionSpec) -> str:
    """Where its batches go."""
    return describe_sink(spec.sink) if spec.sink else "Python code"


def spec_lines(spec: IngestionSpec) -> list[str]:
    """The decisions that are worth a line."""
    lines = [f"from      {spec.source}", f"strategy  {spec.strategy}{_settings(spec)}"]
    if spec.audit_every:
        lines.append(f"audit     every {duration_text(spec.audit_every.total_seconds())}")
    if rules := _filter_texts(spec):
        lines.append(f"filters   {', '.join(rules)}")
    lines.append(f"again     {spec.overwrite}")
    lines.append(f"into      {sink_text(spec)}")
    lines.append(
        f"batches   up to {count_text(spec.files_max)} files or {size_text(spec.batch_bytes_max)}"
    )
    return lines


def _settings(spec: IngestionSpec) -> str:
    given = {name: value for name, value in spec.strategy_settings.items() if value is not None}
    return "".join(f" {name}={value}" for name, value in given.items())


def _filter_texts(spec: IngestionSpec) -> list[str]:
    rules = spec.filters
    texts = [f"only {glob}" for glob in rules.include] + [f"not {glob}" for glob in rules.exclude]
    if rules.size_min_bytes is not None:
        texts.append(f"at least {size_text(rules.size_min_bytes)}")
    if rules.size_max_bytes is not None:
        texts.append(f"at most {size_text(rules.size_max_bytes)}")
    if rules.modified_after:
        texts.append(f"from {rules.modified_after:%Y-%m-%d %H:%M} on")
    if rules.modified_before:
        texts.append(f"before {rules.modified_before:%Y-%m-%d %H:%M}")
    if rules.settle_s:
        texts.append(f"older than {duration_text(rules.settle_s)}")
    return texts
