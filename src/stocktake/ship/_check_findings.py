"""What a check found, as people and scripts read it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARN = "warn"
    """It works, slower or with less certainty."""
    FAIL = "fail"
    """Shipping will not work like this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: Which, stable.
        level: How it is.
        message: What was found, one line.
        hint: What to do about it, if anything.
    """

    name: str
    level: Level
    message: str
    hint: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """As `--json` prints it."""
        return {
            "name": self.name,
            "level": self.level.value,
            "message": self.message,
            "hint": self.hint,
        }
