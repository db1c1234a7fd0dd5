"""What became of the captured events, as metrics for Prometheus."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

from tollkeeper.capture.queue import Stats
from tollkeeper.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

__all__ = ["StatsCollector"]

COUNTERS = {
    "captured": "Requests observed.",
    "sent": "Events that the sink has taken.",
    "excluded": "Requests left out, as the app asked.",
    "adopted": "Events of dead processes that the sink has taken.",
    "retries": "Batches sent again.",
}
GAUGES = {"queued": "Events that wait in memory.", "spooled": "Events that wait on disk."}
SEVERAL = 2
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
        """The metrics of this moment, consistent among each other; by ``sink`` where there are several."""
        stats = self._keeper.stats()
        labels, parts = ((), {(): stats}) if len(stats.sinks) < SEVERAL else (("sink",), _by_sink(stats))
        for names, kind in ((COUNTERS, self._core.CounterMetricFamily), (GAUGES, self._core.GaugeMetricFamily)):
            for name, text in names.items():
                family = kind(f"tollkeeper_capture_{name}", text, labels=labels)
                for which, part in parts.items():
                    family.add_metric(which, getattr(part, name))
                yield family
        for name, (label, text) in LABELLED.items():
            family = self._core.CounterMetricFamily(f"tollkeeper_capture_{name}", text, labels=[*labels, label])
            for which, part in parts.items():
                for value, count in getattr(part, name).items():
                    family.add_metric([*which, value], count)
            yield family


def _by_sink(stats: Stats) -> dict[tuple[str, ...], Stats]:
    """What each sink counts; under an empty name the errors that belong to none of them."""
    parts: dict[tuple[str, ...], Stats] = {(name,): part for name, part in stats.sinks.items()}
    own = Counter(stats.errors)
    for part in stats.sinks.values():
        own.subtract(part.errors)
    return {**parts, ("",): Stats(errors=dict(+own))} if +own else parts
