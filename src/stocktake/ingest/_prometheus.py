"""Figures in the text format of Prometheus, through its own client library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from stocktake.errors import MissingExtraError
from stocktake.ingest._figures import FIGURES, PREFIX, FigureKind, Sample


def prometheus_text(samples: Iterable[Sample]) -> str:
    """The exposition of these samples: with help and type, for a scraper or a textfile collector.

    Figures without a sample are left out.

    Raises:
        MissingExtraError: prometheus-client is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry, generate_latest
    except ImportError as error:
        raise MissingExtraError(
            "the Prometheus format needs prometheus-client",
            hint="pip install 'stocktake[metrics]'",
        ) from error
    registry = CollectorRegistry()
    registry.register(_Samples(list(samples)))
    return bytes(generate_latest(registry)).decode()


class _Samples:
    """A collector, as the client library wants one."""

    def __init__(self, samples: list[Sample]) -> None:
        self._samples = samples

    def describe(self) -> list[Any]:
        """Nothing to check beforehand."""
        return []

    def collect(self) -> Iterator[Any]:
        """Each figure with its samples."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for figure in FIGURES:
            own = [sample for sample in self._samples if sample.name == figure.name]
            if not own:
                continue
            family = CounterMetricFamily if figure.kind is FigureKind.COUNTER else GaugeMetricFamily
            metric = family(PREFIX + figure.name, figure.help, labels=figure.labels)
            for sample in own:
                metric.add_metric([sample.labels[name] for name in figure.labels], sample.value)
            yield metric
