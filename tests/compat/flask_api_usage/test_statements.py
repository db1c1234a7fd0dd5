"""What the README of flask-api-usage says, and what an app that has it may count on: one test for each statement."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import bson
import flask
import pymongo
import pytest

from tollkeeper.compat.flask_api_usage import Usage
from tollkeeper.errors import ConfigurationError
from tollkeeper.testing import frozen_clock

if TYPE_CHECKING:
    from compat.flask_api_usage.conftest import Shop
    from support.servers.mongodb import MongoDB

# The README's, but for the first import of the second line.
SNIPPET = """\
from flask import Flask
from tollkeeper.compat.flask_api_usage import Usage
flask_app = Flask(__name__)

db = 'mongoDB_db_name'
mongoURI = 'mongodb://localhost:1234/'

flask_app.config['USAGE_MONGODB_SETTINGS'] = {
    'db': db,
    'host': mongoURI,
    'alias': 'flask-usage'
}

# === Way 1 ===

usage = Usage()
Usage.init_app(flask_app)

# === Way 2 ===

Usage(flask_app)
"""
BEFORE, WAY_1, WAY_2 = (
    SNIPPET.partition("# === Way 1 ===")[0],
    *SNIPPET.partition("# === Way 1 ===")[2].split("# === Way 2 ==="),
)
KEYS = {
    "": [*("_id", "date", "exception", "method", "path", "url", "status_code", "response", "client", "request")],
    "response": ["content_length", "mimetype", "headers", "body"],
    "client": ["referer", "authorization", "origin", "remote_address", "user_agent", "platform", "browser"],
    "request": ["elapsed_time", "content_length", "mimetype", "body", "headers", "args"],
}
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/85.0.4183.121 Safari/537.36"
)


@pytest.mark.parametrize("ways", [WAY_1, WAY_2, WAY_1 + WAY_2], ids=["way 1", "way 2", "both"])
def test_the_snippet_works_verbatim_but_for_the_import(
    ways: str, server: MongoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = pymongo.MongoClient
    asked: list[str] = []

    def stand_in(url: str, **options: Any) -> Any:  # for the server of the snippet
        asked.append(url)
        return connect(server.url, **options)

    names: dict[str, Any] = {"__name__": "snippet"}
    exec(BEFORE + ways, names)
    app = names["flask_app"]
    app.add_url_rule("/", view_func=lambda: {"hello": "world"})
    with server.connect() as client:
        client.drop_database("mongoDB_db_name")
        with monkeypatch.context() as patch:
            patch.setattr(pymongo, "MongoClient", stand_in)
            with app.test_client().get("/") as response:
                assert response.json == {"hello": "world"}
            assert app.extensions["flask-api-usage"].close(20)
        (document,) = client["mongoDB_db_name"]["api-usage"].find()
        client.drop_database("mongoDB_db_name")
    assert asked == ["mongodb://localhost:1234/mongoDB_db_name"]
    assert document["response"]["body"] == {"hello": "world"}


def test_init_app_works_on_an_object_too(shop: Shop) -> None:
    usage = Usage()
    usage.init_app(shop.app)
    assert usage.keeper is shop.keeper
    assert shop.only("/echo")["path"] == "/echo"


def test_a_request_is_one_document_with_exactly_the_keys_of_the_readme(recorded: Shop) -> None:
    document = recorded.only("/echo")
    assert list(document) == KEYS[""]
    for part in ("response", "client", "request"):
        assert list(document[part]) == KEYS[part]
    assert isinstance(document["_id"], bson.ObjectId)
    with recorded.server.connect() as client:
        assert client[recorded.name].list_collection_names() == ["api-usage"]


def test_the_document_of_the_readme_comes_out_as_it_stands_there(recorded: Shop) -> None:
    body = {
        "publicKey": "private",
        "products": [{"name": "private", "metadata": {"private": "True"}, "price": {"amount": "private"}}],
    }

    @recorded.app.get("/api/v0/pay/setup")
    def setup() -> Any:
        response = flask.jsonify(body)
        response.headers["Access-Control-Allow-Origin"] = "http://localhost:5000"
        response.headers["Vary"] = "Origin"
        return response

    headers = {
        "Host": "localhost:22222",
        "Connection": "keep-alive",
        "User-Agent": AGENT,
        "Accept": "*/*",
        "Origin": "http://localhost:5000",
        "Sec-Fetch-Site": "same-site",
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Dest": "empty",
        "Referer": "http://localhost:5000/",
        "Accept-Encoding": "gzip, deflate, br",
        "Accept-Language": "fr-FR,fr;q=0.9,en-US;q=0.8,en;q=0.7",
    }
    document = recorded.only("/api/v0/pay/setup", headers=headers)
    length = document["response"]["content_length"]
    assert document.pop("_id")
    assert isinstance(document.pop("date"), datetime)
    assert isinstance(document["request"].pop("elapsed_time"), float)
    assert document == {
        "exception": "None",
        "method": "GET",
        "path": "/api/v0/pay/setup",
        "url": "http://localhost:22222/api/v0/pay/setup",
        "status_code": 200,
        "response": {
            "content_length": length,
            "mimetype": "application/json",
            "headers": {
                "Content-Type": "application/json",
                "Content-Length": str(length),
                "Access-Control-Allow-Origin": "http://localhost:5000",
                "Vary": "Origin",
            },
            "body": body,
        },
        "client": {
            "referer": "http://localhost:5000/",
            "authorization": None,
            "origin": "http://localhost:5000",
            "remote_address": "127.0.0.1",
            "user_agent": AGENT,
            "platform": "windows",
            "browser": "chrome 85.0.4183.121",
        },
        "request": {"content_length": None, "mimetype": "", "body": None, "headers": headers, "args": {}},
    }


@pytest.mark.parametrize(
    ("enabled", "config"), [(False, None), (True, False), (False, False)], ids=["argument", "config", "both"]
)
def test_usage_enabled_false_registers_nothing_and_connects_nowhere(
    shop: Shop, *, enabled: bool, config: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pymongo, "MongoClient", None)
    if config is not None:
        shop.app.config["USAGE_ENABLED"] = config
    before = shop.app.wsgi_app
    usage = Usage(shop.app, enabled=enabled)
    assert usage.keeper is None
    assert shop.app.wsgi_app == before
    assert shop.app.extensions == {}


def test_usage_enabled_of_the_config_wins_over_the_argument(shop: Shop) -> None:
    shop.app.config["USAGE_ENABLED"] = True
    Usage(shop.app, False)
    assert shop.only("/echo")["status_code"] == 200


def test_usage_storage_uri_is_any_sink(shop: Shop) -> None:
    shop.app.config["USAGE_STORAGE_URI"] = "memory:"
    usage = Usage(shop.app)
    shop.ask("/echo")
    assert usage.keeper is not None
    assert usage.keeper.flush(5)
    assert [event.path for event in usage.keeper.sink.events] == ["/echo"]


def test_usage_storage_uri_of_mongodb_has_the_same_documents(shop: Shop) -> None:
    parts = shop.server.url.partition("/?")
    shop.app.config["USAGE_STORAGE_URI"] = f"{parts[0]}/{shop.name}?{parts[2]}"
    Usage(shop.app)
    assert list(shop.only("/echo")) == KEYS[""]


@pytest.mark.parametrize("settings", [{"host": "mongodb://127.0.0.1/"}, "mongodb://127.0.0.1/"])
def test_settings_without_a_database_are_told_at_once(settings: Any) -> None:
    app = flask.Flask("shop")
    app.config["USAGE_MONGODB_SETTINGS"] = settings
    with pytest.raises(ConfigurationError, match="USAGE_MONGODB_SETTINGS"):
        Usage(app)


def test_without_any_setting_a_warning_is_logged_and_nothing_is_recorded(caplog: pytest.LogCaptureFixture) -> None:
    app = flask.Flask("shop")
    Usage(app)
    assert app.test_client().get("/").status_code == 404
    assert [(record.name, record.levelname) for record in caplog.records] == [("flask-api-usage", "WARNING")]


def test_a_storage_failure_changes_no_response_and_goes_to_the_logger(caplog: pytest.LogCaptureFixture) -> None:
    app = flask.Flask("shop")
    app.add_url_rule("/", view_func=lambda: {"hello": "world"})
    app.config["USAGE_MONGODB_SETTINGS"] = {"db": "x", "host": "mongodb://someone:pass-word@127.0.0.1:9/"}
    usage = Usage(app)
    assert usage.keeper is not None
    usage.keeper.sink._options["timeoutMS"] = 300
    with app.test_client().get("/") as response:
        assert (response.status_code, response.json) == (200, {"hello": "world"})
    assert not usage.keeper.flush(2)
    assert not usage.keeper.close(1)
    assert {record.name for record in caplog.records} == {"flask-api-usage"}
    assert "could not deliver" in caplog.text
    assert "pass-word" not in caplog.text


def test_date_is_the_start_in_utc_and_elapsed_time_is_seconds_to_the_end(recorded: Shop) -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)
    with frozen_clock(moment) as clock:

        @recorded.app.get("/stream")
        def stream() -> flask.Response:
            clock.tick(1)

            def chunks() -> Any:
                yield "one "
                clock.tick(0.5)
                yield "two"

            return flask.Response(chunks())

        recorded.ask("/stream")
    (document,) = recorded.documents()
    assert document["date"] == moment
    assert document["date"].utcoffset() == timedelta(0)
    assert document["request"]["elapsed_time"] == 1.5
    assert document["response"]["content_length"] is None  # it announced none


def test_an_exception_is_its_repr_with_status_500(recorded: Shop) -> None:
    document = recorded.only("/boom")
    assert (document["exception"], document["status_code"]) == ("ValueError('boom')", 500)


def test_success_and_handled_errors_have_no_exception(recorded: Shop) -> None:
    recorded.ask("/echo")
    recorded.ask("/teapot")
    assert [(one["status_code"], one["exception"]) for one in recorded.documents()] == [(200, "None"), (418, "None")]


def test_404_and_head_and_options_are_recorded(recorded: Shop) -> None:
    recorded.ask("/nowhere")
    recorded.ask("/echo", "HEAD")
    recorded.ask("/echo", "OPTIONS")
    documents = recorded.documents()
    assert [(one["method"], one["status_code"]) for one in documents] == [("GET", 404), ("HEAD", 200), ("OPTIONS", 200)]
    assert documents[1]["response"]["body"] is None


def test_platform_and_browser_are_named_or_unknown(recorded: Shop) -> None:
    recorded.ask("/echo", headers={"User-Agent": AGENT})
    recorded.ask("/echo", headers={"User-Agent": "nobody knows me"})
    known, unknown = (document["client"] for document in recorded.documents())
    assert (known["platform"], known["browser"]) == ("windows", "chrome 85.0.4183.121")
    assert (unknown["platform"], unknown["browser"]) == (None, "None None")


def test_remote_address_is_x_real_ip_else_the_peer(recorded: Shop) -> None:
    recorded.ask("/echo", headers={"X-Real-IP": "203.0.113.9"})
    recorded.ask("/echo", headers={"X-Forwarded-For": "203.0.113.9"})
    assert [one["client"]["remote_address"] for one in recorded.documents()] == ["203.0.113.9", "127.0.0.1"]


def test_args_have_the_first_value_of_each_name_and_the_url_has_the_query(recorded: Shop) -> None:
    document = recorded.only("/echo?a=1&a=2&b=&c=%C3%A9")
    assert document["request"]["args"] == {"a": "1", "b": "", "c": "é"}
    assert document["url"] == "http://localhost/echo?a=1&a=2&b=&c=%C3%A9"
    assert document["path"] == "/echo"


@pytest.mark.parametrize(
    "value", [{"a": [1, 2.5, None]}, [1], "text", 7, True, None, "", {"n": 2**70}], ids=lambda value: repr(value)[:20]
)
def test_bodies_are_parsed_json(recorded: Shop, value: Any) -> None:
    document = recorded.only("/echo", "POST", json=value)
    stored = {"n": str(2**70)} if value == {"n": 2**70} else value  # MongoDB has no such integer
    assert document["request"]["body"] == stored
    assert document["response"]["body"] == {"got": stored}


def test_a_body_that_the_view_did_not_read_is_stored_too(recorded: Shop) -> None:
    document = recorded.only("/deaf", "POST", json={"a": 1})
    assert document["request"]["body"] == {"a": 1}


def test_other_bodies_are_null(recorded: Shop) -> None:
    recorded.ask("/deaf", "POST", data={"a": "form"})
    recorded.ask("/deaf", "POST", data="text", content_type="text/plain")
    recorded.ask("/deaf", "POST", data="x" * 10, content_type="application/octet-stream")
    recorded.ask("/nowhere")
    assert [one["request"]["body"] for one in recorded.documents()] == [None] * 4
    assert recorded.documents()[-1]["response"]["body"] is None


def test_a_body_that_is_larger_than_what_is_kept_is_null(recorded: Shop) -> None:
    document = recorded.only("/echo", "POST", json=["x" * 200_000])
    assert document["request"]["body"] is None
    assert document["request"]["content_length"] > 200_000


def test_mimetype_and_content_length_are_empty_and_null_when_absent(recorded: Shop) -> None:
    @recorded.app.get("/nothing")
    def nothing() -> flask.Response:
        response = flask.Response(iter(["streamed"]))
        del response.headers["Content-Type"]
        return response

    document = recorded.only("/nothing")
    assert (document["request"]["mimetype"], document["request"]["content_length"]) == ("", None)
    assert (document["response"]["mimetype"], document["response"]["content_length"]) == ("", None)


def test_a_document_is_never_written_in_the_request(server: MongoDB, shop: Shop) -> None:
    if server.process is None:
        pytest.skip("the server is not ours to freeze")
    Usage(shop.app)
    server.process.freeze()
    try:
        began = time.monotonic()
        for _ in range(50):
            assert shop.ask("/echo").status_code == 200
        assert time.monotonic() - began < 2
    finally:
        server.process.thaw()
    assert len(shop.documents()) == 50


def test_keys_with_dollar_and_dot_are_stored(recorded: Shop) -> None:
    body = {"$set": 1, "a.b": {"$gt": {"c.": 2}}, "": 3}
    document = recorded.only("/echo?$x.y=1", "POST", json=body)
    assert document["request"]["body"] == body
    assert document["request"]["args"] == {"$x.y": "1"}


@pytest.mark.parametrize("text", ['{"a": 1', "not json", '{"password": "hunter2"', "\x00", '"'])
def test_a_body_of_invalid_json_is_null_and_the_rest_is_stored(recorded: Shop, text: str) -> None:
    document = recorded.only("/echo", "POST", data=text, content_type="application/json")
    assert document["request"]["body"] is None
    assert document["status_code"] == 200


def test_an_earlier_before_request_that_answers_403_stays_403(shop: Shop) -> None:
    shop.app.before_request(lambda: ("no", 403))
    Usage(shop.app)
    assert shop.ask("/echo").status_code == 403
    (document,) = shop.documents()
    assert document["status_code"] == 403


def test_secrets_are_redacted_by_default(recorded: Shop) -> None:
    headers = {"Authorization": "Bearer s3cret-1", "Cookie": "s=s3cret-2"}
    document = recorded.only("/echo?token=s3cret-3", "POST", headers=headers, json={"password": "s3cret-4", "a": 1})
    assert "s3cret" not in repr(document)
    assert document["client"]["authorization"] == "Bearer [REDACTED]"
    assert document["request"]["body"] == {"password": "[REDACTED]", "a": 1}


def test_usage_redact_false_keeps_secrets(shop: Shop) -> None:
    shop.app.config["USAGE_REDACT"] = False
    Usage(shop.app)
    headers = {"Authorization": "Bearer s3cret-1", "X-Card": "4111 1111 1111 1111"}
    document = shop.only("/echo?token=s3cret-3", "POST", headers=headers, json={"password": "s3cret-4"})
    assert document["client"]["authorization"] == "Bearer s3cret-1"
    assert document["request"]["headers"]["X-Card"] == "4111 1111 1111 1111"
    assert document["request"]["args"] == {"token": "s3cret-3"}
    assert document["url"].endswith("?token=s3cret-3")
    assert document["request"]["body"] == {"password": "s3cret-4"}


def test_duplicate_headers_are_kept(recorded: Shop) -> None:
    @recorded.app.get("/links")
    def links() -> flask.Response:
        response = flask.Response("x")
        response.headers.add("Link", "</a>")
        response.headers.add("Link", "</b>")
        return response

    assert recorded.only("/links")["response"]["headers"]["Link"] == ["</a>", "</b>"]


def test_a_server_that_stops_and_starts_mid_stream_loses_and_doubles_nothing(
    server: MongoDB, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    if server.process is None:
        pytest.skip("the server is not ours to stop")
    Usage(shop.app)
    with caplog.at_level(logging.ERROR, "flask-api-usage"):
        for number in range(300):
            if number == 100:
                server.process.kill()
            if number == 200:
                server.process.start()
            shop.ask(f"/nowhere/{number}")
            time.sleep(0.002)
    paths = [document["path"] for document in shop.documents()]
    assert sorted(paths) == sorted(f"/nowhere/{number}" for number in range(300))
