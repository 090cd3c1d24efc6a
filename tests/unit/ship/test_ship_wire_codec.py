"""What processes send each other arrives as it was: SHP-40."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake import errors
from stocktake.convert import ConvertOptions
from stocktake.errors import KeyCollisionError, StocktakeError, StoreUnavailableError
from stocktake.ship import (
    FileJob,
    Identity,
    ObjectJob,
    ObjectResult,
    Outcome,
    PlannedObject,
    PlanSummary,
    ReadySource,
    ShipSettings,
    SourceJob,
    SourceKind,
    TaskEnd,
    UploadCompleting,
    UploadDropped,
    UploadIntended,
    UploadOpened,
)
from stocktake.ship._wire import decode, encode
from stocktake.store import RetryPolicy, S3StoreOptions
from stocktake.unpack import UnpackLimits

RECORDS = (
    FileJob,
    Identity,
    ObjectJob,
    ObjectResult,
    PlannedObject,
    PlanSummary,
    ReadySource,
    SourceJob,
    TaskEnd,
    UploadCompleting,
    UploadDropped,
    UploadIntended,
    UploadOpened,
)
# paths that are no UTF-8 become low surrogates; the high ones cannot come from the kernel
texts = st.text(st.characters(exclude_categories=[], max_codepoint=0x10FFFF), max_size=20).map(
    lambda text: "".join(c for c in text if not 0xD800 <= ord(c) < 0xDC80)
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=20)
    | st.sampled_from([SourceKind.TABLE, Outcome.FAILED, Outcome.DONE])
    | st.datetimes(timezones=st.just(UTC))
    | st.sampled_from([Path("/data/in"), Path("a b")])
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(texts | st.just("!"), inner, max_size=4)
        | st.dictionaries(st.integers(), inner, max_size=2)
    ),
    max_leaves=20,
)


def same_types(left: Any, right: Any) -> bool:
    if isinstance(left, list | tuple):
        return type(left) is type(right) and all(
            same_types(*pair) for pair in zip(left, right, strict=True)
        )
    if isinstance(left, Enum):
        return left is right
    if is_dataclass(left):
        return all(same_types(getattr(left, f.name), getattr(right, f.name)) for f in fields(left))
    return isinstance(left, dict | MappingProxyType) or type(left) is type(right)


@given(values)
@settings(max_examples=200, deadline=None)
def test_any_value_arrives_as_it_was(value: Any) -> None:
    arrived = decode(encode(value))
    assert arrived == value
    assert same_types(value, arrived)


JSON_VALUES = {"a": [1, {"b": None}], "c": "d"}
plans = st.none() | st.just(JSON_VALUES)
for_fields = {
    "plan": plans,
    "error": plans,
    "skipped": st.lists(st.dictionaries(texts, texts, max_size=2), max_size=2).map(tuple),
}


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_record_arrives_as_it_was(kind: type[Any], data: st.DataObject) -> None:
    record = data.draw(drawn(kind))
    arrived = decode(encode(record))
    assert arrived == record
    assert same_types(record, arrived)


def drawn(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Records whose free-form fields are JSON values, as they are in practice."""
    named = {f.name: for_fields[f.name] for f in fields(kind) if f.name in for_fields}
    if kind is ObjectJob:
        named["planned"] = drawn(PlannedObject)
    if kind is TaskEnd:
        named["figures"] = st.dictionaries(texts, st.floats(allow_nan=False), max_size=3)
    return st.builds(kind, **named)


def test_name_that_is_no_text_arrives_byte_by_byte() -> None:
    """Fault 14: the line is JSON, names are bytes."""
    path = bytes(range(1, 256))
    assert decode(encode(path)) == path


def test_settings_arrive_whole_and_secrets_with_them() -> None:
    """SHP-1: they are sent over the line because arguments and environment can be read."""
    sent = ShipSettings(
        folder=Path("/data/in"),
        bucket="b",
        store=S3StoreOptions(
            access_key_id="id", secret_access_key="very-secret", retry=RetryPolicy(3, 0.1, 1.0)
        ),
        limits=UnpackLimits(members_max=7),
        convert=ConvertOptions(schema={"id": "int64"}),
    )
    assert decode(encode(sent)) == sent


def all_errors(kind: type[StocktakeError] = StocktakeError) -> list[type[StocktakeError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in all_errors(below))]


@pytest.mark.parametrize("kind", sorted(all_errors(), key=lambda kind: kind.code))
def test_error_arrives_as_the_same_class(kind: type[StocktakeError]) -> None:
    sent = kind("it went wrong", hint="do this", retryable=True, key="a/b", size_bytes=7)
    if kind.__module__.startswith(errors.__name__):
        arrived = decode(encode(sent))
        assert type(arrived) is kind
        assert arrived.to_dict() == sent.to_dict()


def test_error_keeps_its_retryability() -> None:
    assert decode(encode(StoreUnavailableError("away", retryable=False))).retryable is False
    assert decode(encode(KeyCollisionError("twice"))).hint == KeyCollisionError.default_hint


def test_what_nobody_sends_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        encode({"a": object()})


def test_times_keep_their_zone() -> None:
    at = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
    assert decode(encode([at])) == [at]
