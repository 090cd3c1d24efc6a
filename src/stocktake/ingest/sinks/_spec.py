"""Sinks as JSON: what an ingestion keeps of its sink, checked when it is made, opened when it runs.

>>> describe_sink({"kind": "duckdb", "database": "/data/lake.duckdb", "table": "photos"})
'DuckDB table photos in /data/lake.duckdb, one row per object'
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from stocktake.clock import Clock, SystemClock
from stocktake.errors import InvalidSettingError
from stocktake.ingest._sink import Sink
from stocktake.ingest.sinks._command import COMMAND_S, CommandInput, CommandSink, SinkCommand
from stocktake.ingest.sinks._dataset import Dataset, LocalDataset, S3Dataset
from stocktake.ingest.sinks._duckdb import DuckDbSink
from stocktake.ingest.sinks._formats import CsvLook, CsvTypes, Reader
from stocktake.ingest.sinks._iceberg import IcebergSink
from stocktake.ingest.sinks._parquet import ParquetSink
from stocktake.ingest.sinks._read import Reading
from stocktake.model import S3Url
from stocktake.store import S3StoreOptions, Store, open_store

SinkSpec = dict[str, Any]


class SinkKind(StrEnum):
    """The kinds of sinks that can be written as JSON."""

    PARQUET = "parquet"
    DUCKDB = "duckdb"
    ICEBERG = "iceberg"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class SinkSetting:
    """One setting of a kind of sink, for parsing and for documentation."""

    name: str
    kind: type | tuple[type, ...]
    help: str
    required: bool = False
    minimum: float | None = None


READING = (
    SinkSetting("reader", Reader, "what is made of an object: files, auto, parquet, csv or jsonl"),
    SinkSetting("csv_delimiter", str, "between CSV fields; by default a comma, in .tsv a tab"),
    SinkSetting("csv_types", CsvTypes, "text keeps CSV fields as they stand, infer recognises"),
    SinkSetting("threads", int, "objects read at the same time", minimum=1),
    SinkSetting("ahead_bytes", int, "most bytes of objects being read", minimum=1),
    SinkSetting("rows_bytes_max", int, "most bytes of rows of one batch", minimum=1),
)
"""Settings of all sinks that load rows."""

SINK_SETTINGS: Mapping[SinkKind, tuple[SinkSetting, ...]] = {
    SinkKind.PARQUET: (
        SinkSetting("location", str, "a directory or s3:// prefix", required=True),
        SinkSetting("endpoint_url", str, "another store than the source's"),
        SinkSetting("region", str, "of that store"),
        SinkSetting("profile", str, "of the AWS configuration, for that store"),
        *READING,
    ),
    SinkKind.DUCKDB: (
        SinkSetting("database", str, "the database file", required=True),
        SinkSetting("table", str, "name, or schema.name", required=True),
        *READING,
    ),
    SinkKind.ICEBERG: (
        SinkSetting("table", str, "namespace.name", required=True),
        SinkSetting("catalog", (str, dict), "name in PyIceberg's configuration, or its properties"),
        *READING,
    ),
    SinkKind.COMMAND: (
        SinkSetting("command", (str, list), "program and arguments; no shell", required=True),
        SinkSetting("stdin", CommandInput, "content: the object's bytes, one run per object"),
        SinkSetting("timeout_s", (int, float), "longest time of one run", minimum=0.001),
    ),
}
"""Every setting there is, by kind."""


def check_sink(raw: Mapping[str, Any], *, folder: Path | None = None) -> SinkSpec:
    """The sink's settings, checked, with paths made absolute: what an ingestion keeps.

    Secrets are kept as they are given: leave them to the environment or to PyIceberg's own
    configuration, and name the catalog only.

    Args:
        raw: Settings as JSON has them.
        folder: What relative paths are relative to; the current directory if None.

    Raises:
        InvalidSettingError: Which setting is missing, unknown or impossible.
    """
    kind = _kind(raw)
    spec: SinkSpec = {"kind": kind.value}
    settings = {setting.name: setting for setting in SINK_SETTINGS[kind]}
    for name, value in raw.items():
        if name != "kind" and value is not None:
            spec[name] = _checked(settings, kind, name, value)
    for setting in settings.values():
        if setting.required and not spec.get(setting.name):
            raise InvalidSettingError(f"a {kind.value} sink needs `{setting.name}`: {setting.help}")
    _check_whole(kind, spec)
    for name in ("database", "location"):
        if name in spec and not spec[name].startswith("s3://"):
            spec[name] = str((folder or Path.cwd()) / Path(spec[name]).expanduser())
    return spec


def open_sink(
    raw: Mapping[str, Any], *, store: Store | None = None, clock: Clock | None = None
) -> Sink:
    """The sink that these settings describe. Connects to nothing yet; close it.

    Args:
        raw: Settings, as `check_sink` gave them or as a person wrote them.
        store: Where `s3://` datasets are written, unless the settings name an endpoint, region or
            profile; None opens the store of the environment.
        clock: For waiting.

    Raises:
        InvalidSettingError: Which setting is missing, unknown or impossible.
    """
    spec = check_sink(raw)
    clock = clock or SystemClock()
    kind = SinkKind(spec["kind"])
    if kind is SinkKind.COMMAND:
        return CommandSink(_command(spec), clock)
    reading = _reading(spec)
    if kind is SinkKind.PARQUET:
        return ParquetSink(_dataset(spec, store), reading, clock)
    if kind is SinkKind.DUCKDB:
        return DuckDbSink(Path(spec["database"]), spec["table"], reading, clock)
    return IcebergSink(_iceberg_properties(spec), spec["table"], reading, clock)


def describe_sink(raw: Mapping[str, Any]) -> str:
    """One line for people, without secrets."""
    kind = _kind(raw)
    if kind is SinkKind.COMMAND:
        command = _command(dict(raw))
        per = "object" if command.runs_per_item else "batch"
        return f"command, once per {per}: {shlex.join(command.argv)}"
    reader = Reader(raw.get("reader", Reader.FILES))
    rows = "one row per object" if reader is Reader.FILES else f"rows read as {reader.value}"
    if kind is SinkKind.PARQUET:
        return f"Parquet dataset {raw['location']}, {rows}"
    if kind is SinkKind.DUCKDB:
        return f"DuckDB table {raw['table']} in {raw['database']}, {rows}"
    name = _iceberg_properties(dict(raw)).get("name", "stocktake")
    return f"Iceberg table {raw['table']} in catalog {name}, {rows}"


def _kind(raw: Mapping[str, Any]) -> SinkKind:
    try:
        return SinkKind(raw.get("kind", ""))
    except ValueError as error:
        raise InvalidSettingError(
            f"`{raw.get('kind')}` is not a kind of sink",
            hint=f"one of {', '.join(SinkKind)}; Python functions are given to `run` as they are",
        ) from error


def _checked(settings: Mapping[str, SinkSetting], kind: SinkKind, name: str, given: Any) -> Any:
    value: Any = given
    setting = settings.get(name)
    if setting is None:
        near = difflib.get_close_matches(name, settings, 1)
        raise InvalidSettingError(
            f"a {kind.value} sink has no setting `{name}`",
            hint=f"did you mean `{near[0]}`?" if near else f"there are {', '.join(settings)}",
            setting=name,
        )
    wanted = setting.kind
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        if given not in list(wanted):
            choices = ", ".join(wanted)
            raise InvalidSettingError(f"`{name}` of a sink is one of {choices}, not `{given}`")
        return str(given)
    if isinstance(given, bool) or not isinstance(given, wanted):
        raise InvalidSettingError(f"`{name}` of a sink cannot be `{given}`: {setting.help}")
    if setting.minimum is not None and value < setting.minimum:
        raise InvalidSettingError(f"`{name}` of a sink is at least {setting.minimum}, not {value}")
    return value


def _check_whole(kind: SinkKind, spec: SinkSpec) -> None:
    if kind is SinkKind.COMMAND:
        _command(spec)
    elif kind is SinkKind.PARQUET and spec["location"].startswith("s3://"):
        S3Url.parse(spec["location"])
    elif kind is SinkKind.ICEBERG:
        namespace, _, name = spec["table"].rpartition(".")
        if not namespace or not name:
            raise InvalidSettingError(
                f"`{spec['table']}` is not an Iceberg table name", hint="write namespace.name"
            )
    delimiter = spec.get("csv_delimiter", ",")
    if len(delimiter) != 1 or not delimiter.isascii():
        raise InvalidSettingError(f"`{delimiter}` is not one ASCII character to part CSV fields")


def _command(spec: SinkSpec) -> SinkCommand:
    given = spec["command"]
    try:
        argv = shlex.split(given) if isinstance(given, str) else given
    except ValueError as error:
        raise InvalidSettingError(f"the command `{given}` cannot be parsed: {error}") from error
    if not all(isinstance(part, str) for part in argv):
        raise InvalidSettingError("a command is a list of texts")
    content = CommandInput(spec.get("stdin", CommandInput.NONE))
    return SinkCommand(tuple(argv), content, spec.get("timeout_s", COMMAND_S))


def _reading(spec: SinkSpec) -> Reading:
    names = ("threads", "ahead_bytes", "rows_bytes_max")
    return Reading(
        reader=Reader(spec.get("reader", Reader.FILES)),
        csv=CsvLook(spec.get("csv_delimiter"), CsvTypes(spec.get("csv_types", CsvTypes.TEXT))),
        **{name: spec[name] for name in names if name in spec},
    )


def _dataset(spec: SinkSpec, store: Store | None) -> Dataset:
    location = spec["location"]
    if not location.startswith("s3://"):
        return LocalDataset(Path(location))
    named = {n: spec[n] for n in ("endpoint_url", "region", "profile") if n in spec}
    url = S3Url.parse(location)
    if store is not None and not named:
        return S3Dataset(store, url)
    return S3Dataset(open_store(S3StoreOptions(**named)), url, owns_store=True)


def _iceberg_properties(spec: SinkSpec) -> dict[str, str]:
    catalog = spec.get("catalog", {})
    if isinstance(catalog, str):
        return {"name": catalog}
    return {str(name): str(value) for name, value in catalog.items()}
