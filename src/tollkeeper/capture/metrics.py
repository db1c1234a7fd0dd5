"""What became of the captured events, as metrics for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tollkeeper.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from tollkeeper.capture.queue import Stats

__all__ = ["StatsCollector"]

COUNTERS = {
    "captured": "Requests observed.",
    "sent": "Events that the sink has taken.",
    "excluded": "Requests left out, as the app asked.",
    "adopted": "Events of dead processes that the sink has taken.",
    "retries": "Batches sent again.",
}
GAUGES = {"queued": "Events that wait in memory.", "spooled": "Events that wait on disk."}
LABELLED = {"dropped": ("reason", "Events lost."), "errors": ("kind", "Times that something went wrong.")}


class Counting(Protocol):
    """A door, or whatever else counts like one."""

    def stats(self) -> Stats:
        """Count what became of everything."""
        ...


class StatsCollector:
    """Shows ``keeper.stats()`` to prometheus_client: ``REGISTRY.register(StatsCollector(keeper))``.

    The names are ``tollkeeper_capture_*``; they count this process. Raises MissingDependencyError without the library.
    """

    def __init__(self, keeper: Counting) -> None:
        try:
            from prometheus_client import core  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingDependencyError(
                "prometheus-client is not installed. Run: pip install 'tollkeeper[prometheus]'"
            ) from error
        self._keeper = keeper
        self._core = core

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment, consistent among each other."""
        stats = self._keeper.stats()
        for name, text in COUNTERS.items():
            yield self._core.CounterMetricFamily(f"tollkeeper_capture_{name}", text, value=getattr(stats, name))
        for name, text in GAUGES.items():
            yield self._core.GaugeMetricFamily(f"tollkeeper_capture_{name}", text, value=getattr(stats, name))
        for name, (label, text) in LABELLED.items():
            family = self._core.CounterMetricFamily(f"tollkeeper_capture_{name}", text, labels=[label])
            for value, count in getattr(stats, name).items():
                family.add_metric([value], count)
            yield family
