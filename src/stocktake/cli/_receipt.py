"""Receipts: what a job asked of the store, what that costs, and what a LIST would have cost.

The estimate of requests is `calls / 1000 * price of their kind`; a report's delivery is `objects /
1 M * $0.0025`; the same by LIST is `ceil(objects / 1000) / 1000 * $0.005`. At those prices an
inventory is half the price of one listing, not a hundredth. Transfer, storage and KMS are left out.
Prices, their date and region stand in `setup/prices.toml`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from stocktake.cli._output import Output
from stocktake.cli._text import count_text, duration_text, size_text
from stocktake.setup import KEYS_PER_LIST, Prices, kind_of, listing_calls
from stocktake.telemetry import Meter

__all__ = ["Prices", "Receipt", "dollars_text", "kind_of", "listing_calls", "show_receipt"]

_TEXT_WIDTH = 68
_WITHOUT_RIVAL = frozenset({"scan", "sample", "run", "check", "create", "sync"})
"""Jobs that list themselves, or that no listing could replace."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one job cost.

    Attributes:
        job: `import`, `write`, `verify`, `scan`, `sample` or `run` (of an ingestion).
        calls: Requests by S3 operation, retries included.
        retries: Retries by reason.
        received_bytes: Of bodies that came in.
        sent_bytes: Of bodies that went out.
        elapsed_s: Wall time.
        phases: Seconds by phase.
        objects: Keys that the report or listing holds.
        from_report: True if a delivered report was read: its delivery is part of the price.
    """

    job: str
    calls: Mapping[str, int]
    retries: Mapping[str, int]
    received_bytes: int
    sent_bytes: int
    elapsed_s: float
    objects: int
    from_report: bool
    phases: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, job: str, meter: Meter, elapsed_s: float, objects: int, **more: Any) -> Receipt:
        """The receipt of what a meter counted."""
        return cls(
            job=job,
            calls=dict(sorted(meter.calls.items())),
            retries=dict(sorted(meter.retries.items())),
            received_bytes=meter.received_bytes,
            sent_bytes=meter.sent_bytes,
            elapsed_s=elapsed_s,
            objects=objects,
            **more,
        )

    def to_dict(self, prices: Prices) -> dict[str, Any]:
        """Its JSON form, with the prices it was reckoned with and the formula."""
        requests = prices.of_calls(self.calls)
        delivery = prices.of_report(self.objects) if self.from_report else 0.0
        listing = prices.of_listing(self.objects)
        total = requests + delivery
        # a look that found nothing new is no rival of a listing: it has no rows to show for it
        comparable = total > 0 and (self.from_report or self.job != "import")
        return {
            "job": self.job,
            "calls": dict(self.calls),
            "retries": dict(self.retries),
            "received_bytes": self.received_bytes,
            "sent_bytes": self.sent_bytes,
            "elapsed_s": round(self.elapsed_s, 3),
            "phases_s": {name: round(seconds, 3) for name, seconds in self.phases.items()},
            "objects": self.objects,
            "cost": {
                "requests_usd": dollars(requests),
                "report_delivery_usd": dollars(delivery),
                "total_usd": dollars(total),
                "by_list_usd": dollars(listing),
                "by_list_calls": listing_calls(self.objects),
                "list_to_this_ratio": round(listing / total, 2) if comparable else None,
                "formula": formula(prices),
                "prices": {
                    "date": prices.date,
                    "region": prices.region,
                    "source": prices.source,
                },
                "left_out": "transfer, storage, KMS",
            },
        }


def dollars(amount: float) -> float:
    """An amount without the noise of binary fractions."""
    return round(amount, 9)


def dollars_text(amount: float) -> str:
    """An amount for people: as many decimals as it needs to say something.

    >>> dollars_text(0.0025), dollars_text(12.5), dollars_text(0.0000004)
    ('$0.0025', '$12.50', '$0.0000004')
    """
    if amount >= 0.01 or amount == 0:
        return f"${amount:.2f}"
    return "$" + f"{amount:.2g}" if amount >= 0.0001 else "$" + f"{amount:.7f}".rstrip("0")


def formula(prices: Prices) -> str:
    """How the estimate is reckoned."""
    return (
        f"calls/1000 x (LIST, PUT ${prices.requests['list']}, GET ${prices.requests['get']}) + "
        f"objects/1M x ${prices.inventory_per_million} per report; by LIST: "
        f"ceil(objects/{KEYS_PER_LIST})/1000 x ${prices.requests['list']}"
    )


def show_receipt(out: Output, receipt: dict[str, Any]) -> None:
    """The receipt for people, on stderr: it is about the answer, not the answer."""
    cost = receipt["cost"]
    calls = ", ".join(f"{count_text(n)} {name}" for name, n in receipt["calls"].items())
    out.note("")
    out.note(f"receipt of this {receipt['job']}")
    lines = textwrap.wrap(calls or "none", _TEXT_WIDTH, break_on_hyphens=False)
    for label, line in zip_longest(["  requests  "], lines, fillvalue=" " * 12):
        out.note(f"{label}{line}")
    if receipt["retries"]:
        retries = ", ".join(f"{n} {reason}" for reason, n in receipt["retries"].items())
        out.note(f"  retries   {retries}")
    moved = [
        f"{size_text(receipt[name])} {word}"
        for name, word in (("received_bytes", "received"), ("sent_bytes", "sent"))
        if receipt[name]
    ]
    out.note(f"  moved     {', '.join(moved) or 'nothing'}")
    out.note(f"  took      {duration_text(receipt['elapsed_s'])}")
    out.note(f"  cost      about {dollars_text(cost['total_usd'])}")
    if cost["report_delivery_usd"]:
        out.note(
            f"            = requests {dollars_text(cost['requests_usd'])} "
            f"+ delivery of the report {dollars_text(cost['report_delivery_usd'])}"
        )
    ratio = cost["list_to_this_ratio"]
    if receipt["job"] not in _WITHOUT_RIVAL:
        out.note(
            f"  by LIST   about {dollars_text(cost['by_list_usd'])} "
            f"({count_text(cost['by_list_calls'])} calls{f'; {ratio:.1f}x this' if ratio else ''})"
        )
    out.note(
        f"  prices    AWS {cost['prices']['region']}, {cost['prices']['date']}; "
        f"without {cost['left_out']}"
    )
