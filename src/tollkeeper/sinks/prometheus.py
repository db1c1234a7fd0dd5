"""Count events as metrics that Prometheus scrapes from the app."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from tollkeeper.errors import ConfigurationError
from tollkeeper.forks import ForkLock
from tollkeeper.sinks.dimensions import OTHER, choose_dimensions
from tollkeeper.sinks.driver import import_driver
from tollkeeper.sinks.rejections import Rejections

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["PrometheusSink"]

LABELS = ("method", "route", "status_code", "api")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)  # as OpenTelemetry has them
BYTES = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
RECENT = 20_000


class PrometheusSink:
    """Counts into ``registry``: by default that of prometheus_client, which an app's ``/metrics`` serves already.

    ``labels`` are dimensions with few values. When there are ``max_label_sets`` combinations of them, what belongs to a
    new one is counted under ``(other)``; ``overflowed`` says how often. The last 20 000 events are remembered, so that
    one that is sent again is not counted again; as the counts, they are gone when the process ends.

    Raises ConfigurationError without prometheus-client, which ``tollkeeper[prometheus]`` installs, or when the registry
    has these metrics from somebody else.
    """

    def __init__(
        self,
        registry: Any = None,
        *,
        labels: Iterable[str] = LABELS,
        max_label_sets: int = 1000,
        duration_buckets: Sequence[float] = SECONDS,
        size_buckets: Sequence[float] = BYTES,
        prefix: str = "http_server_",
    ) -> None:
        self._library = import_driver("prometheus_client", "prometheus")
        self.registry = self._library.REGISTRY if registry is None else registry
        self._dimensions = choose_dimensions(labels)
        self._metrics: list[Any] = []
        try:
            self._make_metrics(prefix, duration_buckets, size_buckets)
        except ValueError as error:
            for metric in self._metrics:
                self.registry.unregister(metric)
            raise ConfigurationError(
                f"The metrics cannot be made ({error}): use one PrometheusSink in a registry, or another prefix."
            ) from None
        self._max_label_sets = max_label_sets
        self._label_sets: set[tuple[str, ...]] = set()
        self._recent: dict[int, None] = {}
        self.overflowed = 0
        self._rejections = Rejections("prometheus:")
        # No metric is locked by this sink's thread when the process forks: the child could never use it again.
        self._lock = ForkLock()

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make it from ``prometheus:``, in the registry of prometheus_client itself.

        Raises:
            ConfigurationError: the URL is of another form, or prometheus-client is not installed.
        """
        if url != "prometheus:":
            raise ConfigurationError("The URL of a Prometheus sink is 'prometheus:', without more.")
        return cls()

    @property
    def rejected(self) -> int:
        """Events whose units no counter can count, since this sink was made."""
        return self._rejections.count

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Count a batch, each event of it once."""
        with self._lock:
            for event in events:
                name = hash((event.source, event.id))
                if name in self._recent:
                    continue
                self._recent[name] = None
                if event.units.is_finite() and event.units >= 0:
                    self._count(event)
                else:
                    self._rejections.add(1, f"its units are {event.units}")
            for name in list(islice(self._recent, max(0, len(self._recent) - RECENT))):
                del self._recent[name]

    def close(self) -> None:
        """Do nothing: what was counted can still be scraped."""

    def wsgi_app(self) -> Any:
        """A WSGI app that answers a scrape, for all processes in prometheus_client's multiprocess mode."""
        return self._library.make_wsgi_app(self._scraped())

    def asgi_app(self) -> Any:
        """An ASGI app that answers a scrape, for all processes in prometheus_client's multiprocess mode."""
        return self._library.make_asgi_app(self._scraped())

    def _scraped(self) -> Any:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self.registry
        registry = self._library.CollectorRegistry()
        import_driver("prometheus_client.multiprocess", "prometheus").MultiProcessCollector(registry)
        return registry

    def _make_metrics(self, prefix: str, seconds: Sequence[float], sizes: Sequence[float]) -> None:
        names = tuple(self._dimensions)

        def metric(kind: str, name: str, text: str, labels: tuple[str, ...] = names, **options: object) -> Any:
            made = getattr(self._library, kind)(f"{prefix}{name}", text, labels, registry=self.registry, **options)
            self._metrics.append(made)
            return made

        self._requests = metric("Counter", "requests", "Requests answered.")
        self._units = metric("Counter", "request_units", "Units that requests counted for.")
        self._exceptions = metric("Counter", "request_exceptions", "Requests that raised.", (*names, "exception"))
        self._durations = metric("Histogram", "request_duration_seconds", "Time to answer.", buckets=seconds)
        self._received = metric("Histogram", "request_body_size_bytes", "Size of request bodies.", buckets=sizes)
        self._sent = metric("Histogram", "response_body_size_bytes", "Size of response bodies.", buckets=sizes)

    def _count(self, event: UsageEvent) -> None:
        labels = self._guarded(tuple(read(event) for read in self._dimensions.values()))
        self._requests.labels(*labels).inc()
        self._units.labels(*labels).inc(float(event.units))
        observations = (
            (self._durations, event.request.elapsed_time),
            (self._received, event.request.content_length),
            (self._sent, event.response.content_length),
        )
        for metric, value in observations:
            if value is not None:
                metric.labels(*labels).observe(value)
        if event.error is not None or event.exception is not None:
            kind = event.error.type.encode(errors="replace").decode() if event.error is not None else OTHER
            self._exceptions.labels(*self._guarded((*labels, kind))).inc()

    def _guarded(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        if labels in self._label_sets:
            return labels
        if len(self._label_sets) < self._max_label_sets:
            self._label_sets.add(labels)
            return labels
        if not self.overflowed:
            message = "Prometheus would have over %d combinations of %s: more are counted as %r. Use fewer labels."
            with suppress(Exception):  # a handler of the host may fail
                logging.getLogger("tollkeeper").warning(
                    message, self._max_label_sets, ", ".join(self._dimensions), OTHER
                )
        self.overflowed += 1
        return (OTHER,) * len(labels)
