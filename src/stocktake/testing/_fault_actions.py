"""What the fault proxy can do to an exchange."""

from __future__ import annotations

from dataclasses import dataclass

_SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>injected</Message></Error>"


@dataclass(frozen=True, slots=True)
class Status:
    """Answer that status without asking the server."""

    status: int = 503
    body: bytes = _SLOW_DOWN
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait before the request goes on."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection properly in the middle of the answer's body."""

    after_bytes: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection in the middle of the answer's body."""

    after_bytes: int


@dataclass(frozen=True, slots=True)
class Stall:
    """Send nothing for that long in the middle of the answer's body, then end."""

    after_bytes: int
    stall_s: float


@dataclass(frozen=True, slots=True)
class Trickle:
    """Send the answer's body slowly."""

    bytes_per_s: int


@dataclass(frozen=True, slots=True)
class BitFlip:
    """Flip the lowest bit of one byte of the answer's body."""

    at_byte: int

    def flip(self, piece: bytes, offset: int) -> bytes:
        """The piece that begins at `offset`, damaged if the byte is in it."""
        place = self.at_byte - offset
        if not 0 <= place < len(piece):
            return piece
        return piece[:place] + bytes([piece[place] ^ 1]) + piece[place + 1 :]


@dataclass(frozen=True, slots=True)
class LostAnswer:
    """Let the server do its work, then reset before any byte of its answer."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Reset at once; the server never sees the request."""


Action = Status | Delay | Cut | Reset | Stall | Trickle | BitFlip | LostAnswer | Refuse
