"""Prices: one dated list, of one region, from a file. No price is written anywhere else."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from stocktake.errors import PriceFileError

KEYS_PER_LIST = 1000
_FREE = frozenset({"DeleteObject", "DeleteObjects", "AbortMultipartUpload"})
_LIKE_LIST = ("List",)
_LIKE_PUT = ("Put", "Copy", "Post", "Create", "Complete", "UploadPart")
_BYTES_MAX = 64 << 10

_TEXTS = ("date", "region", "currency", "source")
_NUMBERS = {
    "requests": ("list", "put", "get", "delete"),
    "inventory": ("per_million_objects",),
    "metadata": ("per_million_updates",),
    "queue": ("per_million_requests",),
    "storage": ("per_gb_month",),
}
_OPTIONAL = {"metadata": ("per_million_backfilled",)}


@dataclass(frozen=True, slots=True)
class Prices:
    """One price list.

    Attributes:
        date: The day it was written down.
        region: Whose prices these are.
        source: Where they come from.
        requests: Per 1,000 requests, by kind (`kind_of`).
        inventory_per_million: Per million objects of a delivered report.
        metadata_per_million: Per million changes that S3 Metadata writes down.
        backfill_per_million: Per million objects that S3 Metadata's table is first filled with;
            None if the list does not know.
        queue_per_million: Per million requests to a queue.
        storage_per_gb_month: Per GB (10^9 bytes) and month.
        currency: Of all of them.
    """

    date: str
    region: str
    source: str
    requests: Mapping[str, float]
    inventory_per_million: float
    metadata_per_million: float
    backfill_per_million: float | None
    queue_per_million: float
    storage_per_gb_month: float
    currency: str = "USD"

    @classmethod
    def load(cls, path: Path | None = None) -> Prices:
        """The price list of a file; None: the one that ships with stocktake.

        Raises:
            PriceFileError: It cannot be read, lacks a price, or has something that is none.
        """
        if path is None:
            text = (resources.files("stocktake.setup") / "prices.toml").read_text("utf-8")
            return _read(text, "prices.toml")
        try:
            with path.open("rb") as file:
                data = file.read(_BYTES_MAX + 1)
            if len(data) > _BYTES_MAX:
                raise PriceFileError(f"{path} has more than {_BYTES_MAX:,} bytes: no price file")
            return _read(data.decode("utf-8-sig"), str(path))
        except OSError as error:
            raise PriceFileError(f"cannot read {path}: {error.strerror}", path=str(path)) from error
        except UnicodeDecodeError as error:
            raise PriceFileError(f"{path} is not UTF-8 text", path=str(path)) from error

    def of_calls(self, calls: Mapping[str, int]) -> float:
        """What these calls cost, by operation."""
        return sum(
            count / 1000 * self.requests[kind_of(operation)] for operation, count in calls.items()
        )

    def of_listing(self, objects: int) -> float:
        """What one full LIST of that many keys costs."""
        return listing_calls(objects) / 1000 * self.requests["list"]

    def of_report(self, objects: int) -> float:
        """What the delivery of one inventory report of that many objects costs."""
        return objects / 1_000_000 * self.inventory_per_million

    def to_dict(self) -> dict[str, str]:
        """Where they come from: what every estimate has to say of its prices."""
        return {
            "date": self.date,
            "region": self.region,
            "source": self.source,
            "currency": self.currency,
        }


def kind_of(operation: str) -> str:
    """The price class of an S3 operation: list, put, get or delete."""
    if operation in _FREE:
        return "delete"
    if operation.startswith(_LIKE_LIST):
        return "list"
    return "put" if operation.startswith(_LIKE_PUT) else "get"


def listing_calls(objects: int) -> int:
    """LIST requests that a bucket of that many keys takes; an empty one takes one."""
    return max(1, -(-objects // KEYS_PER_LIST))


def _read(text: str, where: str) -> Prices:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PriceFileError(f"{where} is not valid TOML: {error}", path=where) from error
    _refuse_unknown(raw, {*_TEXTS, *_NUMBERS}, where)
    texts = {name: _text(raw, name, where) for name in _TEXTS}
    try:
        date.fromisoformat(texts["date"])
    except ValueError as error:
        raise _wrong(where, "date", "not a day such as 2026-11-20") from error
    found = {section: _section(raw, section, where) for section in _NUMBERS}
    return Prices(
        date=texts["date"],
        region=texts["region"],
        source=texts["source"],
        currency=texts["currency"],
        requests={name: found["requests"][name] for name in _NUMBERS["requests"]},
        inventory_per_million=found["inventory"]["per_million_objects"],
        metadata_per_million=found["metadata"]["per_million_updates"],
        backfill_per_million=found["metadata"].get("per_million_backfilled"),
        queue_per_million=found["queue"]["per_million_requests"],
        storage_per_gb_month=found["storage"]["per_gb_month"],
    )


def _text(raw: Mapping[str, Any], name: str, where: str) -> str:
    value = raw.get(name)
    if isinstance(value, date):  # TOML has dates of its own
        return value.isoformat()
    if not isinstance(value, str) or not value.strip():
        raise _wrong(where, name, "missing" if value is None else "not a text")
    return value.strip()


def _section(raw: Mapping[str, Any], section: str, where: str) -> dict[str, float]:
    found = raw.get(section)
    if not isinstance(found, dict):
        raise _wrong(where, f"[{section}]", "missing")
    optional = _OPTIONAL.get(section, ())
    _refuse_unknown(found, {*_NUMBERS[section], *optional}, where, f"{section}.")
    prices = {}
    for name in (*_NUMBERS[section], *optional):
        value = found.get(name)
        if value is None and name in optional:
            continue
        if value is None:
            raise _wrong(where, f"{section}.{name}", "missing")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(where, f"{section}.{name}", "not a number")
        if not math.isfinite(value) or value < 0:
            raise _wrong(where, f"{section}.{name}", "not a price")
        prices[name] = float(value)
    return prices


def _refuse_unknown(raw: Mapping[str, Any], known: set[str], where: str, lead: str = "") -> None:
    for name in raw:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean `{lead}{near[0]}`" if near else None
            raise PriceFileError(f"{where}: `{lead}{name}` is no price", hint=hint, path=where)


def _wrong(where: str, name: str, what: str) -> PriceFileError:
    return PriceFileError(
        f"{where}: `{name}` is {what}",
        hint="a price file has date, region, currency, source and the sections "
        + ", ".join(_NUMBERS)
        + "; `Honest cost` in the documentation shows a whole one",
        path=where,
    )
