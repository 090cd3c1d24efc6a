"""Order of events about one key: the sequencer, compared as the S3 guide says."""

from __future__ import annotations

import re

from stocktake.events._event import ObjectEvent

_SEQUENCER = re.compile(r"[0-9A-Za-z]{1,128}")


def sequencer_order(sequencer: str) -> str:
    """A text that sorts as sequencers do: pad the shorter one on the right with zeros, compare.

    Only for events of the same bucket and key. Equal texts are the same event.

    >>> sequencer_order("0055AED6DCD90281E5") < sequencer_order("0055AED6DCD90281E50001")
    True
    >>> sequencer_order("0A") == sequencer_order("0a00")
    True
    """
    # without trailing zeros the order of texts is that of texts padded with endless zeros
    return sequencer.lower().rstrip("0")


def read_sequencer(value: object) -> str | None:
    """A sequencer of a message; None if there is none, or one that orders nothing (`0`)."""
    if not isinstance(value, str) or _SEQUENCER.fullmatch(value) is None:
        return None
    return value if sequencer_order(value) else None


def newer(one: ObjectEvent, other: ObjectEvent) -> bool | None:
    """True if `one` happened after `other`, False if not (or it is the same event), None: unknown.

    Both must be about the same bucket and key. Without two sequencers the stores' times of the
    events decide, and only if they differ.
    """
    if one.sequencer is not None and other.sequencer is not None:
        return sequencer_order(one.sequencer) > sequencer_order(other.sequencer)
    if one.occurred_at is None or other.occurred_at is None:
        return None
    return one.occurred_at > other.occurred_at if one.occurred_at != other.occurred_at else None
