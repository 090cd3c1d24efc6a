"""How a request is sent: once, or patiently by somebody who outlasts outages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Calling(Protocol):
    """How a request is sent: once, or patiently."""

    def __call__(self, action: Callable[[], T], /) -> T:
        """What the action gives."""


def once(action: Callable[[], T]) -> T:
    """Send it once."""
    return action()
