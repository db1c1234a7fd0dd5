"""The chest that is any HTTP endpoint, against a real server."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from compat.flask_chest.apps import make_app
from support.receiver import Receiver
from tollkeeper.compat.flask_chest import FlaskChestCustomWriter
from tollkeeper.errors import ConfigurationError, SinkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONE = [("user", "ada", "17")]


def as_given(variables: list[tuple[str, Any, str]]) -> Any:
    return variables


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


def test_the_defaults_are_those_of_the_document(receiver: Receiver) -> None:
    chest = FlaskChestCustomWriter(receiver.url, as_given)
    assert (chest.name, chest.verify, chest.success_status_codes) == (receiver.url, False, [200])
    named = FlaskChestCustomWriter(
        url=receiver.url,
        payload_generator=as_given,
        name="shop",
        headers=None,
        params=None,
        proxies=None,
        verify=False,
        success_status_codes=[200, 201],
        logger=None,
    )
    assert named.name == "shop"


def test_the_result_of_the_generator_is_posted_as_a_json_body(receiver: Receiver) -> None:
    chest = FlaskChestCustomWriter(receiver.url + "/usage", as_given)
    variables = {"user": "ada", "basket": {"lines": [1]}, "zero": 0}
    app = make_app([chest], variables, request_id_generator=lambda: "17")
    assert app.test_client().get("/").status_code == 200
    (taken,) = receiver.requests
    assert (taken.method, taken.target, taken.headers["Content-Type"]) == ("POST", "/usage", "application/json")
    assert json.loads(taken.body) == [["user", "ada", "17"], ["basket", {"lines": [1]}, "17"], ["zero", 0, "17"]]


def test_the_generator_gets_a_list_of_tuples_once_a_decorated_request(receiver: Receiver) -> None:
    given: list[Any] = []
    chest = FlaskChestCustomWriter(receiver.url, given.append)
    client = make_app(
        [chest], {"a": 1}, {"GET": ["b", "a"], "POST": []}, request_id_generator=lambda: "17"
    ).test_client()
    client.get("/")
    client.post("/")
    assert given == [[("a", 1, "17")], []]
    assert isinstance(given[0][0], tuple)
    assert [taken.body for taken in receiver.requests] == [b"null", b"null"]


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        ("Hello, World!", b'"Hello, World!"'),
        ("17", b'"17"'),
        ('{"made": "by json.dumps"}', b'{"made": "by json.dumps"}'),
        (b"[1]", b"[1]"),
        ({0: ("a", 1, "17")}, b'{"0":["a",1,"17"]}'),
        (None, b"null"),
        (1.5, b"1.5"),
    ],
)
def test_what_json_can_hold_may_be_returned(receiver: Receiver, payload: Any, body: bytes) -> None:
    FlaskChestCustomWriter(receiver.url, lambda _: payload).write(ONE)
    assert receiver.requests[0].body == body


def test_headers_and_parameters_are_sent(receiver: Receiver) -> None:
    chest = FlaskChestCustomWriter(
        f"{receiver.url}/ü?a=1",
        as_given,
        headers={"X-Token": "t", "content-type": "text/x"},
        params={"b": ["2", 3], "c": None},
    )
    chest.write(ONE)
    for params in ("b=2", b"b=2", [("b", "2")]):
        FlaskChestCustomWriter(receiver.url, as_given, params=params).write(ONE)
    taken = receiver.requests[0]
    assert taken.target == "/%C3%BC?a=1&b=2&b=3"
    assert (taken.headers["X-Token"], taken.headers.get_all("Content-Type")) == ("t", ["text/x"])
    assert [taken.target for taken in receiver.requests[1:]] == ["/?b=2"] * 3


def test_secrets_in_the_url_are_shown_nowhere_and_a_password_logs_in(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "flask_chest")
    url = receiver.url.replace("://", "://me:s3cret%40x@") + "/s3cret0/in?api_key=s3cret2"
    chest = FlaskChestCustomWriter(url, as_given, headers={"Authorization-2": "s3cret3"})
    chest.write(ONE)
    assert receiver.requests[0].headers["Authorization"] == "Basic bWU6czNjcmV0QHg="
    receiver.replies = [(500, {}, b"api_key=s3cret4")]
    with pytest.raises(SinkError) as refused:
        chest.write(ONE)
    receiver.stop()
    with pytest.raises(SinkError) as unreachable:
        chest.write(ONE)
    assert unreachable.value.__context__ is None, "a report of errors would show it, with the address in its text"
    for shown in (caplog.text, str(chest), str(chest.to_dict()), str(refused.value), str(unreachable.value)):
        assert "s3cret" not in shown


def test_proxies_are_used(receiver: Receiver) -> None:
    chest = FlaskChestCustomWriter("http://nowhere.invalid/in", as_given, proxies={"http": receiver.url})
    chest.write(ONE)
    assert receiver.requests[0].target == "http://nowhere.invalid/in"


def test_another_status_is_an_error_that_names_it(receiver: Receiver) -> None:
    receiver.replies = [(201, {}, b"made"), (302, {"Location": "/elsewhere"}, b""), (503, {}, b"closed today")]
    chest = FlaskChestCustomWriter(receiver.url, as_given)
    for status, text in ((201, "made"), (302, ""), (503, "closed today")):
        with pytest.raises(SinkError, match=rf"answered {status}, .*\[200\]: .*{text}"):
            chest.write(ONE)
    assert len(receiver.requests) == 3, "a redirect is not followed"


def test_success_status_codes_are_success(receiver: Receiver) -> None:
    receiver.replies = [(201, {}, b""), (404, {}, b"")]
    chest = FlaskChestCustomWriter(receiver.url, as_given, success_status_codes=[201, 404])
    chest.write(ONE)
    chest.write(ONE)
    with pytest.raises(SinkError, match="answered 200"):
        chest.write(ONE)


def test_a_generator_that_fails_is_named(receiver: Receiver) -> None:
    def fail(_: Any) -> Any:
        raise ValueError("no lines")

    with pytest.raises(SinkError, match=r"payload_generator .* failed: ValueError"):
        FlaskChestCustomWriter(receiver.url, fail).write(ONE)
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(SinkError, match=r"payload_generator .* JSON"):
        FlaskChestCustomWriter(receiver.url, lambda _: endless).write(ONE)
    assert receiver.requests == []


def test_there_is_a_timeout_always() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert FlaskChestCustomWriter(url, as_given).timeout == 10
        began = time.monotonic()
        with pytest.raises(SinkError, match="TimeoutError"):
            FlaskChestCustomWriter(url, as_given, timeout=0.1).write(ONE)
        assert time.monotonic() - began < 5


def test_an_endless_answer_is_not_read() -> None:
    class Endless(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(500)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 2**16)
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    with listening(Endless) as server:
        with pytest.raises(SinkError, match="answered 500") as caught:
            FlaskChestCustomWriter(f"http://127.0.0.1:{server.server_port}", as_given).write(ONE)
        assert len(str(caught.value)) < 1000


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_verify_checks_the_certificate_and_false_does_not(tmp_path: Path) -> None:
    class Ok(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with listening(Ok, context) as server:
        url = f"https://127.0.0.1:{server.server_port}"
        FlaskChestCustomWriter(url, as_given, verify=False).write(ONE)
        FlaskChestCustomWriter(url, as_given, verify=str(tmp_path / "ca.pem")).write(ONE)
        with pytest.raises(SinkError, match="SSLCertVerificationError"):
            FlaskChestCustomWriter(url, as_given, verify=True).write(ONE)
    with pytest.raises(ConfigurationError, match="no file of certificates"):
        FlaskChestCustomWriter(url, as_given, verify=str(tmp_path / "nothing.pem"))


def test_verify_false_is_warned_of_once(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    chest = FlaskChestCustomWriter(receiver.url, as_given)
    chest.write(ONE)
    chest.write(ONE)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "verify=True" in caplog.text
    caplog.clear()
    FlaskChestCustomWriter(receiver.url, as_given, verify=True).write(ONE)
    assert caplog.records == []


def test_the_logger_gets_info_debug_and_error(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("mine")
    logger.setLevel(logging.DEBUG)
    chest = FlaskChestCustomWriter(receiver.url, as_given, verify=True, logger=logger)
    client = make_app([chest], {"a": "s3cret"}, raise_exceptions=False).test_client()
    client.get("/")
    receiver.replies = [(500, {}, b"")]
    client.get("/")
    assert {record.name for record in caplog.records} == {"mine"}
    assert {record.levelname for record in caplog.records} == {"INFO", "DEBUG", "ERROR"}
    assert "s3cret" not in caplog.text
    assert chest.lost == 1


@pytest.mark.parametrize("url", ["", "ftp://s3cret.example", "http://", "http://[s3cret", "http://h:s3cret"])
def test_a_url_of_no_http_endpoint_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be http://") as caught:
        FlaskChestCustomWriter(url, as_given)
    assert "s3cret" not in str(caught.value)
