from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import urllib.request
from decimal import Decimal
from shutil import which
from typing import TYPE_CHECKING, Any

import flask
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server
from werkzeug.test import Client

from support.requirements import require
from support.servers.prometheus import prometheus
from support.usage import full_event, make_event, make_events
from tollkeeper.errors import ConfigurationError
from tollkeeper.events.event import Error
from tollkeeper.flask import Tollkeeper
from tollkeeper.sinks import prometheus as module
from tollkeeper.sinks.prometheus import PrometheusSink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Sinks survive a fork, whatever threads there are.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"http_server_{name}", labels)


GET = {"method": "GET", "route": "(unmatched)", "status_code": "200", "api": ""}
POST = {"method": "POST", "route": "/orders/{id}", "status_code": "500", "api": "shop"}


def test_an_event_is_counted_and_measured(registry: CollectorRegistry) -> None:
    sink = PrometheusSink(registry)
    sink.send([full_event(1), full_event(2), make_event(3)])
    sink.close()
    assert value(registry, "requests_total", **GET) == 1
    assert value(registry, "requests_total", **POST) == 2
    assert value(registry, "request_units_total", **POST) == 5
    assert value(registry, "request_exceptions_total", **POST, exception="builtins.ValueError") == 2
    assert value(registry, "request_duration_seconds_count", **POST) == 2
    assert value(registry, "request_duration_seconds_sum", **POST) == 0.5
    assert value(registry, "request_duration_seconds_bucket", **POST, le="0.1") == 0
    assert value(registry, "request_duration_seconds_bucket", **POST, le="0.25") == 2
    assert value(registry, "request_body_size_bytes_sum", **POST) == 40
    assert value(registry, "response_body_size_bytes_bucket", **POST, le="10000.0") == 2
    assert value(registry, "request_duration_seconds_count", **GET) is None


def test_sending_again_does_not_count_again(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECENT", 5)
    sink = PrometheusSink(registry)
    sink.send(make_events(5))
    sink.send(make_events(5))
    sink.send([make_event(0, source="other")])
    assert value(registry, "requests_total", **GET) == 6
    sink.send(make_events(1))  # forgotten by now
    assert value(registry, "requests_total", **GET) == 7


def test_an_exception_of_unknown_type(registry: CollectorRegistry) -> None:
    PrometheusSink(registry).send([make_event(exception="ValueError()")])
    assert value(registry, "request_exceptions_total", **GET, exception="(other)") == 1


def test_labels_and_buckets_are_the_users_to_choose(registry: CollectorRegistry) -> None:
    sink = PrometheusSink(
        registry,
        labels=["status_class", "consumer"],
        duration_buckets=[0.2, 0.3],
        size_buckets=[25],
        prefix="shop_",
    )
    sink.send([full_event()])
    labels = {"status_class": "5xx", "consumer": "ann"}
    assert registry.get_sample_value("shop_requests_total", labels) == 1
    assert registry.get_sample_value("shop_request_duration_seconds_bucket", labels | {"le": "0.3"}) == 1
    assert registry.get_sample_value("shop_request_body_size_bytes_bucket", labels | {"le": "25.0"}) == 1
    with pytest.raises(ConfigurationError, match="choose from method"):
        PrometheusSink(registry, labels=["path"])


def test_too_many_label_sets_are_one(registry: CollectorRegistry, caplog: pytest.LogCaptureFixture) -> None:
    sink = PrometheusSink(registry, labels=["route"], max_label_sets=3)
    sink.send([make_event(number, route=f"/{number % 5}") for number in range(20)])
    assert [value(registry, "requests_total", route=f"/{n}") for n in range(5)] == [4, 4, 4, None, None]
    assert value(registry, "requests_total", route="(other)") == sink.overflowed == 8
    assert caplog.text.count("Use fewer labels") == 1


def test_clients_cannot_make_label_sets(registry: CollectorRegistry) -> None:
    PrometheusSink(registry).send([make_event(number, method=f"M{number}") for number in range(50)])
    assert value(registry, "requests_total", **(GET | {"method": "(other)"})) == 50


def test_half_of_a_character_does_not_spoil_the_page(registry: CollectorRegistry) -> None:
    odd = "/\ud83d"
    PrometheusSink(registry).send([make_event(route=odd, error=Error(type=odd))])
    assert b'route="/?"' in generate_latest(registry)


def test_units_that_no_counter_counts_are_rejected(registry: CollectorRegistry) -> None:
    sink = PrometheusSink(registry)
    sink.send([make_event(name, units=Decimal(name)) for name in ("-1", "NaN", "Infinity", "0")])
    assert sink.rejected == 3
    assert value(registry, "requests_total", **GET) == 1


def test_one_sink_a_registry_and_nothing_is_left_of_a_second(registry: CollectorRegistry) -> None:
    taken = Counter("http_server_request_exceptions", "Somebody else's.", registry=registry)
    with pytest.raises(ConfigurationError, match="another prefix"):
        PrometheusSink(registry)
    registry.unregister(taken)
    PrometheusSink(registry)


def test_the_url_means_the_librarys_own_registry() -> None:
    sink = PrometheusSink.from_url("prometheus:")
    try:
        assert sink.registry is REGISTRY
        sink.send(make_events(1))
        assert b"http_server_requests_total" in generate_latest()
    finally:
        for metric in sink._metrics:
            REGISTRY.unregister(metric)
    for url in ("prometheus://secret@host", "prometheus", "http:"):
        with pytest.raises(ConfigurationError, match="'prometheus:'") as caught:
            PrometheusSink.from_url(url)
        assert "secret" not in str(caught.value)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tollkeeper\[prometheus\]'"):
        PrometheusSink.from_url("prometheus:")


def test_promtool_has_nothing_to_say(registry: CollectorRegistry) -> None:
    promtool = which("promtool")
    require("promtool (Debian: prometheus)", promtool)
    assert promtool
    PrometheusSink(registry).send([full_event(), make_event()])
    told = subprocess.run(
        [promtool, "check", "metrics"], input=generate_latest(registry), capture_output=True, timeout=30, check=False
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b"")


async def scrape_asgi(app: Any) -> bytes:
    sent: list[Any] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}, receive, send)
    return b"".join(message.get("body", b"") for message in sent)


