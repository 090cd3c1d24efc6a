"""What one walk may still use: members, bytes, time; all levels of archives share it."""

from __future__ import annotations

from stocktake.clock import Clock
from stocktake.errors import ArchiveLimitError
from stocktake.unpack._member import UnpackLimits


class Budget:
    """Counts what a walk takes and stops it at the limits."""

    def __init__(self, limits: UnpackLimits, clock: Clock, name: str) -> None:
        self.limits = limits
        self._clock = clock
        self._name = name
        self._members = 0
        self._bytes = 0
        self._resumed_s: float | None = None
        self._spent_s = 0.0
        self._nested_bytes = 0

    def take_member(self) -> None:
        """One more member; also folders, links, archives inside, and those there twice."""
        self._members += 1
        if self._members > self.limits.members_max:
            raise self.stop(
                f"has more than {self.limits.members_max:,} members", "archive_members_max"
            )
        if not self._members % 256:
            self.check_time()

    def take_bytes(self, count: int) -> None:
        """So many more bytes came out of a decoder."""
        self._bytes += count
        if self._bytes > self.limits.total_bytes_max:
            said = f"unpacks to more than {self.limits.total_bytes_max:,} bytes"
            raise self.stop(said, "archive_bytes_max")
        self.check_time()

    def resume(self) -> None:
        """Time counts from here on. What happens between two reads (an outage) does not."""
        self._resumed_s = self._clock.monotonic_s()

    def pause(self) -> None:
        """Time does not count until `resume`."""
        if self._resumed_s is not None:
            self._spent_s += self._clock.monotonic_s() - self._resumed_s
            self._resumed_s = None

    def check_time(self) -> None:
        """Stop if reading takes too long."""
        running_s = 0.0
        if self._resumed_s is not None:
            running_s = self._clock.monotonic_s() - self._resumed_s
        if self._spent_s + running_s > self.limits.duration_s_max:
            said = f"takes longer than {self.limits.duration_s_max:,.0f} s to unpack"
            raise self.stop(said, "archive_duration_max_s")

    def check_ratio(self, member_bytes: int, unpacked_bytes: int, packed_bytes: int) -> None:
        """Stop at a bomb.

        Args:
            member_bytes: What the member has given so far; the first bytes are free.
            unpacked_bytes: What the packed bytes below have given so far.
            packed_bytes: Of the member, or of the stream where members have none of their own.
        """
        if member_bytes <= self.limits.ratio_free_bytes:
            return
        if unpacked_bytes > self.limits.member_ratio_max * max(packed_bytes, 1):
            said = f"unpacks to more than {self.limits.member_ratio_max:g} times its size"
            raise self.stop(said, "archive_ratio_max")

    def fits_memory(self, size_bytes: int | None) -> bool:
        """Whether an inner archive of this size may be held in memory beside the others."""
        return self._nested_bytes + (size_bytes or 0) <= self.limits.nested_memory_bytes

    def hold_memory(self, size_bytes: int) -> None:
        """An inner archive is in memory now; negative when it is not any more."""
        self._nested_bytes += size_bytes

    def stop(self, said: str, limit: str) -> ArchiveLimitError:
        """The error that a limit was reached."""
        hint = f"if that is as it should be, allow more: the setting {limit}"
        return ArchiveLimitError(f"{self._name} {said}", hint=hint, limit=limit)
