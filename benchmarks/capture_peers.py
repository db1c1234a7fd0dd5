"""Peers on the same Flask app. What they would send over the network is answered inside the process, at no cost."""

from __future__ import annotations

import functools
import gzip
import importlib
import io
import json
import logging
import sqlite3
import tempfile
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

from benchmarks.capture_app import Watched, make_app
from benchmarks.capture_chest import flask_chest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["PEERS"]

REQUEST_LOG = ("log_request_headers", "log_request_body", "log_response_headers")
CLIENT_ID = "00000000-0000-4000-8000-000000000000"
WRITE_TOKEN = "apt_" + "0" * 24
METRIC_OF_REQUESTS = "http.server.request.duration"


class Edge:
    """Stands in for whatever is asked over HTTP by ``requests``: says yes at once, and keeps the bodies."""

    def __init__(self) -> None:
        self._requests: Any = importlib.import_module("requests")
        self._sent: list[tuple[str, bytes]] = []
        self._requests.adapters.HTTPAdapter.send = lambda _adapter, prepared, **_: self._answer(prepared)

    def bodies(self, path: str) -> list[bytes]:
        """What was sent to a path so far, unpacked."""
        sent = [body for url, body in self._sent if url.partition("?")[0].endswith(path)]
        return [gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for body in sent]

    def _answer(self, prepared: Any) -> Any:
        body = prepared.body.read() if hasattr(prepared.body, "read") else prepared.body or b""
        self._sent.append((prepared.url, body.encode() if isinstance(body, str) else body))
        answer = self._requests.Response()
        answer.status_code, answer.raw = 201, io.BytesIO(b"{}")
        answer.request, answer.url = prepared, prepared.url
        return answer


def prometheus(_folder: Path) -> Watched:
    app = make_app()
    metrics = importlib.import_module("prometheus_flask_exporter").PrometheusMetrics(app)

    def recorded() -> int:
        samples = [sample for metric in metrics.registry.collect() for sample in metric.samples]
        return int(sum(sample.value for sample in samples if sample.name == "flask_http_request_total"))

    return Watched(app, recorded)


def moesif(_folder: Path) -> Watched:
    edge = Edge()
    middleware: Any = importlib.import_module("moesifwsgi").MoesifMiddleware
    app = make_app()
    watcher = middleware(app.wsgi_app, {"APPLICATION_ID": "none", "LOG_BODY": True})
    logging.disable()  # it sets the level of the whole process to INFO
    app.wsgi_app = watcher  # type: ignore[method-assign]  # how Flask takes a middleware
    pool = watcher.worker_pool

    def recorded() -> int:
        pool.stop()
        return sum(len(json.loads(body)) for body in edge.bodies("/events/batch"))

    return Watched(app, recorded, lambda: pool.event_queue.empty() and not pool.batch_queue.unfinished_tasks)


def apitally_0(folder: Path, *, logged: Sequence[str] = ()) -> Watched:
    tempfile.tempdir = str(folder)  # where it keeps its files
    edge = Edge()
    app = make_app()
    middleware = importlib.import_module("apitally.flask").ApitallyMiddleware(
        app,
        client_id=CLIENT_ID,
        enable_request_logging=bool(logged),
        **dict.fromkeys(logged, True),
    )
    app.wsgi_app = middleware  # type: ignore[method-assign]  # how Flask takes a middleware
    client = middleware.client

    def recorded() -> int:
        client.handle_shutdown()
        if logged:
            return sum(len(body.splitlines()) for body in edge.bodies("/log"))
        synced = [json.loads(body) for body in edge.bodies("/sync")]
        return sum(row["request_count"] for body in synced for row in body["requests"])

    def settled() -> bool:
        client.request_logger.write_to_file()  # as its thread does every second
        return client._thread is not None  # noqa: SLF001 - it starts a second after the app

    return Watched(app, recorded, settled)


def apitally_1(folder: Path, *, bodies: bool) -> Watched:
    tempfile.tempdir = str(folder)  # where it keeps its files
    edge = Edge()
    app = make_app()
    names = ("request_headers", "request_body", "response_headers", "response_body")
    importlib.import_module("apitally").init(
        app, write_token=WRITE_TOKEN, capture_logs=False, **{f"capture_{name}": bodies for name in names}
    )
    activation = importlib.import_module("apitally.shared.activation")

    def recorded() -> int:
        activation.shutdown()
        return (_spans if bodies else _counted)(b"".join(edge.bodies("/traces" if bodies else "/metrics")))

    def settled() -> bool:
        return bool(activation.span_processor.force_flush())  # it is there from the first request on

    return Watched(app, recorded, settled)


