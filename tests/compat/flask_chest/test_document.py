"""The document that describes Flask-Chest: its snippets as they are, and its tables of parameters."""

from __future__ import annotations

import inspect
import json
import uuid
from typing import TYPE_CHECKING, Any, List, Tuple  # noqa: UP035 - as the document has it

import pytest
from flask import Flask, g

from support.receiver import Receiver
from tollkeeper.compat.flask_chest import (
    FlaskChestCustomWriter,
    FlaskChestInfluxDB,
    FlaskChestMySQL,
    FlaskChestPrometheus,
    FlaskChestSQLite,
    flask_chest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SNIPPET = """\
def payload_generator(variables: List[Tuple[str, Any, str]]) -> Any:
"""
ID_GENERATOR = "lambda: str(uuid.uuid4())"
CUSTOM_WRITER = [
    "url",
    "payload_generator",
    "name",
    "headers",
    "params",
    "proxies",
    "verify",
    "success_status_codes",
    "logger",
]
INFLUXDB = ["url", "token", "org", "bucket", "custom_tags", "logger"]
DECORATOR = ["chests", "tracked_vars", "request_id_generator", "raise_exceptions"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


def test_the_payload_generator_of_the_document_works_and_can_be_named_anything(receiver: Receiver) -> None:
    names: dict[str, Any] = {"List": List, "Tuple": Tuple, "Any": Any}  # noqa: UP006 - as the document has it
    exec(SNIPPET + "    return {name: [value, request_id] for name, value, request_id in variables}", names)
    app = Flask(__name__)
    chest = FlaskChestCustomWriter(url=receiver.url, payload_generator=names["payload_generator"])

    @app.route("/")
    @flask_chest(
        chests=[chest],
        tracked_vars={"GET": ["user_id", "session_id"]},
        request_id_generator=eval(ID_GENERATOR, {"uuid": uuid}),
        raise_exceptions=True,
    )
    def index() -> str:
        g.session_id = "abc"
        g.user_id = "123"
        return "Hello, World!"

    assert app.test_client().get("/").data == b"Hello, World!"
    body = json.loads(receiver.requests[0].body)
    assert list(body) == ["user_id", "session_id"], "in the order of tracked_vars"
    assert [value for value, _ in body.values()] == ["123", "abc"]
    (made,) = {made for _, made in body.values()}
    assert uuid.UUID(made).version == 4


@pytest.mark.parametrize(
    ("function", "names"),
    [(FlaskChestCustomWriter, CUSTOM_WRITER), (FlaskChestInfluxDB, INFLUXDB), (flask_chest, DECORATOR)],
)
def test_parameters_come_in_the_order_of_the_tables(function: Any, names: list[str]) -> None:
    assert list(inspect.signature(function).parameters)[: len(names)] == names


def test_all_chests_of_the_document_can_be_given_together(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answer = lambda taken: (204 if "/api/v2/write" in taken.target else 200, {}, b"")
    app = Flask(__name__)
    away = FlaskChestMySQL("127.0.0.1", 1, "user", "password", "database")
    chests = [
        FlaskChestCustomWriter(receiver.url, lambda variables: variables),
        FlaskChestInfluxDB(receiver.url, "token"),
        FlaskChestPrometheus(),
        away,
        FlaskChestSQLite(app, db_uri=str(tmp_path / "db.sqlite3")),
    ]

    @app.route("/")
    @flask_chest(chests, {"GET": ["count"]}, raise_exceptions=False)
    def index() -> str:
        g.count = 17
        return "Hello, World!"

    assert app.test_client().get("/").data == b"Hello, World!"
    assert [chest.lost for chest in chests] == [0, 0, 0, 1, 0]
    assert "flask_chest_count 17" in app.test_client().get("/metrics").text
    for chest in chests:
        chest.close()