def test_it_is_served_by_wsgi_and_asgi(registry: CollectorRegistry) -> None:
    sink = PrometheusSink(registry)
    sink.send(make_events(3))
    line = b'http_server_requests_total{api="",method="GET",route="(unmatched)",status_code="200"} 3.0'
    assert line in Client(sink.wsgi_app()).get("/").data
    asgi = scrape_asgi(sink.asgi_app())
    with pytest.raises(StopIteration) as ended:  # it never waits for anything
        asgi.send(None)
    assert line in ended.value.value


CHILD = """
import os, sys
from prometheus_client import CollectorRegistry
from support.usage import make_events
from tollkeeper.sinks.prometheus import PrometheusSink

sink = PrometheusSink(CollectorRegistry())
sink.send(make_events(3))
child = os.fork()
if not child:
    sink.send([event for event in make_events(5)])
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": ""}
sys.stdout.buffer.write(b"".join(sink.wsgi_app()(environ, lambda *_: None)))
"""


def test_processes_are_counted_together_in_multiprocess_mode(tmp_path: Path) -> None:
    environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, "-c", CHILD], env=environ, capture_output=True, timeout=60, check=True)
    line = b'http_server_requests_total{api="",method="GET",route="(unmatched)",status_code="200"} 5.0'
    assert line in told.stdout, told.stdout


def test_in_multiprocess_mode_the_page_is_made_of_what_all_have_written(
    registry: CollectorRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = PrometheusSink(registry)  # made before the mode was set: its own counts are not on that page
    sink.send(make_events(1))
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert Client(sink.wsgi_app()).get("/").data == b""


def test_a_fork_in_the_middle_of_a_batch_leaves_the_child_able_to_count(registry: CollectorRegistry) -> None:
    sink = PrometheusSink(registry)
    stop = threading.Event()

    def keep_counting() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            sink.send([make_event(f"{number}-{place}") for place in range(20)])

    thread = threading.Thread(target=keep_counting)
    thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if not child:
                status = 1
                try:
                    sink.send([make_event("child")])
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join(10)
    sink.send([make_event("last")])


@pytest.fixture
def app(registry: CollectorRegistry) -> Iterator[tuple[str, Tollkeeper]]:
    shop = flask.Flask("shop")

    @shop.get("/orders/<int:number>")
    def order(number: int) -> str:
        time.sleep(0.15 if number % 10 == 0 else 0.015)
        return "an order"

    sink = PrometheusSink(registry)
    keeper = Tollkeeper(shop, sink=sink)
    served = DispatcherMiddleware(shop.wsgi_app, {"/metrics": sink.wsgi_app()})
    server = make_server("127.0.0.1", 0, served, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", keeper
    server.shutdown()
    thread.join(10)
    server.server_close()
    keeper.close()


def test_prometheus_scrapes_an_app_and_answers(app: tuple[str, Tollkeeper]) -> None:
    target, keeper = app

    def order(first: int, last: int) -> None:
        for number in range(first, last):
            with urllib.request.urlopen(f"http://{target}/orders/{number}", timeout=10) as answer:
                assert answer.read() == b"an order"
        assert keeper.flush(10)

    order(1, 31)
    with prometheus(target) as server:
        found = server.wait_for('http_server_requests_total{job="app"}')
        assert [(labels["method"], labels["route"], count) for labels, count in found] == [
            ("GET", "/orders/{number}", 30)
        ]
        order(31, 61)
        server.wait_for('http_server_requests_total{job="app"} == 60')
        [(_, rate)] = server.wait_for("sum by (route) (rate(http_server_requests_total[30s])) > 0")
        assert rate > 0
        buckets = "sum by (le) (http_server_request_duration_seconds_bucket)"
        [(_, median)] = server.query(f"histogram_quantile(0.5, {buckets})")
        assert 0.01 < median < 0.1
        [(_, slow)] = server.query(f"histogram_quantile(0.95, {buckets})")
        assert 0.1 < slow <= 0.25
