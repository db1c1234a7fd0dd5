from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

import flask
import pytest

from tollkeeper.capture.environ import ENVIRON_KEY
from tollkeeper.compat.flask_api_usage import Usage
from tollkeeper.compat.flask_api_usage.read_on import ReadOn
from tollkeeper.compat.flask_api_usage.storage import storage
from tollkeeper.log import QuietLog
from tollkeeper.testing import capture_events

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "mongodb://localhost:27017/use"),
        ({"host": "mongodb://localhost:1234/"}, "mongodb://localhost:1234/use"),
        ({"host": "mongodb://localhost:1234/other?w=1"}, "mongodb://localhost:1234/use?w=1"),
        ({"host": "db.example", "port": 7}, "mongodb://db.example:7/use"),
        ({"host": "mongodb://a:1,b:2/?replicaSet=r"}, "mongodb://a:1,b:2/use?replicaSet=r"),
        ({"host": "mongodb://u:p@h/"}, "mongodb://u:p@h/use?authSource=admin"),
        ({"host": "mongodb://u:p@h/own"}, "mongodb://u:p@h/use?authSource=own"),
        ({"host": "mongodb://u:p@h/own?authSource=x&w=1"}, "mongodb://u:p@h/use?authSource=x&w=1"),
        ({"host": "h", "username": "u@", "password": "p/"}, "mongodb://u%40:p%2F@h:27017/use?authSource=admin"),
        ({"username": "u", "authentication_source": "x"}, "mongodb://u:@localhost:27017/use?authSource=x"),
        ({"host": "mongodb://u:p@h/", "username": "other"}, "mongodb://u:p@h/use?authSource=admin"),
    ],
)
def test_settings_name_a_database(settings: dict[str, Any], url: str) -> None:
    sink: Any = storage({"USAGE_MONGODB_SETTINGS": {"db": "use", "alias": "x", **settings}})
    assert sink._url == url
    assert (sink._database, sink._collection) == ("use", "api-usage")


def post(app: Any, environ: WSGIEnvironment) -> tuple[list[Any], bytes]:
    """What an app below ReadOn gives to the server, and what it has left of the body."""
    body = io.BytesIO(b'{"a": 1}')
    whole = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "8", "wsgi.input": body} | environ
    result = ReadOn(app, 100)(whole, lambda *_: lambda _data: None)
    chunks = list(result)
    if hasattr(result, "close"):
        result.close()
    return chunks, body.read()


@pytest.mark.parametrize(
    "environ",
    [
        {"CONTENT_TYPE": "text/plain"},
        {"CONTENT_TYPE": ""},
        {"CONTENT_LENGTH": ""},
        {"CONTENT_LENGTH": "-8"},
        {"CONTENT_LENGTH": "101"},
        {"CONTENT_LENGTH": "8" * 5000},
    ],
)
def test_only_json_of_a_known_and_small_size_is_read_on(environ: WSGIEnvironment) -> None:
    assert post(lambda *_: [b"x"], {ENVIRON_KEY: Watched(), **environ}) == ([b"x"], b'{"a": 1}')


def test_a_file_that_the_server_sends_stays_what_it_is() -> None:
    file = FileWrapper(io.BytesIO(b"x"))
    result = ReadOn(lambda *_: file, 100)(
        {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "8", "wsgi.file_wrapper": FileWrapper}
        | {ENVIRON_KEY: Watched()},
        lambda *_: lambda _data: None,
    )
    assert result is file


class Watched:
    """What the observer leaves in the environ."""

    def __init__(self) -> None:
        self.log = QuietLog("flask-api-usage")


def test_what_is_not_observed_is_left_alone() -> None:
    assert post(lambda *_: [b"x"], {}) == ([b"x"], b'{"a": 1}')


@pytest.mark.parametrize("broken", [{"CONTENT_LENGTH": 8}, {"CONTENT_TYPE": 8}])
def test_an_odd_server_changes_nothing(broken: WSGIEnvironment) -> None:
    watched = Watched()
    chunks, _ = post(lambda *_: [b"x"], {ENVIRON_KEY: watched, **broken})
    assert chunks == [b"x"]
    assert watched.log.counts()["observe"] == 1


class Broken(io.RawIOBase):
    def read(self, _size: int = -1) -> bytes:
        raise OSError("gone")


def test_a_client_that_goes_away_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    app = flask.Flask("shop")
    app.add_url_rule("/", view_func=lambda: {"hello": "world"}, methods=["POST"])
    app.config["USAGE_STORAGE_URI"] = "memory:"
    usage = Usage(app)
    environ = {"wsgi.input": Broken(), "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "8"}
    with capture_events() as events, caplog.at_level(logging.WARNING):
        response = app.test_client().open("/", method="POST", environ_overrides=environ)
        assert response.json == {"hello": "world"}
        response.close()
    assert len(events) == 1
    assert [record.name for record in caplog.records] == ["flask-api-usage"]
    assert usage.keeper is not None
    usage.keeper.close()


def test_an_answer_without_close_is_read_on_too() -> None:
    class Seen(io.BytesIO):
        seen = 0

    body = Seen(b'{"a": 1}')
    assert post(lambda *_: [b"x"], {"wsgi.input": body, ENVIRON_KEY: Watched()})[0] == [b"x"]
    assert body.read() == b""
