"""Charts as inline SVG: bars, each with its label and its value as text above it.

No script, and no style but classes of the page. Positions are in percent of the width, so that bars
scale and text does not: the same chart is read on a telephone, on paper and aloud. Every figure in
one also stands in a table on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from stocktake.reconcile._shown import visible

_ROW_PX = 42
_TEXT_PX = 15
_BAR_TOP_PX = 22
_BAR_PX = 12
_LABEL_CHARS = 32
_SEEN_PERCENT = 0.6


@dataclass(frozen=True, slots=True)
class ChartBar:
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


def bar_chart(
    identity: str, title: str, bars: Sequence[ChartBar], *, most: float | None = None
) -> str:
    """Horizontal bars, one below the other, as an `svg` element.

    Args:
        identity: Id that is unique on the page.
        title: Read out as the name of the picture.
        bars: From top to bottom.
        most: Value of a full bar; the largest one if not given.
    """
    scale = most or max((max(bar.value, bar.high or 0) for bar in bars), default=0) or 1
    said = "; ".join(f"{visible(bar.label, 60)}: {bar.text}" for bar in bars) or "nothing"
    name = escape(identity)
    rows = "".join(_row(bar, index * _ROW_PX, scale) for index, bar in enumerate(bars))
    return (
        f'<svg class="chart" width="100%" height="{_ROW_PX * max(1, len(bars))}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(said)}</desc>{rows}</svg>'
    )


def _row(bar: ChartBar, top: int, scale: float) -> str:
    label, value = escape(visible(bar.label, _LABEL_CHARS)), escape(bar.text)
    y = top + _BAR_TOP_PX
    box = f'y="{y}" height="{_BAR_PX}" rx="2"'
    return (
        f"<g><title>{escape(visible(bar.label))}: {value}</title>"
        f'<text class="label" x="0" y="{top + _TEXT_PX}">{label}</text>'
        f'<text class="value" x="100%" y="{top + _TEXT_PX}" text-anchor="end">{value}</text>'
        f'<rect class="track" x="0" width="100%" {box}/>'
        f'<rect class="bar {escape(bar.tone)}" x="0" width="{_percent(bar.value, scale)}" {box}/>'
        f"{_whisker(bar, scale, y)}</g>"
    )


def _whisker(bar: ChartBar, scale: float, top: int) -> str:
    """The interval of an estimate, drawn over its bar."""
    if bar.low is None or bar.high is None:
        return ""
    left, right = _percent(bar.low, scale), _percent(bar.high, scale)
    middle, bottom = top + _BAR_PX / 2, top + _BAR_PX
    ends = "".join(
        f'<line class="whisker" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>' for x in (left, right)
    )
    return f'<line class="whisker" x1="{left}" x2="{right}" y1="{middle}" y2="{middle}"/>{ends}'


def _percent(value: float, scale: float) -> str:
    """A length: what is there at all is seen, and nothing is longer than the chart."""
    share = 100 * value / scale
    return f"{min(100.0, max(_SEEN_PERCENT, share)):.2f}%" if value > 0 else "0%"
