"""What arrives at ReadMe: the request, its headers, and the shape of each log."""

from __future__ import annotations

import base64
import io
import re
import threading
import time
import tracemalloc
import uuid
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from werkzeug.serving import make_server
from werkzeug.test import create_environ, run_wsgi_app
from werkzeug.wsgi import ClosingIterator

from compat.readme_metrics.conftest import make_app
from tollkeeper.compat.readme_metrics import MetricsApiConfig, ReadMeMetrics
from tollkeeper.flask import Tollkeeper
from tollkeeper.sinks.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from support.readme import ReadMe

MASKED = "sha512-u2GbQ83jIqNa+a8v110+8IDztQQr4joL1xSE+wFH51zSOA1qQKPwOC8t2n2LWJQA1mX4ZLZ45SEokITzLed/ow==?-key"


def headers(message: dict[str, Any]) -> dict[str, str]:
    return {header["name"]: header["value"] for header in message["headers"]}


def test_logs_are_posted_as_a_json_list_with_basic_auth(watch: Any, service: ReadMe) -> None:
    watch(api_key="KEYS:USER").log()
    post = service.posts[0]
    assert post.path == "/v1/request"
    assert post.headers["Authorization"] == f"Basic {base64.b64encode(b'KEYS:USER:').decode()}"
    assert post.headers["Content-Type"] == "application/json"
    assert isinstance(post.logs, list)


def test_the_shape_of_a_log(watch: Any) -> None:
    log = watch().log("/?city=1")
    assert log.keys() == {"_id", "group", "clientIPAddress", "development", "request"}
    assert uuid.UUID(log["_id"]).version == 4
    assert log["group"] == {"id": MASKED, "label": "Owlbert", "email": "owlbert@example.com"}
    assert log["clientIPAddress"] == "127.0.0.1"
    assert log["development"] is False
    assert log["request"].keys() == {"log"}
    creator = log["request"]["log"]["creator"]
    assert creator.keys() == {"name", "version", "comment"}
    assert creator["name"] == "readme-metrics (python)"
    assert re.fullmatch(r"\w+-\w+[^/]*/\d+\.\d+\.\d+\S*", creator["comment"])
    (entry,) = log["request"]["log"]["entries"]
    assert entry.keys() == {"pageref", "startedDateTime", "time", "request", "response"}
    assert entry["pageref"] == entry["request"]["url"] == "http://localhost/?city=1"


def test_the_time_is_whole_milliseconds_and_the_start_whole_seconds_of_utc(watch: Any) -> None:
    began = int(time.time())
    entry = watch().entry()
    assert type(entry["time"]) is int
    assert 0 <= entry["time"] < 10_000
    started = time.strptime(entry["startedDateTime"], "%Y-%m-%dT%H:%M:%SZ")
    assert began <= time.mktime(started) - time.timezone <= time.time()


def test_development_mode_marks_the_log(watch: Any) -> None:
    assert watch(development_mode=True).log()["development"] is True


def test_label_and_email_may_be_absent(watch: Any) -> None:
    assert watch(grouping_function=lambda _: {"id": "owlbert-api-key"}).log()["group"] == {"id": MASKED}


def test_api_key_wins_over_id_and_other_fields_are_dropped(watch: Any) -> None:
    def group(_request: object) -> dict[str, Any]:
        return {"id": "other", "api_key": "owlbert-api-key", "label": None, "plan": "gold"}

    assert watch(grouping_function=group).log()["group"] == {"id": MASKED, "label": None}


def test_an_id_that_is_no_text_is_masked_as_text(watch: Any) -> None:
    assert watch(grouping_function=lambda _: {"api_key": None, "id": 12345}).log()["group"]["id"].endswith("?2345")


