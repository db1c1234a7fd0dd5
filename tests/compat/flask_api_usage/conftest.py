from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import flask
import pytest

from support.servers.mongodb import MongoDB, mongodb
from tollkeeper.compat.flask_api_usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.flask import Tollkeeper

Documents = list[dict[str, Any]]


@pytest.fixture
def server() -> MongoDB:
    return mongodb()


class Shop:
    """A Flask app whose requests are stored in a database of its own, and what is there."""

    def __init__(self, server: MongoDB) -> None:
        self.server = server
        self.name = f"usage_{uuid.uuid4().hex}"
        self.app = flask.Flask("shop")
        self.settings = {"db": self.name, "host": server.url, "alias": "flask-usage"}
        self.app.config["USAGE_MONGODB_SETTINGS"] = self.settings
        self.app.config["TOLLKEEPER_FLUSH_SECONDS"] = 0.05

        @self.app.route("/echo", methods=["GET", "POST", "OPTIONS"])
        def echo() -> Any:
            return flask.jsonify({"got": flask.request.get_json(silent=True)})

        @self.app.post("/deaf")
        def deaf() -> dict[str, str]:
            return {"heard": "nothing"}

        @self.app.get("/boom")
        def boom() -> str:
            raise ValueError("boom")

        @self.app.get("/teapot")
        def teapot() -> str:
            flask.abort(418)

    @property
    def keeper(self) -> Tollkeeper:
        keeper: Tollkeeper = self.app.extensions["flask-api-usage"]
        return keeper

    def ask(self, path: str, method: str = "GET", **more: Any) -> Any:
        with self.app.test_client().open(path, method=method, **more) as response:
            response.get_data()
            return response

    def documents(self) -> Documents:
        """All that is stored, after what was captured has been delivered."""
        assert self.keeper.flush(20)
        with self.server.connect() as client:
            return list(client[self.name]["api-usage"].find().sort("_id"))

    def only(self, path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
        """The document of one request."""
        self.ask(path, method, **more)
        (document,) = self.documents()
        return document


@pytest.fixture
def shop(server: MongoDB) -> Iterator[Shop]:
    made = Shop(server)
    yield made
    keeper = made.app.extensions.get("flask-api-usage")
    if keeper is not None:
        keeper.close(10)
    with server.connect() as client:
        client.drop_database(made.name)


@pytest.fixture
def recorded(shop: Shop) -> Shop:
    """A shop whose requests are recorded."""
    Usage(shop.app)
    return shop