def _spans(message: bytes) -> int:
    """Count the spans of an OTLP message, or of several, one behind the other."""
    service: Any = importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    resources = service.ExportTraceServiceRequest.FromString(message).resource_spans
    return sum(len(scope.spans) for resource in resources for scope in resource.scope_spans)


def _counted(message: bytes) -> int:
    """Count the requests of an OTLP message of metrics, or of several, one behind the other."""
    service: Any = importlib.import_module("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
    resources = service.ExportMetricsServiceRequest.FromString(message).resource_metrics
    metrics = [metric for resource in resources for scope in resource.scope_metrics for metric in scope.metrics]
    points = [metric.exponential_histogram.data_points for metric in metrics if metric.name == METRIC_OF_REQUESTS]
    return sum(point.count for each in points for point in each)


class CountingExporter:
    """Takes spans and forgets them: what it costs to encode and send them is not in the figure."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Sequence[object]) -> None:
        self.spans += len(spans)

    def shutdown(self) -> None:
        """Do nothing."""


def opentelemetry(_folder: Path) -> Watched:
    instrumentor: Any = importlib.import_module("opentelemetry.instrumentation.flask").FlaskInstrumentor()
    trace: Any = importlib.import_module("opentelemetry.sdk.trace")
    app, exporter, provider = make_app(), CountingExporter(), trace.TracerProvider()
    batches: Any = importlib.import_module("opentelemetry.sdk.trace.export").BatchSpanProcessor(exporter)
    provider.add_span_processor(batches)
    instrumentor.instrument_app(app, tracer_provider=provider)

    def recorded() -> int:
        batches.shutdown()
        return exporter.spans

    return Watched(app, recorded, batches.force_flush)


def readme(_folder: Path, *, buffer: int) -> Watched:
    edge = Edge()
    library: Any = importlib.import_module("readme_metrics")
    door: Any = importlib.import_module("readme_metrics.flask_readme").ReadMeMetrics
    app = make_app()
    config = library.MetricsApiConfig(
        "key-of-nobody",
        lambda request: {"api_key": request.headers["X-Api-Key"], "label": "Shop", "email": "shop@example.com"},
        base_log_url="https://docs.example.com",
        buffer_length=buffer,
    )
    core = door(config, app).metrics_core

    def recorded() -> int:
        core.exit_handler()
        return sum(len(json.loads(body)) for body in edge.bodies("/v1/request"))

    return Watched(app, recorded, lambda: core.queue.unfinished_tasks < buffer)


def monitoring_dashboard(folder: Path) -> Watched:
    """Wait for its threads: it starts one for each request, and they wait for one another to write it, for seconds."""
    Edge()  # it may tell its makers that it was started
    dashboard: Any = importlib.import_module("flask_monitoringdashboard")
    file = folder / "dashboard.db"
    dashboard.config.database_name = f"sqlite:///{file}"
    dashboard.config.monitor_level = 1
    app = make_app()
    dashboard.bind(app)
    threads = threading.active_count()

    def recorded() -> int:
        with closing(sqlite3.connect(file)) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM Request").fetchone()[0])

    return Watched(app, recorded, lambda: threading.active_count() <= threads)


PEERS: dict[str, Callable[[Path], Watched]] = {
    "prometheus": prometheus,
    "moesif": moesif,
    "apitally_0-metadata": apitally_0,
    "apitally_0-requests": functools.partial(apitally_0, logged=REQUEST_LOG),
    "apitally_0-bodies": functools.partial(apitally_0, logged=(*REQUEST_LOG, "log_response_body")),
    "apitally_1-metadata": functools.partial(apitally_1, bodies=False),
    "apitally_1-bodies": functools.partial(apitally_1, bodies=True),
    "opentelemetry": opentelemetry,
    "readme-100": functools.partial(readme, buffer=100),
    "readme-1": functools.partial(readme, buffer=1),
    "monitoring_dashboard": monitoring_dashboard,
    "flask_chest": flask_chest,
}
