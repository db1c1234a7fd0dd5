"""The chest that Prometheus scrapes from the app."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import threading
from decimal import Decimal
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, request
from flask.views import MethodView
from prometheus_client import CollectorRegistry, Counter
from werkzeug.serving import make_server

from compat.flask_chest.apps import make_app
from support.requirements import require
from support.servers.prometheus import prometheus
from tollkeeper.compat.flask_chest import FlaskChestPrometheus, flask_chest
from tollkeeper.compat.flask_chest import prometheus as module
from tollkeeper.errors import ConfigurationError, SinkError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)


def samples(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.split("\n") if line and line[0] != "#" and "_created" not in line)
    return {name: float(value) for name, _, value in lines}


def scraped(app: Flask) -> dict[str, float]:
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return samples(answer.text)


def test_numeric_variables_are_gauges_and_writes_are_counted() -> None:
    variables = {"score": 1.5, "count": 3, "zero": 0, "ok": True, "price": Decimal("0.1"), "user": "ada", "none": None}
    app = make_app([FlaskChestPrometheus()], variables)
    for _ in range(2):
        app.test_client().get("/")
    assert scraped(app) == {
        "flask_chest_score": 1.5,
        "flask_chest_count": 3,
        "flask_chest_zero": 0,
        "flask_chest_ok": 1,
        "flask_chest_price": 0.1,
        "flask_chest_ignored_total": 0,
    } | {f'flask_chest_writes_total{{variable="{name}"}}': 2 for name in variables}


def test_the_prefix_and_the_registry_are_those_that_are_given() -> None:
    registry = CollectorRegistry()
    Counter("mine", "Of the app.", registry=registry).inc()
    app = make_app([FlaskChestPrometheus("shop", registry)], {"score": 2})
    app.test_client().get("/")
    assert registry.get_sample_value("shop_score") == 2
    assert registry.get_sample_value("shop_writes_total", {"variable": "score"}) == 1
    assert scraped(app)["mine_total"] == 1


def test_the_request_id_is_no_label() -> None:
    app = make_app([FlaskChestPrometheus()], {"score": 2}, request_id_generator=lambda: "of-this-request")
    app.test_client().get("/")
    assert "of-this-request" not in app.test_client().get("/metrics").text


def test_labels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VARIABLES", 3)
    app = make_app([FlaskChestPrometheus()], {f"v{number}": number for number in range(10)})
    app.test_client().get("/")
    found = scraped(app)
    assert found.pop("flask_chest_ignored_total") == 7
    assert len(found) == 6


def test_variables_that_would_share_a_metric_are_an_error_and_the_others_written() -> None:
    chest = FlaskChestPrometheus()
    app = make_app([chest], {"variables": {"a-b": 1, "a.b": 2, "writes": 3, "c": 4}}, None, raise_exceptions=False)
    app.test_client().get("/")
    assert chest.lost == 1
    found = scraped(app)
    assert (found["flask_chest_a_b"], found["flask_chest_c"]) == (1, 4)
    with pytest.raises(SinkError, match=r"\['a\.b', 'writes'\] are names of other metrics"):
        chest.write([("a.b", 1, ""), ("writes", 1, "")])


def test_a_metric_of_somebody_else_is_an_error() -> None:
    registry = CollectorRegistry()
    Counter("flask_chest_score", "Of the app.", registry=registry)
    chest = FlaskChestPrometheus(registry=registry)
    with pytest.raises(SinkError, match=r"\['score'\] are names of other metrics"):
        chest.write([("score", 1, ""), ("other", 1, "")])
    assert registry.get_sample_value("flask_chest_other") == 1
    with pytest.raises(ConfigurationError, match="another name_prefix"):
        FlaskChestPrometheus(registry=registry)


@pytest.mark.parametrize("prefix", ["", "1a", "a-b"])
def test_a_prefix_that_no_metric_can_have_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="No metric can begin"):
        FlaskChestPrometheus(prefix)


def test_it_is_served_from_the_first_request_on() -> None:
    def twice(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def call(*args: Any) -> Any:
            return view(*args)

        return call

    chest, app = FlaskChestPrometheus(), Flask("shop")
    app.add_url_rule("/", view_func=twice(flask_chest([chest], None)(lambda: "")), endpoint="index")
    assert scraped(app) == {"flask_chest_ignored_total": 0}


def test_it_is_served_by_an_app_with_views_of_classes() -> None:
    chest, app = FlaskChestPrometheus(), Flask("shop")

    class Orders(MethodView):
        @flask_chest([chest], None)
        def post(self) -> str:
            return ""

    app.add_url_rule("/orders", view_func=Orders.as_view("orders"))
    assert scraped(app) == {"flask_chest_ignored_total": 0}


def test_two_chests_of_an_app_are_served_together_and_never_mix() -> None:
    app = make_app([FlaskChestPrometheus("one"), FlaskChestPrometheus("two")], {"score": 1})
    app.test_client().get("/")
    found = scraped(app)
    assert (found["one_score"], found["two_score"]) == (1, 1)
    both = [FlaskChestPrometheus(), FlaskChestPrometheus()]
    app = make_app(both, {"score": 1})
    app.testing = True
    with pytest.raises(ConfigurationError, match="two chests for Prometheus named 'flask_chest'"):
        app.test_client().get("/")


def test_a_view_of_any_kind_is_looked_at_without_harm() -> None:
    class Odd:
        __name__ = "odd"
        flask_chests = 17

        def __call__(self) -> str:
            return ""

        @property
        def __wrapped__(self) -> Odd:
            return self

    FlaskChestPrometheus()
    chest, app = FlaskChestPrometheus(), Flask("shop")
    app.add_url_rule("/", view_func=Odd())
    assert app.test_client().get("/").status_code == 200
    assert app.test_client().get("/metrics").status_code == 404
    assert chest.lost == 0


def test_an_app_that_does_not_use_the_chest_does_not_serve_it() -> None:
    chest = FlaskChestPrometheus()
    make_app([chest], {"score": 1}).test_client().get("/")
    other = Flask("other")
    assert other.test_client().get("/metrics").status_code == 404


def test_a_route_of_the_app_goes_first() -> None:
    chest = FlaskChestPrometheus()
    app = make_app([chest], {"score": 1})
    app.add_url_rule("/metrics", view_func=lambda: "mine", endpoint="metrics")
    app.test_client().get("/")
    assert app.test_client().get("/metrics").text == "mine"
    assert samples(chest.expose().decode())["flask_chest_score"] == 1


def test_what_the_app_asks_before_a_request_is_asked_for_metrics_too() -> None:
    app = make_app([FlaskChestPrometheus()], {"score": 1})

    @app.before_request
    def guard() -> Any:
        return None if request.headers.get("Authorization") else ("who are you?", 401)

    assert app.test_client().get("/metrics").status_code == 401
    assert app.test_client().get("/metrics", headers={"Authorization": "x"}).status_code == 200
    assert app.test_client().post("/metrics", headers={"Authorization": "x"}).status_code == 404


def test_a_number_that_is_too_large_is_none() -> None:
    chest = FlaskChestPrometheus()
    chest.write([("large", 10**400, ""), ("odd", Decimal("sNaN"), ""), ("score", 1, "")])
    found = samples(chest.expose().decode())
    assert math.isnan(found["flask_chest_large"])
    assert math.isnan(found["flask_chest_odd"])
    assert found["flask_chest_score"] == 1


def test_it_may_be_written_outside_of_a_request() -> None:
    chest = FlaskChestPrometheus()
    chest.write([("score", 1, "17")])
    assert samples(chest.expose().decode())["flask_chest_score"] == 1
    assert '"prometheus"' in str(chest)


def test_threads_write_at_once() -> None:
    app = make_app([FlaskChestPrometheus()], {f"v{number}": number for number in range(20)})
    threads = [threading.Thread(target=lambda: app.test_client().get("/")) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found = scraped(app)
    assert {found[f'flask_chest_writes_total{{variable="v{number}"}}'] for number in range(20)} == {16}


def test_prometheus_scrapes_the_app_and_answers() -> None:
    app = make_app([FlaskChestPrometheus()], {"score": 1.5, "größe": 2})
    app.test_client().get("/")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        with prometheus(f"127.0.0.1:{server.server_port}") as running:
            ((_, score),) = running.wait_for("flask_chest_score")
            writes = running.query("sum by (variable) (flask_chest_writes_total)")
            ((_, size),) = running.query("flask_chest_gr__e")
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
    assert (score, size) == (1.5, 2)
    assert writes == [({"variable": "größe"}, 1), ({"variable": "score"}, 1)]


def test_promtool_finds_nothing_wrong() -> None:
    program = shutil.which("promtool")
    require("promtool (Debian: prometheus)", program)
    assert program
    app = make_app([FlaskChestPrometheus()], {"score": 1.5, "user": "ada"})
    app.test_client().get("/")
    page = app.test_client().get("/metrics").data
    done = subprocess.run([program, "check", "metrics"], input=page, capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_all_processes_are_shown_where_prometheus_client_is_told_to(tmp_path: Path) -> None:
    code = (
        "import os\nfrom tollkeeper.compat.flask_chest import FlaskChestPrometheus\n"
        "chest = FlaskChestPrometheus()\n"
        "for _ in range(3):\n"
        "    child = os.fork()\n"
        "    if not child:\n        chest.write([('score', 7, '')])\n        os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "print(chest.expose().decode())\n"
    )
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    found = samples(done.stdout)
    assert found["flask_chest_score"] == 7
    assert found['flask_chest_writes_total{variable="score"}'] == 3
