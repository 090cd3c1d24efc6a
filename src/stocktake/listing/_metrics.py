"""What a listing did and what it cost: kept with every run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(slots=True)
class ListingMetrics:
    """Figures of one run of a strategy. Filled while it runs; `None` where it does not apply.

    Attributes:
        objects: Objects seen.
        new: Of these, not known before.
        changed: Known under another version, ETag, size or time.
        deleted: Known before and gone.
        late: New or changed, although a partial strategy had passed them by.
        lateness_max_s: The longest time that a late object came after the strategy had passed it.
        calls: Requests by kind: `page`, `probe` (delimiter or speculation), `empty`, `versions`,
            `uploads`, `head`, `receive`.
        throttles: Answers that asked to slow down.
        retries: Requests that were sent again.
        p50_s: Median latency of a request.
        p99_s: 99th percentile of it.
        store_s: Time that requests took, added up over all connections.
        diff_s: Time that comparing with what was known took.
        wall_s: The whole run.
        concurrency_max: Most requests in flight at once.
        reused: The answer is an earlier run's (younger than `max_age`).
    """

    objects: int = 0
    new: int = 0
    changed: int = 0
    deleted: int = 0
    late: int = 0
    lateness_max_s: float | None = None
    calls: dict[str, int] = field(default_factory=dict)
    throttles: int = 0
    retries: int = 0
    p50_s: float | None = None
    p99_s: float | None = None
    store_s: float = 0.0
    diff_s: float = 0.0
    wall_s: float = 0.0
    concurrency_max: int = 0
    reused: bool = False

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(self.calls.values())

    @property
    def efficiency(self) -> float | None:
        """Objects per request, of the 1,000 that are possible: 1.0 is best. None without any."""
        return self.objects / (1000 * self.requests) if self.requests else None

    @property
    def objects_per_s(self) -> float | None:
        """Objects seen per second of the whole run."""
        return self.objects / self.wall_s if self.wall_s else None

    def to_dict(self) -> dict[str, Any]:
        """Everything, derived figures too, for `--json` and the run's row."""
        derived = {
            "requests": self.requests,
            "efficiency": self.efficiency,
            "objects_per_s": self.objects_per_s,
        }
        return {**asdict(self), **derived}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> ListingMetrics:
        """From what `to_dict` gave; derived and unknown figures are left out."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in raw.items() if name in known})
