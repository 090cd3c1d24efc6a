"""The values that processes send each other, as JSON.

Plain JSON says most of it. What it cannot say is `{"!": name, "v": ...}`: bytes, tuples, paths,
times, the enumerations and records of shipping, and errors. Both ends are the same version of the
same program, so there is no more to it than that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from enum import Enum
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any

from stocktake.convert import ConvertOptions
from stocktake.errors import StocktakeError, StoreError
from stocktake.ship._records import (
    FileJob,
    Identity,
    ObjectJob,
    ObjectResult,
    ObjectState,
    Outcome,
    PlannedObject,
    PlanSummary,
    ReadySource,
    SourceJob,
    SourceKind,
    SourceState,
    TaskEnd,
    UploadCompleting,
    UploadDropped,
    UploadIntended,
    UploadOpened,
)
from stocktake.ship._settings import ShipSettings
from stocktake.store import RetryPolicy, S3StoreOptions, UploadProfile
from stocktake.unpack import UnpackLimits

_MARK = "!"
_ENUMS: tuple[type[Enum], ...] = (SourceKind, SourceState, ObjectState, Outcome)
_RECORDS: tuple[type[Any], ...] = (
    ConvertOptions,
    FileJob,
    Identity,
    ObjectJob,
    ObjectResult,
    PlanSummary,
    PlannedObject,
    ReadySource,
    RetryPolicy,
    S3StoreOptions,
    ShipSettings,
    SourceJob,
    TaskEnd,
    UnpackLimits,
    UploadCompleting,
    UploadDropped,
    UploadIntended,
    UploadOpened,
    UploadProfile,
)


def encode(value: Any) -> bytes:
    """The value as JSON bytes.

    Raises:
        TypeError: Something that processes do not send each other.
    """
    return json.dumps(_pack(value), separators=(",", ":")).encode("ascii")


def decode(data: bytes) -> Any:
    """What was encoded."""
    return _unpack(json.loads(data))


def _pack(value: Any) -> Any:
    packer = _PACKERS.get(type(value))
    if packer is not None:
        return packer(value)
    if isinstance(value, PurePath):
        return _pack_path(value)
    if isinstance(value, StocktakeError):
        return _pack_error(value)
    if isinstance(value, Mapping):
        return _pack_mapping(value)
    raise TypeError(f"a {type(value).__name__} does not go over the wire")


def _unpack(value: Any) -> Any:
    kind = type(value)
    if kind is list:
        return [_unpack(item) for item in value]
    if kind is not dict:
        return value
    name = value.get(_MARK)
    if name is None:
        return {key: _unpack(item) for key, item in value.items()}
    return _UNPACKERS[name](value["v"])


def _same(value: Any) -> Any:
    return value


def _pack_list(value: list[Any]) -> Any:
    return [_pack(item) for item in value]


def _pack_mapping(value: Mapping[Any, Any]) -> Any:
    if all(type(key) is str for key in value) and _MARK not in value:
        return {key: _pack(item) for key, item in value.items()}
    return {_MARK: "d", "v": [[_pack(key), _pack(item)] for key, item in value.items()]}


def _unpack_mapping(pairs: list[Any]) -> Any:
    return {_unpack(key): _unpack(item) for key, item in pairs}


def _pack_bytes(value: bytes) -> Any:
    return {_MARK: "b", "v": value.decode("utf-8", "surrogateescape")}


def _unpack_bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _pack_path(value: PurePath) -> Any:
    return {_MARK: "p", "v": str(value)}


def _pack_error(error: StocktakeError) -> Any:
    return {_MARK: "x", "v": error.to_dict()}


def error_of(value: Mapping[str, Any]) -> StocktakeError:
    """The error that `to_dict` was asked of, as the same class."""
    return _error_classes().get(value["code"], StocktakeError)(
        value["message"], hint=value["hint"], retryable=value["retryable"], **value["attrs"]
    )


def _error_classes() -> dict[str, type[StocktakeError]]:
    if not _ERRORS:
        waiting: list[type[StocktakeError]] = [StocktakeError, StoreError]
        while waiting:
            found = waiting.pop()
            _ERRORS.setdefault(found.code, found)
            waiting += found.__subclasses__()
    return _ERRORS


def _enum_packer(kind: type[Enum]) -> Callable[[Any], Any]:
    texts = {member: {_MARK: kind.__name__, "v": member.value} for member in kind}
    return lambda member: texts[member]


def _record_packer(kind: type[Any]) -> Callable[[Any], Any]:
    names = tuple(item.name for item in fields(kind))

    def pack(record: Any) -> Any:
        return {_MARK: kind.__name__, "v": [_pack(getattr(record, name)) for name in names]}

    return pack


def _record_unpacker(kind: type[Any]) -> Callable[[Any], Any]:
    return lambda values: kind(*[_unpack(value) for value in values])


_ERRORS: dict[str, type[StocktakeError]] = {}
_PACKERS: dict[type[Any], Callable[[Any], Any]] = {
    str: _same,
    int: _same,
    float: _same,
    bool: _same,
    type(None): _same,
    list: _pack_list,
    dict: _pack_mapping,
    MappingProxyType: _pack_mapping,
    tuple: lambda value: {_MARK: "t", "v": [_pack(item) for item in value]},
    bytes: _pack_bytes,
    datetime: lambda value: {_MARK: "w", "v": value.isoformat()},
    **{kind: _enum_packer(kind) for kind in _ENUMS},
    **{kind: _record_packer(kind) for kind in _RECORDS},
}
_UNPACKERS: dict[str, Callable[[Any], Any]] = {
    "t": lambda values: tuple([_unpack(value) for value in values]),
    "d": _unpack_mapping,
    "b": _unpack_bytes,
    "p": Path,
    "w": datetime.fromisoformat,
    "x": error_of,
    **{kind.__name__: kind for kind in _ENUMS},
    **{kind.__name__: _record_unpacker(kind) for kind in _RECORDS},
}
