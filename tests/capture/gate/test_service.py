"""The gate of an app with a real service behind it: over HTTP, and embedded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import flask
import pytest

from support.gate_shop import KEY, sell
from support.running import Api, running
from tollkeeper.embedded import embed
from tollkeeper.errors import SinkError
from tollkeeper.events.lease import LeaseRequest
from tollkeeper.flask import Tollkeeper
from tollkeeper.settings import Settings
from tollkeeper.sinks.leases import LeaseClient
from tollkeeper.testing import FakeCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    store = f"sqlite:///{tmp_path_factory.mktemp('service')}/store.db"
    with running(Settings(store=store)) as service:
        yield service


def make_app() -> flask.Flask:
    app = flask.Flask("orders")
    app.add_url_rule("/orders", "orders", lambda: "orders")
    app.add_url_rule("/elsewhere", "elsewhere", lambda: "elsewhere")
    return app


def get(app: flask.Flask, path: str, key: str) -> Any:
    return app.test_client().get(path, headers={"X-API-Key": key}, buffered=True)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def token_of(client: httpx.Client) -> str:
    return client.headers["Authorization"].removeprefix("Bearer ")


def test_an_app_is_gated_by_a_service(api: Api) -> None:
    sell(api.admin, limits=[{"limit": 20, "period": "year"}])
    app = make_app()
    app.config["TOLLKEEPER_TOKEN"] = token_of(api.ingest)
    door = Tollkeeper(app, sink=api.url, gate=True, api="orders", gate_headers=True)
    try:
        first = get(app, "/orders", KEY)
        assert (first.status_code, first.headers["RateLimit"].partition(";t=")[0]) == (200, '"all year";r=19')
        assert get(app, "/orders", "nobody's").get_json()["code"] == "unknown_api_key"
        assert get(app, "/elsewhere", KEY).get_json()["code"] == "unknown_route"
        found = [get(app, "/orders", KEY).status_code for _ in range(25)]
        assert found == [200] * 19 + [429] * 6
    finally:
        assert door.close(10)


def test_a_change_of_the_catalogue_reaches_the_app(api: Api) -> None:
    sell(api.admin, key="acme-key-to-be-revoked", limits=[{"limit": 1000, "period": "year"}])
    app = make_app()
    app.config["TOLLKEEPER_TOKEN"] = token_of(api.ingest)
    door = Tollkeeper(app, sink=api.url, gate=True, api="orders")
    try:
        assert get(app, "/orders", "acme-key-to-be-revoked").status_code == 200
        sell(api.admin, key="another-one-00001")
        (mine,) = [key for key in api.admin.get("/v1/keys").json()["items"] if key["prefix"].startswith("acme-key")]
        assert api.admin.post(f"/v1/keys/{mine['id']}/revoke").is_success
        began = time.monotonic()
        until(lambda: get(app, "/orders", "acme-key-to-be-revoked").status_code == 401)
        assert time.monotonic() - began < 1.5
    finally:
        door.close(10)


def test_embedded_leases_come_from_the_store(tmp_path: Path) -> None:
    app = make_app()
    door = embed(app, store=f"sqlite:///{tmp_path}/store.db", gate=True)
    try:
        until(lambda: get(app, "/orders", "nobody's").status_code == 401)  # the store is opened with the first question
        assert get(app, "/orders", "nobody's").get_json()["code"] == "unknown_api_key"
    finally:
        assert door.close(10)


def test_what_is_no_service_of_leases_is_said() -> None:
    with FakeCollector() as collector:
        client = LeaseClient(collector.url, token="secret")
        with pytest.raises(SinkError, match="root of a Tollkeeper service that has a gate"):
            client.exchange(LeaseRequest())
        collector.answers.extend(["garbage", 503])
        with pytest.raises(SinkError, match="answers without leases"):
            client.exchange(LeaseRequest())
        with pytest.raises(SinkError, match="answers 503"):
            client.exchange(LeaseRequest())
        client.close()
