"""How many small uploads to have in flight: as many as the store's distance is worth.

Threads that wait for the network cost nothing; threads that all want the interpreter at once cost
much of it in hand-overs: over loopback few threads are quicker than many, far away it is the
other way round. So the number follows the shortest answer of late, divided by what one file costs
in CPU time.
"""

from __future__ import annotations

import math

_FILE_CPU_S = 0.4e-3
_FORGETS = 1.0005
"""The shortest answer counts this much longer with each one after it."""
_LEAST = 2


class UploadPace:
    """Learns from answers. Threads may share it: a lost update costs nothing."""

    def __init__(self) -> None:
        self._shortest_s: float | None = None
        self._answers = 0

    def answered(self, duration_s: float) -> None:
        """An upload took that long from start to answer."""
        self._answers += 1
        shortest_s = self._shortest_s
        known = duration_s if shortest_s is None else min(duration_s, shortest_s * _FORGETS)
        self._shortest_s = known

    def threads(self, most: int) -> int:
        """How many are worth it now, at most `most`."""
        if self._shortest_s is None:
            return min(_LEAST, most)
        worth = max(_LEAST, math.ceil(self._shortest_s / _FILE_CPU_S) + 1)
        # the first answers come late, from connections that had to be made
        return min(worth, _LEAST + self._answers // 2, most)
