"""What a check says: its state, why, and the exact fix."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stocktake.errors import StocktakeError


class CheckState(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    """It works, or will; something about it should be known."""
    FAILED = "failed"
    """No report, or none that can be used, until this is mended."""
    UNKNOWN = "unknown"
    """It could not be looked at."""


@dataclass(frozen=True, slots=True)
class Fix:
    """How to mend it.

    Attributes:
        text: What to do, as a sentence.
        command: A command that does it, ready for a shell; None if there is none.
        document: The JSON that the command, or a person, puts there; None if there is none.
        file: What the command calls the file of `document`; '' if it is in the command itself.
    """

    text: str
    command: str | None = None
    document: Mapping[str, Any] | None = None
    file: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "text": self.text,
            "command": self.command,
            "file": self.file or None,
            "document": self.document,
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One step of `setup check`.

    Attributes:
        id: Stable name.
        title: What was looked at.
        state: How it came out.
        why: What was found, as a sentence without its period.
        fix: How to mend it; None if there is nothing to mend.
        configuration: The id of the inventory configuration it is about; None: of the bucket.
    """

    id: str
    title: str
    state: CheckState
    why: str
    fix: Fix | None = None
    configuration: str | None = None

    @property
    def asks_for_something(self) -> bool:
        """True if somebody has something to mend."""
        return self.state is CheckState.FAILED or (
            self.state is CheckState.WARNING and self.fix is not None
        )

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "id": self.id,
            "title": self.title,
            "state": self.state.value,
            "configuration": self.configuration,
            "why": self.why,
            "fix": self.fix.to_dict() if self.fix else None,
        }


def not_seen(
    check_id: str, title: str, error: StocktakeError | None, configuration: str | None = None
) -> Check:
    """The check that could not be made, with the permission that is missing as its fix."""
    why = error.message if error else "it was not asked"
    fix = Fix(error.hint) if error and error.hint else None
    return Check(check_id, title, CheckState.UNKNOWN, why, fix, configuration)


def put_configuration_command(bucket: str, document: Mapping[str, Any]) -> str:
    """The `aws` command that writes an inventory configuration."""
    return (
        f"aws s3api put-bucket-inventory-configuration --bucket {shlex.quote(bucket)} "
        f"--id {shlex.quote(str(document['Id']))} "
        f"--inventory-configuration {shlex.quote(json.dumps(document))}"
    )


def exit_code(checks: list[Check]) -> int:
    """0: all is well; 4: there is something to mend; 3: not all of it could be looked at."""
    if any(one.asks_for_something for one in checks):
        return 4
    return 3 if any(one.state is CheckState.UNKNOWN for one in checks) else 0
