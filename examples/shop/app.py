"""A small shop's API, as somebody might have it in production, with Tollkeeper capture on: two lines near the end."""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import sys
import time
import uuid
from typing import Any, NoReturn

from flask import Flask, Request, abort, g, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import make_server

from tollkeeper.flask import Tollkeeper

__all__ = ["CONSUMERS", "create_app"]

CUSTOMERS = {
    "gold": ("Alpine Outfitters", "Juniper Home", "Meridian Maps"),
    "silver": ("Harbour Books", "Nimbus Travel", "Copper Kettle", "Lantern Press", "Tundra Gear", "Saffron Kitchen"),
    "free": (
        *("Orchard Market", "Willow & Sons", "Quartz Analytics", "Pelican Freight", "Ember Stoves", "Marble Studio"),
        *("Cedar Crafts", "Drift Surf", "Falcon Cycles", "Opal Gifts"),
    ),
    "staff": ("Office",),
}
CONSUMERS = {
    f"shop-key-of-{key}": {"key": fingerprint, "label": name, "email": f"dev@{key}.example", "group": group}
    for group, names in CUSTOMERS.items()
    for name in names
    for key in [name.split()[0].lower()]
    # As Tollkeeper writes a key where nobody identifies consumers: by this, calls are known to be a customer's.
    for fingerprint in [f"key_{hashlib.sha256(f'shop-key-of-{key}'.encode()).hexdigest()[:32]}"]
}
KINDS = ("lamp", "kettle", "tent", "atlas", "rope", "mug", "clock", "scarf")
PRODUCTS = {
    number: {"id": number, "name": f"{KINDS[number % 8].capitalize()} no. {number}", "kind": KINDS[number % 8]}
    | {"price": {"amount": f"{5 + number * 7 % 90}.90", "currency": "EUR"}, "stock": number * 13 % 40}
    for number in range(1, 121)
}
PAGE = 20
OPEN = {"health"}
DECLINED = "0002"
OUTAGE_SHARE = 0.04


def find_consumer(request: Request) -> dict[str, str] | None:
    """Who sent this request, by its API key; None for a stranger."""
    return CONSUMERS.get(request.headers.get("X-API-Key", ""))


def create_app(sink: Any = None, *, pace: float = 1.0, seed: int | None = None) -> Flask:
    """Make the app; ``pace`` scales how slow its slow routes are, ``seed`` fixes when the payment provider fails."""
    app = Flask("shop")
    _add_doors(app)
    _add_catalogue(app, pace)
    carts: dict[str, list[int]] = {}
    _add_carts(app, carts)
    _add_orders(app, carts, pace, random.Random(seed))
    Tollkeeper(app, sink=sink, identify=find_consumer, api="shop", api_version="v1")
    return app


def _add_doors(app: Flask) -> None:
    @app.before_request
    def authenticate() -> None:
        g.consumer = find_consumer(request)
        if g.consumer is None and request.endpoint not in OPEN:
            abort(401, "Send your key in the header X-API-Key.")

    @app.errorhandler(HTTPException)
    def explain(error: HTTPException) -> Any:
        return jsonify(error=error.name, detail=error.description), error.code

    @app.get("/health")
    def health() -> Any:
        return jsonify(status="ok")


def _add_catalogue(app: Flask, pace: float) -> None:
    @app.get("/v1/products")
    def products() -> Any:
        page = max(request.args.get("page", 1, int), 1)
        rows = [row for row in PRODUCTS.values() if request.args.get("kind") in {None, row["kind"]}]
        return jsonify(products=rows[(page - 1) * PAGE : page * PAGE], page=page, total=len(rows))

    @app.get("/v1/products/<int:id>")
    def product(id: int) -> Any:  # noqa: A002  # so that the route reads as in an access log
        if id not in PRODUCTS:
            abort(404, f"There is no product {id}.")
        return jsonify(PRODUCTS[id])

    @app.get("/v1/search")
    def search() -> Any:
        words = request.args.get("q", "").lower().split()
        if not words:
            abort(400, "Say what to search: ?q=lamp.")
        time.sleep(pace * (0.06 + 0.05 * len(words)))  # a full scan; somebody should add an index
        found = [row for row in PRODUCTS.values() if all(word in str(row["name"]).lower() for word in words)]
        return jsonify(products=found, total=len(found))

    @app.get("/v1/reports/sales")
    def sales() -> Any:
        if g.consumer["group"] != "staff":
            abort(403, "Only the back office reads reports.")
        time.sleep(pace * 0.3)
        return jsonify(rows=[{"kind": kind, "sold": len(kind) * 17} for kind in KINDS])


def _add_carts(app: Flask, carts: dict[str, list[int]]) -> None:
    @app.post("/v1/carts")
    def open_cart() -> Any:
        number = uuid.uuid4().hex
        carts[number] = []
        return jsonify(cart=number), 201

    @app.post("/v1/carts/<id>/items")
    def add_item(id: str) -> Any:  # noqa: A002  # so that the route reads as in an access log
        wanted = (request.get_json(silent=True) or {}).get("product")
        if id not in carts:
            abort(404, "There is no such cart.")
        if wanted not in PRODUCTS:
            abort(422, "Name a product by its number.")
        carts[id].append(wanted)
        return jsonify(cart=id, items=carts[id]), 201


def _add_orders(app: Flask, carts: dict[str, list[int]], pace: float, chance: random.Random) -> None:
    orders: dict[int, str] = {}

    @app.post("/v1/orders")
    def order() -> Any:
        body = request.get_json(silent=True) or {}
        if not carts.get(body.get("cart", "")):
            abort(422, "Name a cart that holds something.")
        number = len(orders) + 1000
        orders[number] = body["cart"]
        return jsonify(order=number, state="open"), 201

    @app.post("/v1/orders/<int:id>/payment")
    def pay(id: int) -> Any:  # noqa: A002  # so that the route reads as in an access log
        if id not in orders:
            abort(404, f"There is no order {id}.")
        time.sleep(pace * chance.uniform(0.03, 0.12))
        if chance.random() < OUTAGE_SHARE:
            raise ConnectionError("The payment provider closed the connection.")
        card = str((request.get_json(silent=True) or {}).get("card_number", ""))
        if card.endswith(DECLINED):
            return jsonify(error="Payment Required", detail="The card was declined."), 402
        return jsonify(order=id, state="paid")


def main() -> None:
    """Serve the shop on this machine until it is told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5000, help="port to listen on; 0 takes a free one")
    parser.add_argument("--sink", help="where events go; default: TOLLKEEPER_SINK")
    parser.add_argument("--pace", type=float, default=1.0, help="how slow slow routes are")
    chosen = parser.parse_args()
    server = make_server("127.0.0.1", chosen.port, create_app(chosen.sink, pace=chosen.pace), threaded=True)

    def end(*_: object) -> NoReturn:
        sys.exit(0)  # by the front door, so that what was captured is delivered

    signal.signal(signal.SIGTERM, end)
    print(f"The shop is at http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
