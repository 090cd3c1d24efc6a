"""What `reconcile` compares: from a configuration file, or from the command line alone."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from stocktake.errors import InvalidSettingError, UsageError
from stocktake.model import S3Url
from stocktake.reconcile import (
    HaveSpec,
    ReconcileConfig,
    ScanMode,
    Severity,
    ShouldKind,
    ShouldSpec,
    load_config,
)

E = TypeVar("E", bound=StrEnum)

_KINDS = {
    "folder": ShouldKind.FOLDER,
    "dataset": ShouldKind.MANIFEST,
    "bucket": ShouldKind.BUCKET,
    "snapshot": ShouldKind.SNAPSHOT,
}
_CHOICES = ", ".join(f"--{name}" for name in _KINDS)


def config_of(
    *,
    source: str,
    file: Path | None,
    places: Mapping[str, str | Path | None],
    mode: str | None,
    fail_on: str | None,
) -> ReconcileConfig:
    """The reconciliation that a command line asks for.

    Raises:
        UsageError: Neither a file nor a source and a place, or both.
        ReconcileConfigError: The file is wrong.
    """
    named = {name: place for name, place in places.items() if place is not None}
    chosen = _word(mode, ScanMode, "--mode") if mode is not None else None
    if file is not None:
        if source or named:
            extra = source or f"--{next(iter(named))}"
            raise UsageError(
                f"{extra} stands beside --config", hint="the file says what is compared: keep one"
            )
        config = load_config(file)
    else:
        config = _from_line(source, named, chosen)
    if chosen is not None and chosen is not config.have.mode:
        _check_mode(config.have, chosen)
        config = replace(config, have=replace(config.have, mode=chosen))
    if fail_on is not None:
        config = replace(config, fail_on=_word(fail_on, Severity, "--fail-on"))
    return config


def _check_mode(have: HaveSpec, mode: ScanMode) -> None:
    if mode is ScanMode.AWS_INVENTORY and have.inventory is None:
        raise UsageError(
            "--mode aws_inventory needs to know where the reports are",
            hint="name `inventory_bucket` in the configuration file",
        )


def _from_line(
    source: str, named: Mapping[str, str | Path], mode: ScanMode | None
) -> ReconcileConfig:
    if not source:
        raise UsageError(
            "nothing to reconcile is named",
            hint="give --config FILE, or s3://bucket/prefix and --folder DIR",
        )
    address = S3Url.parse(source)
    if len(named) != 1:
        problem = (
            "what should be there is not named"
            if not named
            else (f"{' and '.join(f'--{name}' for name in named)} stand beside each other")
        )
        raise UsageError(problem, hint=f"give one of {_CHOICES}; rules need --config FILE")
    ((name, place),) = named.items()
    have = HaveSpec(address)
    if mode is not None:
        _check_mode(have, mode)
    return ReconcileConfig(have=have, should=_should(name, place, address))


def _should(name: str, place: str | Path, source: S3Url) -> ShouldSpec:
    kind = _KINDS[name]
    if kind is ShouldKind.FOLDER:
        return ShouldSpec(kind, str(Path(place).expanduser().absolute()))
    if kind is ShouldKind.BUCKET:
        other = S3Url.parse(str(place))
        if other == source:
            raise UsageError(f"{source} is compared with itself", hint="name another place")
        return ShouldSpec(kind, str(other))
    return ShouldSpec(kind, str(place))


def _word(text: str, kind: type[E], option: str) -> E:
    words = {str(one).lower(): one for one in kind}
    plain = text.strip().lower().replace("-", "_")
    if plain in words:
        return words[plain]
    near = difflib.get_close_matches(plain, list(words), n=1)
    hint = f"did you mean {words[near[0]]}?" if near else f"choose one of {', '.join(kind)}"
    raise InvalidSettingError(f"{option} is `{text}`, not one of {', '.join(kind)}", hint=hint)
