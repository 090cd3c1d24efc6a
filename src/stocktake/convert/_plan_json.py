"""A plan as JSON, for the ledger and for people; and the Arrow schema that is kept in it."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from stocktake.convert._plan import ColumnDecision, ConversionPlan, TableKind
from stocktake.errors import ConvertError

SCHEMA = "schema"
"""Key of a plan's details: the Arrow schema, as IPC writes it, in base64."""
_VERSION = 1


def plan_to_json(plan: ConversionPlan) -> str:
    """The plan as one line of JSON."""
    values = {"version": _VERSION, **dataclasses.asdict(plan), "details": dict(plan.details)}
    return json.dumps(values, separators=(",", ":"))


def plan_from_json(text: str) -> ConversionPlan:
    """The same plan again.

    Raises:
        ConvertError: It was written by a newer stocktake.
    """
    values = json.loads(text)
    if values.pop("version") != _VERSION:
        raise ConvertError("this plan was made by a newer stocktake", hint="plan it again")
    values["kind"] = TableKind(values["kind"])
    values["columns"] = tuple(ColumnDecision(**one) for one in values["columns"])
    values["warnings"] = tuple(values["warnings"])
    return ConversionPlan(**values)


def schema_to_text(schema: pa.Schema) -> str:
    """What a plan's details keep under `SCHEMA`."""
    return base64.b64encode(schema.serialize()).decode("ascii")


def schema_of(plan: ConversionPlan) -> pa.Schema:
    """The Arrow schema that a plan decided on, with the metadata of its fields."""
    packed = plan.details.get(SCHEMA)
    if packed is None:
        return pa.schema([])
    return schema_from_text(packed)


def schema_from_text(text: str) -> pa.Schema:
    """What `schema_to_text` was given."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def file_metadata(plan: ConversionPlan, *, version: str) -> dict[bytes, bytes]:
    """The Parquet file's own key-value pairs: where it comes from and why it has these types.

    What a format adds stands in the plan's details under `metadata`.
    """
    values: dict[str, Any] = {
        "source": plan.details.get("source_name", ""),
        "sha256": plan.sha256,
        "size_bytes": plan.size_bytes,
        "kind": str(plan.kind),
        "columns": [_column(one) for one in plan.columns],
        "version": version,
    }
    extra: Mapping[str, Any] = plan.details.get("metadata", {})
    values |= extra
    if plan.warnings:
        values["warnings"] = list(plan.warnings)
    return {f"stocktake.{key}".encode(): _text(value).encode() for key, value in values.items()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _column(one: ColumnDecision) -> dict[str, str]:
    pairs = dataclasses.asdict(one).items()
    return {key: value for key, value in pairs if value is not None}
