"""Texts of a listing as typed columns, whole columns at a time.

Each function gives None for what it does not take for granted: then the answer is parsed slowly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stocktake.model import normalise_etag
from stocktake.store._entry_cuts import POOL

_ZERO, _NINE, _PERCENT, _PLUS, _SPACE, _QUOTE = b'09%+ "'
_UPPER_A, _LETTERS = np.uint8(ord("A")), np.uint8(25)
_DIGITS_MAX = 18
_TIME_FORMS = {20: b"0000-00-00T00:00:00Z", 24: b"0000-00-00T00:00:00.000Z"}
_ASCII_END = 128
_NOT_HEX = 255
_HEX = np.full(256, _NOT_HEX, np.uint8)
for _digit in b"0123456789abcdefABCDEF":
    _HEX[_digit] = int(chr(_digit), 16)


def _parts(texts: pa.StringArray) -> tuple[Any, Any]:
    """Offsets and bytes of a column that a `take` made (so it begins at 0 and has no nulls)."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[: len(texts) + 1]
    data = texts.buffers()[2]
    return offsets, np.frombuffer(data or b"", np.uint8)[: offsets[-1]]


def decoded_keys(texts: pa.StringArray) -> pa.StringArray | None:
    """Form-encoded keys as keys: `+` is a space, an invalid escape stays as it stands."""
    offsets, data = _parts(texts)
    plus = data == _PLUS
    if plus.any():
        data = np.where(plus, np.uint8(_SPACE), data)
    at = np.flatnonzero(data == _PERCENT).astype(np.int32)
    if not len(at):
        return texts if not plus.any() else _strings(offsets, data)
    # an escape must not run into the next key: what follows a key's last two bytes is no digit
    ends = offsets[np.searchsorted(offsets, at, side="right")]
    padded = np.append(data, np.zeros(2, np.uint8))
    high, low = _HEX[padded[at + 1]], _HEX[padded[at + 2]]
    valid = (high != _NOT_HEX) & (low != _NOT_HEX) & (ends - at > 2)
    at, values = at[valid], (high[valid] << 4) | low[valid]
    out = padded[:-2].copy()
    out[at] = values
    keep = np.ones(len(out), np.bool_)
    keep[at + 1] = False
    keep[at + 2] = False
    removed = 2 * np.searchsorted(at, offsets, side="left").astype(np.int32)
    keys = _strings(offsets - removed, out[keep])
    return keys if len(values) == 0 or values.max() < _ASCII_END or _is_utf8(keys) else None


def _strings(offsets: Any, data: Any) -> pa.StringArray:
    return pa.StringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)
    )


def _is_utf8(texts: pa.StringArray) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def sizes(texts: pa.StringArray) -> pa.Int64Array | None:
    """Decimal digits as integers."""
    offsets, data = _parts(texts)
    digits = np.diff(offsets)
    if digits.min() < 1 or digits.max() > _DIGITS_MAX:
        return None
    if data.min() < _ZERO or data.max() > _NINE:
        return None
    return texts.cast(pa.int64(), memory_pool=POOL)


def instants(texts: pa.StringArray) -> pa.TimestampArray | None:
    """`2026-11-20T01:00:00.000Z` or without the fraction, all of one form, as naive UTC."""
    offsets, data = _parts(texts)
    form = _TIME_FORMS.get(int(offsets[1]))
    if form is None or (np.diff(offsets) != len(form)).any():
        return None
    wanted = np.frombuffer(form, np.uint8)
    above = data.reshape(len(texts), len(form)) - wanted  # wraps, so what is below is far above
    if (above > np.where(wanted == _ZERO, np.uint8(9), np.uint8(0))).any():
        return None
    if above[:, 0].min() == 0:  # years below 1000: not the same in all calendars
        return None
    try:
        return texts.cast(pa.timestamp("ms", "UTC"), memory_pool=POOL).view(pa.timestamp("ms"))
    except pa.ArrowInvalid:  # the 31st of February
        return None


def etags(texts: pa.StringArray) -> pa.StringArray:
    """ETags as `normalise_etag` gives them."""
    _, data = _parts(texts)
    # no blank, no quote, no letter in upper case: there is nothing to normalise
    if len(data) and data.min() > _QUOTE and (data - _UPPER_A > _LETTERS).all():
        return given(texts)
    return pa.array([normalise_etag(text) for text in texts.to_pylist()], pa.string())


def given(texts: pa.StringArray) -> pa.StringArray:
    """Texts, with null for the empty one."""
    offsets, _ = _parts(texts)
    if (np.diff(offsets) > 0).all():
        return texts
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def joined(columns: list[pa.StringArray]) -> pa.StringArray:
    """The texts of a repeated element with commas between them; null if there is nothing."""
    return given(columns[0] if len(columns) == 1 else _joined(columns))


def _joined(columns: list[pa.StringArray]) -> pa.StringArray:
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return pa.array([",".join(row) for row in rows], pa.string())
