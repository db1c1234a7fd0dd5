"""What operators and machines ask: is it up, is it ready, how is it doing."""

from __future__ import annotations

from litestar import Response, get
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from tollkeeper.service.bootstrap import Service

__all__ = ["get_health", "get_metrics", "get_readiness"]

OUTCOMES = ("received", "stored", "duplicate", "rejected")


@get("/healthz", sync_to_thread=False, opt={"public": True}, summary="Is the process up?", tags=["Operations"])
def get_health() -> dict[str, str]:
    """Answer while the process lives."""
    return {"status": "ok"}


@get("/readyz", sync_to_thread=True, opt={"public": True}, summary="Can it do its work?", tags=["Operations"])
def get_readiness(service: NamedDependency[Service]) -> dict[str, str]:
    """Answer while the store does; otherwise a 503 problem."""
    service.events.get(0)
    return {"status": "ok"}


class _Ledger(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> list[CounterMetricFamily | GaugeMetricFamily]:
        """Read the books now: they are shared by all workers, so each of them gives the same answer."""
        events = CounterMetricFamily(
            "tollkeeper_events", "Events by source and by what became of them.", labels=["source", "outcome"]
        )
        for row in self._service.events.ledger(recount=False):
            for outcome in OUTCOMES:
                events.add_metric([row.source, outcome], getattr(row, outcome))
        lag = GaugeMetricFamily("tollkeeper_rollup_lag_events", "Events that the roll-ups do not hold yet.")
        lag.add_metric([], self._service.events.backlog())
        return [events, lag]


@get("/metrics", sync_to_thread=True, summary="Prometheus metrics", tags=["Operations"])
def get_metrics(service: NamedDependency[Service]) -> Response[bytes]:
    """Expose the books of ingest in the Prometheus text format."""
    registry = CollectorRegistry()
    registry.register(_Ledger(service))
    return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})
