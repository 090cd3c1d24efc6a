"""How the figures of a listing read."""

from __future__ import annotations

from stocktake.cli._output import Output
from stocktake.cli._text import count_text, duration_text
from stocktake.listing import ListingMetrics


def show_metrics(out: Output, metrics: ListingMetrics) -> None:
    """The figures for people, on stderr: they are about the answer."""
    out.note("")
    for line in metrics_lines(metrics):
        out.note(f"  {line}")


def metrics_lines(metrics: ListingMetrics) -> list[str]:
    """One line each for speed, calls, and what the store did."""
    lines = []
    if metrics.objects_per_s:
        rate = count_text(round(metrics.objects_per_s))
        lines.append(f"listed    {count_text(metrics.objects)} objects, {rate} a second")
    calls = ", ".join(f"{count_text(count)} {kind}" for kind, count in metrics.calls.items())
    if metrics.efficiency is not None:
        calls += f"; {metrics.efficiency:.0%} of what their pages could hold"
    lines.append(f"calls     {calls or 'none'}")
    if metrics.p50_s is not None and metrics.p99_s is not None:
        latency = f"p50 {_ms(metrics.p50_s)}, p99 {_ms(metrics.p99_s)}"
        if metrics.concurrency_max:
            latency += f", up to {metrics.concurrency_max} at once"
        lines.append(f"latency   {latency}")
    if metrics.throttles or metrics.retries:
        lines.append(
            f"trouble   {count_text(metrics.throttles)} throttled, "
            f"{count_text(metrics.retries)} sent again"
        )
    if metrics.diff_s:
        lines.append(f"compared  in {duration_text(metrics.diff_s)}")
    return lines


def _ms(duration_s: float) -> str:
    return f"{duration_s * 1000:,.0f} ms"