def test_a_shared_group_dict_is_not_changed(watch: Any) -> None:
    shared = {"api_key": "owlbert-api-key", "label": "Owlbert", "plan": "gold"}
    watched = watch(grouping_function=lambda _: shared)
    assert [watched.log()["group"]["id"] for _ in range(3)] == [MASKED] * 3
    assert shared == {"api_key": "owlbert-api-key", "label": "Owlbert", "plan": "gold"}


def test_the_authorization_header_is_masked(watch: Any) -> None:
    entry = watch().entry("/", headers={"Authorization": "owlbert-api-key", "X-Other": "owlbert-api-key"})
    sent = headers(entry["request"])
    assert sent["Authorization"] == MASKED
    assert sent["X-Other"] == "owlbert-api-key"


def test_the_shape_of_a_request(watch: Any) -> None:
    sent = watch().entry("/?b=2&a=1&b=3&empty=&flag", headers={"X-Plan": "gold", "Cookie": "theme=dark"})["request"]
    assert sent.keys() == {
        "method",
        "url",
        "httpVersion",
        "headers",
        "headersSize",
        "queryString",
        "cookies",
        "bodySize",
    }
    assert sent["method"] == "GET"
    assert sent["url"] == "http://localhost/?b=2&a=1&b=3&empty=&flag"
    assert sent["httpVersion"] == "HTTP/1.1"
    assert headers(sent)["X-Plan"] == "gold"
    assert (sent["headersSize"], sent["bodySize"], sent["cookies"]) == (-1, -1, [])


def test_the_query_string_is_pairs_in_order_without_blank_values(watch: Any) -> None:
    sent = watch().entry("/?b=2&a=1&b=3&empty=&flag&c=%20z+y")["request"]
    assert [(pair["name"], pair["value"]) for pair in sent["queryString"]] == [
        ("b", "2"),
        ("a", "1"),
        ("b", "3"),
        ("c", " z y"),
    ]


def test_a_url_is_as_people_read_it(watch: Any) -> None:
    url = watch().entry("/caf%C3%A9%20x%25;y?q=%C3%A9", base_url="https://shop.example:443/")["request"]["url"]
    assert url == "https://shop.example/café%20x%25;y?q=%C3%A9"
    assert (
        watch().entry("/", base_url="http://shop.example:8080/v1/")["request"]["url"] == "http://shop.example:8080/v1/"
    )


def test_post_data_is_there_only_with_a_body(watch: Any) -> None:
    watched = watch()
    assert "postData" not in watched.entry("/")["request"]
    assert "postData" not in watched.entry("/read", "POST")["request"]


def test_post_data_is_the_exact_text_of_the_body(watch: Any) -> None:
    text = '{"b": 1,\n  "a":2, "ü": "\\u00e9"}'
    sent = watch().entry("/read", "POST", data=text.encode(), content_type="application/json")["request"]
    assert sent["postData"] == {"mimeType": "application/json", "text": text}


def test_post_data_without_a_content_type_is_text(watch: Any) -> None:
    assert watch().entry("/read", "POST", data=b"hello")["request"]["postData"] == {
        "mimeType": "text/plain",
        "text": "hello",
    }


def test_post_data_of_a_form_is_its_params(watch: Any) -> None:
    sent = watch().entry("/form", "POST", data={"a": ["1", "2 é"], "b": ""})["request"]
    assert sent["postData"] == {
        "mimeType": "application/x-www-form-urlencoded",
        "params": [{"name": "a", "value": "1"}, {"name": "a", "value": "2 é"}, {"name": "b", "value": ""}],
    }


def test_post_data_of_multipart_is_an_empty_text(watch: Any) -> None:
    sent = watch().entry("/form", "POST", data={"file": (io.BytesIO(b"zz"), "n.txt"), "k": "v"})["request"]
    assert sent["postData"]["mimeType"].startswith("multipart/form-data; boundary=")
    assert sent["postData"]["text"] == ""


