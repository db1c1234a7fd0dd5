from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tollkeeper.events.codec import encode_batch
from tollkeeper.events.event import Consumer
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.sinks.memory import MemorySink

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

SHOP = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "shop" / "app.py"))
CARD = "4242424242424242"
KEY = "shop-key-of-alpine"


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def app(sink: MemorySink) -> Flask:
    app: Flask = SHOP["create_app"](sink, pace=0.0, seed=1)
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def call(client: FlaskClient, method: str, path: str, body: Any = None, key: str = KEY) -> TestResponse:
    return client.open(path, method=method, json=body, headers={"X-API-Key": key}, buffered=True)


def order(client: FlaskClient) -> int:
    cart = call(client, "POST", "/v1/carts").get_json()["cart"]
    assert call(client, "POST", f"/v1/carts/{cart}/items", {"product": 7}).status_code == 201
    number: int = call(client, "POST", "/v1/orders", {"cart": cart}).get_json()["order"]
    return number


def test_an_order_goes_from_the_cart_to_the_payment(client: FlaskClient) -> None:
    number = order(client)
    assert call(client, "POST", f"/v1/orders/{number}/payment", {"card_number": CARD}).status_code == 200
    declined = call(client, "POST", f"/v1/orders/{number}/payment", {"card_number": "4000000000000002"})
    assert declined.status_code == 402


@pytest.mark.parametrize(
    ("asked", "body", "key", "status"),
    [
        ("GET /health", None, "", 200),
        ("GET /v1/products?page=2&kind=lamp", None, "shop-key-of-nimbus", 200),
        ("GET /v1/products/7", None, "shop-key-of-nimbus", 200),
        ("GET /v1/products/7", None, "stolen", 401),
        ("GET /v1/products/121", None, "shop-key-of-nimbus", 404),
        ("GET /v1/search?q=lamp", None, "shop-key-of-nimbus", 200),
        ("GET /v1/search", None, "shop-key-of-nimbus", 400),
        ("GET /v1/reports/sales", None, "shop-key-of-nimbus", 403),
        ("GET /v1/reports/sales", None, "shop-key-of-office", 200),
        ("POST /v1/carts/none/items", {"product": 1}, "shop-key-of-orchard", 404),
        ("POST /v1/orders", {"cart": "none"}, "shop-key-of-orchard", 422),
        ("POST /v1/orders/1/payment", {}, "shop-key-of-orchard", 404),
    ],
)
def test_it_answers_as_shops_do(client: FlaskClient, asked: str, body: Any, key: str, status: int) -> None:
    method, path = asked.split()
    assert call(client, method, path, body, key).status_code == status


def test_tollkeeper_sees_all_of_it_but_the_secrets(app: Flask, client: FlaskClient, sink: MemorySink) -> None:
    number = order(client)
    statuses = [
        call(client, "POST", f"/v1/orders/{number}/payment", {"card_number": CARD}).status_code for _ in range(100)
    ]
    assert app.extensions["tollkeeper"].flush(10)
    assert len(sink.events) == 103
    payments = [event for event in sink.events if event.route == "/v1/orders/{id}/payment"]
    assert [event.status_code for event in payments] == statuses
    assert {200, 500} == set(statuses)
    assert {event.exception is None for event in payments if event.status_code == 500} == {False}
    assert {event.consumer for event in payments} == {
        Consumer(fingerprint(KEY), label="Alpine Outfitters", email="dev@alpine.example", group="gold")
    }
    assert CARD.encode() not in encode_batch(sink.events)
    assert b"shop-key" not in encode_batch(sink.events)
