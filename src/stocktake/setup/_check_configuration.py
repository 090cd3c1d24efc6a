"""Checks of what one inventory configuration says, before anything is looked at beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from stocktake.setup._checks import Check, CheckState, Fix, put_configuration_command
from stocktake.setup._configuration import (
    DEFAULT_FIELDS,
    FORMATS,
    FREQUENCIES,
    VERSIONS,
    Configuration,
    check_fields,
)

_ARN = re.compile(r"arn:aws[a-z-]*:s3:::[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_NEEDED = ("Size", "LastModifiedDate", "ETag", "StorageClass")
_LOST = {
    "Size": "sizes of objects and folders are unknown",
    "LastModifiedDate": "ages are unknown, and a changed object may look unchanged",
    "ETag": "a changed object of the same size may look unchanged",
    "StorageClass": "classes are unknown",
}


def check_configuration(
    one: Configuration, prefix: str = "", frequency: str | None = None
) -> Iterator[Check]:
    """Everything that can be said of a configuration by reading it.

    Args:
        one: The configuration.
        prefix: What the reports have to cover.
        frequency: What is wanted, `Daily` or `Weekly`; None: either.
    """
    yield _enabled(one)
    yield _schedule(one, frequency)
    yield _format(one)
    yield _fields(one)
    yield _versions(one)
    yield _filter(one, prefix)
    yield _destination_prefix(one)
    yield _destination_arn(one)


def _made(one: Configuration, check_id: str, title: str) -> Check:
    return Check(check_id, title, CheckState.OK, "", None, one.id)


def _fix(one: Configuration, text: str, **changes: Any) -> Fix:
    document = one.corrected(**changes)
    return Fix(text, put_configuration_command(one.bucket, document), document)


def _enabled(one: Configuration) -> Check:
    check = _made(one, "enabled", "Enabled")
    if one.enabled:
        return replace(check, why="reports are being made")
    fix = _fix(one, "enable it; the first report then takes up to 48 hours", enabled=True)
    why = "it is disabled: no reports are made"
    return replace(check, state=CheckState.FAILED, why=why, fix=fix)


def _schedule(one: Configuration, wanted: str | None) -> Check:
    check = _made(one, "schedule", "Schedule")
    if one.frequency not in FREQUENCIES:
        fix = _fix(one, "make it daily", frequency="Daily")
        why = f"its frequency is `{one.frequency}`, which S3 does not have"
        return replace(check, state=CheckState.FAILED, why=why, fix=fix)
    if wanted and one.frequency != wanted:
        fix = _fix(one, f"make it {wanted.lower()}", frequency=wanted)
        why = f"it is {one.frequency.lower()}, wanted is {wanted.lower()}"
        return replace(check, state=CheckState.FAILED, why=why, fix=fix)
    note = "" if one.frequency == "Daily" else ": every Sunday (UTC), so up to eight days old"
    return replace(check, why=one.frequency.lower() + note)


def _format(one: Configuration) -> Check:
    check = _made(one, "format", "Format")
    if one.format in FORMATS:
        note = "; its keys are URL-encoded, which is undone once" if one.format == "CSV" else ""
        return replace(check, why=one.format + note)
    fix = _fix(one, "make it Parquet", format="Parquet")
    why = f"its format is `{one.format}`; stocktake reads CSV, ORC and Parquet"
    return replace(check, state=CheckState.FAILED, why=why, fix=fix)


def _fields(one: Configuration) -> Check:
    check = _made(one, "fields", "Fields")
    missing = [name for name in _NEEDED if name not in one.fields]
    if not missing:
        return replace(check, why=", ".join(one.fields))
    known = tuple(name for name in one.fields if name in DEFAULT_FIELDS)
    strange = tuple(name for name in one.fields if name not in DEFAULT_FIELDS)
    fields = (*check_fields((*known, *missing)), *strange)
    fix = _fix(one, f"add {', '.join(missing)}; fields cost nothing", fields=fields)
    why = "; ".join(f"without {name} {_LOST[name]}" for name in missing)
    return replace(check, state=CheckState.WARNING, why=why, fix=fix)


def _versions(one: Configuration) -> Check:
    check = _made(one, "versions", "Versions")
    if one.versions in VERSIONS:
        why = {
            "All": "all versions and delete markers; only current ones count in folders",
            "Current": "current versions only",
        }[one.versions]
        return replace(check, why=why)
    fix = _fix(one, "choose current or all versions", versions="Current")
    why = f"it includes `{one.versions}` versions, S3 has All and Current"
    return replace(check, state=CheckState.FAILED, why=why, fix=fix)


def _filter(one: Configuration, prefix: str) -> Check:
    check = _made(one, "filter", "Filter")
    found = one.filter_prefix
    if not found:
        return replace(check, why="none: the whole bucket")
    if not prefix.startswith(found) and prefix:
        fix = _fix(one, f"filter by `{prefix}`, or by nothing", filter_prefix=prefix)
        why = f"it holds only keys below `{found}`, nothing or not all of `{prefix}`"
        return replace(check, state=CheckState.FAILED, why=why, fix=fix)
    if found.startswith("/"):
        right = found.lstrip("/")
        fix = _fix(one, f"filter by `{right}`", filter_prefix=right)
        why = f"it holds only keys that begin with a slash (`{found}`), which few keys do"
        return replace(check, state=CheckState.WARNING, why=why, fix=fix)
    return replace(check, why=f"only keys below `{found}`")


def _destination_prefix(one: Configuration) -> Check:
    check = _made(one, "prefix", "Destination prefix")
    right = one.prefix.strip("/")
    if one.prefix == right and "//" not in right:
        return replace(check, why=f"`{right}`" if right else "none: at the top of the bucket")
    if one.prefix == right:
        why = f"`{one.prefix}` has an empty folder name in it"
        return replace(check, state=CheckState.WARNING, why=why)
    side = "begins" if one.prefix.startswith("/") else "ends"
    why = (
        f"`{one.prefix}` {side} with a slash: reports lie below an empty folder name "
        f"(`{one.prefix}/{one.bucket}/...`), over which query engines stumble"
    )
    text = f"set it to `{right}`; the next report is then delivered there, older ones stay"
    fix = _fix(one, text, prefix=right)
    return replace(check, state=CheckState.WARNING, why=why, fix=fix)


def _destination_arn(one: Configuration) -> Check:
    check = _made(one, "destination-arn", "Destination")
    arn = one.destination_arn
    if _ARN.fullmatch(arn):
        return replace(check, why=arn)
    name = one.destination_bucket.removeprefix("s3://").strip("/").partition("/")[0]
    right = f"arn:aws:s3:::{name}"
    fix = _fix(one, f"write it as {right}", destination_arn=right)
    why = f"`{arn}` is not the ARN of a bucket"
    return replace(check, state=CheckState.FAILED, why=why, fix=fix)