def test_what_is_not_utf_8_is_said(watch: Any) -> None:
    entry = watch().entry("/read", "POST", data=b"\xff\x00", content_type="application/octet-stream")
    assert entry["request"]["postData"]["text"] == "[NOT VALID UTF-8]"
    content = watch().entry("/bytes")["response"]["content"]
    assert content == {"text": "[NOT VALID UTF-8]", "size": 3, "mimeType": "image/png"}


def test_a_body_that_the_app_does_not_read_is_logged_where_it_is_in_memory(watch: Any) -> None:
    sent = watch().entry("/", "POST", json={"unread": True})["request"]
    assert sent["postData"]["text"] == '{"unread": true}'
    closed = watch()

    def close() -> str:
        request.environ["wsgi.input"]._stream.close()
        return "closed"

    closed.app.add_url_rule("/closed", view_func=close, methods=["POST"])
    assert closed.entry("/closed", "POST", json={})["request"]["postData"]["text"] == ""


def test_the_shape_of_a_response(watch: Any) -> None:
    answered = watch().entry()["response"]
    assert answered.keys() == {"status", "statusText", "headers", "headersSize", "bodySize", "content"}
    assert (answered["status"], answered["statusText"], answered["headersSize"]) == (200, "OK", -1)
    assert answered["content"].keys() == {"text", "size", "mimeType"}
    assert answered["content"]["text"].startswith('{"city":"Berlin"')
    assert answered["content"]["mimeType"] == "application/json"
    length = int(headers(answered)["Content-Length"])
    assert answered["bodySize"] == answered["content"]["size"] == length == len(answered["content"]["text"])


def test_the_status_text_is_upper_case(watch: Any) -> None:
    watched = watch()
    watched.app.add_url_rule("/odd", view_func=lambda: Response("", status="299 Quite fine"))
    watched.app.add_url_rule("/bare", endpoint="bare", view_func=lambda: Response("", status="201"))
    assert watched.entry("/missing")["response"]["statusText"] == "NOT FOUND"
    assert watched.entry("/odd")["response"]["statusText"] == "QUITE FINE"
    assert watched.entry("/bare")["response"]["statusText"] == "CREATED"


def test_404_500_204_and_head_are_logged(watch: Any) -> None:
    watched = watch()
    missing = watched.entry("/missing")["response"]
    assert (missing["status"], "not found" in missing["content"]["text"]) == (404, True)
    failed = watched.entry("/boom")["response"]
    assert (failed["status"], failed["statusText"]) == (500, "INTERNAL SERVER ERROR")
    empty = watched.entry("/status/204")["response"]
    assert (empty["status"], empty["bodySize"], empty["content"]["text"]) == (204, 0, "")
    head = watched.entry("/", "HEAD")
    assert (head["request"]["method"], head["response"]["status"]) == ("HEAD", 200)


def test_a_failure_that_is_not_answered_by_the_app_is_logged(watch: Any, service: ReadMe) -> None:
    watched = watch()
    watched.app.testing = True
    try:
        watched.call("/boom")
    except ValueError as error:
        assert str(error) == "boom"  # noqa: PT017 - that it is raised is seen below
    assert service.wait(1)[0]["request"]["log"]["entries"][0]["response"]["status"] == 500


def test_a_stream_is_not_buffered(watch: Any, service: ReadMe) -> None:
    watched = watch()
    made: list[int] = []

    def chunks() -> Iterator[str]:
        for number in range(3):
            made.append(number)
            yield f"chunk {number};"

    watched.app.add_url_rule("/stream", view_func=lambda: Response(chunks(), mimetype="text/plain"))
    with watched.call("/stream") as response:
        assert made == [0]  # the test client takes the first chunk, to see the status
        assert response.data == b"chunk 0;chunk 1;chunk 2;"
    answered = service.wait(1)[0]["request"]["log"]["entries"][0]["response"]
    assert answered["content"]["text"] == "chunk 0;chunk 1;chunk 2;"
    assert answered["bodySize"] == 24


