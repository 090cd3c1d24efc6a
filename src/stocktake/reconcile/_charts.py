"""Charts as inline SVG: bars and columns, each with a title, a description and a text per value.

No script, no style of its own but classes of the page, no size in pixels: they scale with the text
column, print, and read aloud. Every figure in them also stands in a table on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from stocktake.reconcile._shown import visible

_WIDTH = 720
_ROW_HEIGHT = 26
_BAR_HEIGHT = 16
_LABEL_WIDTH = 210
_VALUE_WIDTH = 130
_LABEL_CHARS = 30
_COLUMNS_HEIGHT = 200
_COLUMN_FOOT = 34
_COLUMN_HEAD = 22


@dataclass(frozen=True, slots=True)
class Bar:
    """One value of a chart.

    Attributes:
        label: What it is of; from outside, so shown with everything unseen written out.
        value: Its length; not negative.
        text: The value for people.
        tone: Class of the bar: `critical`, `high`, `medium`, `low`, `good`, `plain`.
        low: Lower end of an interval, if the value is an estimate.
        high: Upper end of it.
    """

    label: str
    value: float
    text: str
    tone: str = "plain"
    low: float | None = None
    high: float | None = None


def bar_chart(identity: str, title: str, bars: Sequence[Bar], *, most: float | None = None) -> str:
    """Horizontal bars, one below the other.

    Args:
        identity: Id that is unique on the page.
        title: Read out as the name of the picture.
        bars: From top to bottom.
        most: Value of a full bar; the largest one if not given.
    """
    scale = most or max((max(bar.value, bar.high or 0) for bar in bars), default=0) or 1
    room = _WIDTH - _LABEL_WIDTH - _VALUE_WIDTH
    height = _ROW_HEIGHT * max(1, len(bars))
    pieces = [_opening(identity, title, bars, height)]
    for index, bar in enumerate(bars):
        pieces.append(_row(bar, index * _ROW_HEIGHT, scale, room))
    pieces.append("</svg>")
    return "".join(pieces)


def _row(bar: Bar, top: float, scale: float, room: float) -> str:
    length = _length(bar.value, scale, room)
    middle = top + _ROW_HEIGHT / 2
    y = top + (_ROW_HEIGHT - _BAR_HEIGHT) / 2
    label = _text(visible(bar.label, _LABEL_CHARS))
    whisker = ""
    if bar.low is not None and bar.high is not None:
        left, right = (_LABEL_WIDTH + _length(v, scale, room) for v in (bar.low, bar.high))
        whisker = (
            f'<path class="whisker" d="M{left:.1f} {middle - 5:.1f}v10M{left:.1f} {middle:.1f}'
            f'H{right:.1f}M{right:.1f} {middle - 5:.1f}v10"/>'
        )
    return (
        f"<g><title>{_text(visible(bar.label))}: {_text(bar.text)}</title>"
        f'<text class="label" x="{_LABEL_WIDTH - 8}" y="{middle:.1f}" text-anchor="end" '
        f'dominant-baseline="central">{label}</text>'
        f'<rect class="track" x="{_LABEL_WIDTH}" y="{y:.1f}" width="{room:.1f}" '
        f'height="{_BAR_HEIGHT}" rx="2"/>'
        f'<rect class="bar {bar.tone}" x="{_LABEL_WIDTH}" y="{y:.1f}" width="{length:.1f}" '
        f'height="{_BAR_HEIGHT}" rx="2"/>{whisker}'
        f'<text class="value" x="{_WIDTH - _VALUE_WIDTH + 8}" y="{middle:.1f}" '
        f'dominant-baseline="central">{_text(bar.text)}</text></g>'
    )


def column_chart(identity: str, title: str, bars: Sequence[Bar]) -> str:
    """Columns side by side, for classes in their order: sizes, ages."""
    scale = max((bar.value for bar in bars), default=0) or 1
    slot = _WIDTH / max(1, len(bars))
    room = _COLUMNS_HEIGHT - _COLUMN_FOOT - _COLUMN_HEAD
    floor = _COLUMNS_HEIGHT - _COLUMN_FOOT
    pieces = [_opening(identity, title, bars, _COLUMNS_HEIGHT)]
    for index, bar in enumerate(bars):
        height = _length(bar.value, scale, room)
        center = slot * (index + 0.5)
        pieces.append(
            f"<g><title>{_text(visible(bar.label))}: {_text(bar.text)}</title>"
            f'<rect class="bar {bar.tone}" x="{center - slot * 0.36:.1f}" '
            f'y="{floor - height:.1f}" width="{slot * 0.72:.1f}" height="{height:.1f}" rx="2"/>'
            f'<text class="value" x="{center:.1f}" y="{floor - height - 8:.1f}" '
            f'text-anchor="middle">{_text(bar.text)}</text>'
            f'<text class="label" x="{center:.1f}" y="{floor + 20:.1f}" '
            f'text-anchor="middle">{_text(visible(bar.label, 14))}</text></g>'
        )
    pieces.append(f'<path class="axis" d="M0 {floor:.1f}H{_WIDTH}"/></svg>')
    return "".join(pieces)


def _opening(identity: str, title: str, bars: Sequence[Bar], height: float) -> str:
    said = "; ".join(f"{visible(bar.label, 60)}: {bar.text}" for bar in bars) or "nothing"
    name = _text(identity)
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height:g}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{_text(title)}</title>'
        f'<desc id="{name}-desc">{_text(said)}</desc>'
    )


def _length(value: float, scale: float, room: float) -> float:
    """Pixels of a value; what is there at all is seen, and nothing is longer than the room."""
    if value <= 0:
        return 0.0
    return min(room, max(1.5, value / scale * room))


def _text(text: str) -> str:
    return escape(text, quote=True)
