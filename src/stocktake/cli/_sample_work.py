"""Work of `scan --sample`: an estimate from a few pages, and how far off it may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stocktake.cli._metrics_text import show_metrics
from stocktake.cli._output import Output
from stocktake.cli._receipt import Prices, Receipt, show_receipt
from stocktake.cli._run import Run
from stocktake.cli._scan_work import known_snapshot
from stocktake.cli._text import count_text, size_text
from stocktake.errors import CatalogNotFoundError
from stocktake.listing import Estimate, SampleEstimate, sample_objects
from stocktake.model import S3Url, display_key

_SHOWN = 10


def sample_bucket(run: Run, address: str, probes: int, seed: int) -> int:
    """Answer `scan --sample`."""
    source = S3Url.parse(address)
    started_s = run.clock.monotonic_s()
    found = sample_objects(
        run.open_store(),
        source,
        seed=seed,
        probes=probes,
        split_keys=_split_keys(run, source),
        clock=run.clock,
    )
    receipt = Receipt.of(
        "sample",
        run.meter,
        run.clock.monotonic_s() - started_s,
        round(found.objects.value),
        from_report=False,
    ).to_dict(Prices.load())
    if run.out.json:
        run.out.document(
            {
                "source": str(source),
                "estimate": _estimate_json(found),
                "metrics": found.metrics.to_dict(),
                "receipt": receipt,
            }
        )
        return 0
    _show(run.out, source, found)
    show_metrics(run.out, found.metrics)
    show_receipt(run.out, receipt)
    return 0


def _split_keys(run: Run, source: S3Url) -> tuple[str, ...]:
    try:
        with run.open_catalog() as catalog:
            known = known_snapshot(catalog, source)
    except CatalogNotFoundError:
        return ()
    return known.split_keys if known else ()


def _estimate_json(found: SampleEstimate) -> dict[str, Any]:
    return {
        "objects": _json(found.objects),
        "bytes": _json(found.bytes),
        "by_class": {name: _json(one) for name, one in found.by_class.items()},
        "by_folder": {name: _json(one) for name, one in found.by_folder.items()},
        "counted": found.counted,
        "confidence": found.confidence,
        "calls_saved": found.calls_saved,
        "seed": found.seed,
    }


def _json(one: Estimate) -> dict[str, Any]:
    """An open upper end is null, as JSON has no infinity."""
    high = one.high if one.is_bounded else None
    return {"value": one.value, "low": one.low, "high": high, "exact": one.is_exact}


def _show(out: Output, source: S3Url, found: SampleEstimate) -> None:
    exact = found.objects.is_exact
    out.line(f"{source}: {'counted' if exact else 'an estimate'}; nothing is kept")
    out.line(f"  objects  {_range(found.objects, count_text)}")
    out.line(f"  size     {_range(found.bytes, size_text)}")
    for title, groups in (("by class", found.by_class), ("by folder", found.by_folder)):
        _show_groups(out, title, groups)
    if not exact:
        out.note(
            f"{found.confidence:.0%} of such intervals hold the truth; {count_text(found.counted)} "
            f"objects were read, and about {count_text(found.calls_saved)} requests saved"
        )


def _show_groups(out: Output, title: str, groups: Mapping[str, Estimate]) -> None:
    if len(groups) < 2:
        return
    out.line(f"  {title}")
    largest = sorted(groups.items(), key=lambda item: -item[1].value)[:_SHOWN]
    for name, one in largest:
        about = "" if one.is_exact else "about "
        amount = f"{about}{count_text(round(one.value))}"
        out.line(f"    {amount:>20}  {display_key(name) or '(no folder)'}")


def _range(one: Estimate, text: Any) -> str:
    if one.is_exact:
        return f"{text(round(one.value))}"
    value, low = text(round(one.value)), text(round(one.low))
    if not one.is_bounded:
        return f"about {value}; at least {low}, the requests were too few for more"
    return f"about {value} ({low} to {text(round(one.high))})"