def test_an_error_that_streams_is_not_buffered(watch: Any, service: ReadMe) -> None:
    watched = watch()
    made: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield b"x"

    def view() -> Response:
        return Response(ClosingIterator(chunks()), status=502)

    watched.app.add_url_rule("/stream", view_func=view)
    with watched.call("/stream") as response:
        assert made == [0]
        assert response.data == b"xxx"
    assert service.wait(1)[0]["request"]["log"]["entries"][0]["response"]["content"]["text"] == "xxx"


def test_of_a_long_body_the_beginning_is_logged(watch: Any) -> None:
    watched = watch()
    long = "é" * 2**20
    watched.app.add_url_rule("/long", view_func=lambda: long)
    answered = watched.entry("/long")["response"]
    assert answered["content"]["text"] == "é" * 2**19
    assert answered["bodySize"] == 2**21
    sent = watched.entry("/read", "POST", data=b"x" + long.encode())["request"]
    assert sent["postData"]["text"] == "x" + "é" * (2**19 - 1)
    form = watched.entry("/read", "POST", data="a=1&b=" + "x" * 2**20, content_type="application/x-www-form-urlencoded")
    assert form["request"]["postData"]["params"] == [{"name": "a", "value": "1"}]


def test_a_large_answer_is_not_copied(watch: Any, service: ReadMe) -> None:
    watched = watch()
    chunks = [bytes(2**20)] * 64
    watched.app.add_url_rule("/large", view_func=lambda: Response(chunks))
    tracemalloc.start()
    try:
        result = watched.app(create_environ("/large"), lambda *_: None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20
    assert sum(map(len, result)) == 64 * 2**20
    result.close()
    (log,) = service.wait(1)
    answered = log["request"]["log"]["entries"][0]["response"]
    assert (answered["bodySize"], len(answered["content"]["text"])) == (64 * 2**20, 2**20)


def test_headers_that_repeat_are_all_there(watch: Any) -> None:
    watched = watch()
    response = Response("x", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    watched.app.add_url_rule("/cookies", view_func=lambda: response)
    answered = watched.entry("/cookies")["response"]
    assert [header["value"] for header in answered["headers"] if header["name"] == "Set-Cookie"] == ["a=1", "b=2"]


def test_with_a_base_log_url_the_answer_says_where_its_log_is(watch: Any, service: ReadMe) -> None:
    watched = watch(base_log_url="https://docs.example.com")
    response = watched.call()
    log = service.wait(1)[0]
    assert response.headers["x-documentation-url"] == f"https://docs.example.com/logs/{log['_id']}"
    plain = watch().call()
    assert "x-documentation-url" not in plain.headers


def test_a_link_that_cannot_be_made_harms_nobody(watch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = watch(base_log_url="https://docs.example.com")
    monkeypatch.setattr(watched.metrics, "_noted", [])
    assert watched.call().status_code == 200
    assert watched.metrics.stats().errors["observe"] >= 1


def test_a_label_that_json_cannot_say_is_told_as_text(watch: Any) -> None:
    watched = watch(grouping_function=lambda _: {"id": "1234", "label": uuid.UUID(int=1).bytes.hex, "email": "\ud800"})
    group = watched.log()["group"]
    assert "hex" in group["label"]
    assert group["email"] == "\ud800"


def test_a_query_that_is_not_utf_8_is_logged(watch: Any) -> None:
    environ = {"QUERY_STRING": "city=\xff\xe9", "PATH_INFO": "/"}
    sent = watch().entry("/", environ_overrides=environ)["request"]
    assert sent["queryString"][0]["name"] == "city"


def test_it_works_behind_a_real_server_and_middleware(watch: Any, service: ReadMe) -> None:
    watched = watch()
    inner = watched.app.wsgi_app
    watched.app.wsgi_app = lambda environ, start: inner(dict(environ), start)
    server = make_server("127.0.0.1", 0, watched.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("POST", "/read", b"hello", {"Content-Type": "text/plain"})
        assert connection.getresponse().read() == b"5"
        connection.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    entry = service.wait(1)[0]["request"]["log"]["entries"][0]
    assert entry["request"]["postData"]["text"] == "hello"
    assert entry["request"]["url"] == f"http://127.0.0.1:{server.port}/read"


def test_a_middleware_that_copies_the_environ_is_in_nobodys_way(watch: Any, service: ReadMe) -> None:
    watched = watch()
    app = make_app()
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start_response: inner(  # type: ignore[method-assign]  # how Flask takes a middleware
        dict(environ), start_response
    )
    watched.metrics.init_app(app)
    app.test_client().get("/status/204", buffered=True)
    (log,) = service.wait(1)
    assert log["request"]["log"]["entries"][0]["response"]["status"] == 204


def test_two_extensions_on_one_app_log_each_for_itself(watch: Any, service: ReadMe) -> None:
    watched = watch()
    other = ReadMeMetrics(MetricsApiConfig("other", lambda _: {"id": "abcdefgh"}, buffer_length=1), watched.app)
    watched.call()
    assert {log["group"]["id"][-4:] for log in service.wait(2)} == {"-key", "efgh"}
    assert other.close(1)
    assert {post.headers["Authorization"] for post in service.posts} == {
        f"Basic {base64.b64encode(key).decode()}" for key in (b"rdme_key:", b"other:")
    }


def test_what_no_flask_app_answered_is_not_logged(watch: Any, service: ReadMe) -> None:
    app = Flask("outer")

    def maintenance(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("503 SERVICE UNAVAILABLE", [("Content-Length", "0")])
        return [b""]

    watched = watch()
    app.wsgi_app = maintenance  # type: ignore[method-assign,assignment]  # how Flask takes a middleware
    watched.metrics.init_app(app)
    assert run_wsgi_app(app, create_environ("/"), buffered=True)[1] == "503 SERVICE UNAVAILABLE"
    assert watched.metrics.stats().excluded == 1
    assert service.posts == []


def test_an_answer_that_is_begun_twice_is_logged_once(watch: Any, service: ReadMe) -> None:
    watched = watch()
    app = make_app()
    inner = app.wsgi_app

    def replaced(environ: Any, start_response: Any) -> list[bytes]:
        list(inner(environ, start_response))
        start_response("502 BAD GATEWAY", [("Content-Length", "0")], (None, None, None))
        return [b""]

    app.wsgi_app = replaced  # type: ignore[method-assign]  # how Flask takes a middleware
    watched.metrics.init_app(app)
    statuses: list[str] = []

    def start(status: str, *_: object) -> Any:
        statuses.append(status)

    result = app(create_environ("/"), start)
    assert list(result) == [b""]
    assert statuses == ["200 OK", "502 BAD GATEWAY"]
    assert len(service.wait(1)) == 1


def test_it_stands_beside_tollkeepers_own_door(watch: Any, service: ReadMe) -> None:
    watched = watch()
    sink = MemorySink()
    keeper = Tollkeeper(watched.app, sink=sink, identify=lambda _: "ann")
    for path in ("/", "/missing", "/boom"):
        watched.call(path, buffered=True)
    assert keeper.close()
    assert [event.status_code for event in sink.events] == [200, 404, 500]
    assert {event.consumer and event.consumer.key for event in sink.events} == {"ann"}
    statuses = [log["request"]["log"]["entries"][0]["response"]["status"] for log in service.wait(3)]
    assert statuses == [200, 404, 500]


def test_a_fault_of_ours_while_the_app_fails_leaves_its_exception_alone(
    watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch()
    monkeypatch.setattr(watched.metrics, "_noted", [])
    assert watched.call("/boom").status_code == 500
    assert watched.metrics.stats().errors["observe"] >= 2
