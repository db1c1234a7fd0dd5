from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from support.alerts import make_message
from support.mailbox import authority
from support.receiver import Receiver
from tollkeeper.errors import SinkError, UnprocessableError
from tollkeeper.service.alerts.signing import SigningSecret, make_secret
from tollkeeper.service.alerts.webhook import Target, check_url, payload, post

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = make_secret()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


def target(url: str, **given: object) -> Target:
    return Target(**{"url": url, "secrets": [SigningSecret(SECRET)], "private": True, "seconds": 5.0} | given)  # type: ignore[arg-type]  # as given


def send(url: str, **given: object) -> None:
    post(target(url, **given), make_message({"kind": "quota", "used": 80}), now=int(time.time()))


def refused(url: str, **given: object) -> SinkError:
    with pytest.raises(SinkError) as caught:
        send(url, **given)
    return caught.value


def test_a_receiver_can_verify_what_it_gets(receiver: Receiver) -> None:
    send(f"{receiver.url}/alerts?team=ops", secrets=[SigningSecret(make_secret()), SigningSecret(SECRET)])
    (taken,) = receiver.requests
    assert (taken.method, taken.target) == ("POST", "/alerts?team=ops")
    assert taken.headers["Host"] == receiver.url.removeprefix("http://")
    assert taken.headers["Content-Type"] == "application/json"
    found = Webhook(SECRET).verify(taken.body, dict(taken.headers.items()))
    assert found["type"] == "alert.quota"
    assert found["data"] == {"used": 80}
    assert taken.headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize(
    ("status", "headers", "retry", "wait"),
    [
        (400, {}, True, None),
        (410, {}, False, None),
        (429, {"Retry-After": "30"}, True, 30),
        (503, {"Retry-After": "99999999"}, True, 3600),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, True, None),
    ],
)
def test_what_is_not_taken_says_whether_to_try_again(
    receiver: Receiver, status: int, headers: dict[str, str], *, retry: bool, wait: float | None
) -> None:
    receiver.replies = [(status, headers, b"insides of the receiver")]
    error = refused(receiver.url)
    assert (error.retry, error.retry_after) == (retry, wait)
    assert error.detail == f"It answered {status}."


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.replies = [(302, {"Location": f"{receiver.url}/elsewhere"}, b"")]
    assert "redirects are not followed" in refused(receiver.url).detail
    assert len(receiver.requests) == 1


def test_a_receiver_that_hangs_up_or_is_not_there_is_tried_again(receiver: Receiver) -> None:
    receiver.replies = [None]
    assert refused(receiver.url).retry
    receiver.stop()
    error = refused(receiver.url)
    assert error.retry
    assert "cannot be reached" in error.detail


def test_private_addresses_are_refused_without_the_setting(receiver: Receiver) -> None:
    by_name = receiver.url.replace("127.0.0.1", "localhost")
    assert "not public" in refused(by_name, private=False).detail
    with pytest.raises(UnprocessableError, match="not public"):
        send(receiver.url, private=False)
    assert receiver.connections == 0


def test_a_name_is_asked_for_once_so_that_it_cannot_lead_elsewhere_the_second_time(receiver: Receiver) -> None:
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    send(receiver.url.replace("127.0.0.1", "rebind.example"), resolve=rebinding)
    assert asked == ["rebind.example"]
    assert receiver.requests[0].headers["Host"].startswith("rebind.example:")


def test_the_first_answer_decides_when_it_is_the_bad_one(receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "rebind.example")
    assert not refused(url, resolve=lambda *_: ["169.254.169.254"]).retry
    assert not refused(url, private=False, resolve=lambda *_: ["::ffff:127.0.0.1"]).retry
    assert receiver.connections == 0


@contextmanager
def tls_receiver(folder: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    """A receiver behind TLS for a name; its port, and the names that were asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority(folder).issue_cert(name).configure_cert(context)
    names: list[str] = []
    context.sni_callback = lambda _socket, found, _context: names.append(str(found))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            names.append(self.headers["Host"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def get_request(self) -> tuple[socket.socket, object]:
            found, address = super().get_request()
            return context.wrap_socket(found, server_side=True), address

        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1], names
        server.shutdown()
        thread.join()


def test_tls_is_for_the_name_at_the_pinned_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_receiver(tmp_path, "hooks.example") as (port, names):
        at_home = {"resolve": lambda *_: ["127.0.0.1"]}
        assert "certificate" in refused(f"https://hooks.example:{port}/", **at_home).detail
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        names.clear()
        send(f"https://hooks.example:{port}/", **at_home)
        assert names == ["hooks.example", f"hooks.example:{port}"]
        assert "certificate" in refused(f"https://other.example:{port}/", **at_home).detail


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_receiver_that_drips_is_cut_off(scheme: str) -> None:
    over = threading.Event()

    def drip(listener: socket.socket) -> None:
        listener.settimeout(20)  # who gives up before it connects must not leave us here
        found, _ = listener.accept()
        with closing(found):
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000:
                if over.is_set():
                    return
                try:
                    found.send(bytes([byte]) if scheme == "http" else b"\x16\x03\x03\x40\x00"[:1])
                except OSError:
                    return
                over.wait(0.05)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        begin = time.monotonic()
        error = refused(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.3)
        assert time.monotonic() - begin < 3
        over.set()
        thread.join()
    assert error.retry


def test_a_peer_that_never_answers_is_cut_off() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        begin = time.monotonic()
        assert refused(f"http://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.2).retry
        assert time.monotonic() - begin < 3


def test_an_endless_answer_is_not_read(receiver: Receiver) -> None:
    receiver.replies = [(200, {"X": "y" * 70_000}, b"")]
    assert refused(receiver.url).retry
    receiver.replies = [(200, {"Content-Length": "999999999999"}, b"never read to its end")]
    send(receiver.url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.org",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "http:///path",
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://@example.com/",
        "https://example.com/#part",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:port/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
        "https://example.com/\n",
        "https://bücher.example/",
        "https://[::1/",
        "https://" + "a" * 2050,
        "http://127.0.0.1/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_what_is_no_url_for_webhooks_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UnprocessableError) as caught:
        check_url(url, private=False)
    assert len(url) < 8 or url not in caught.value.detail


def test_urls_for_webhooks_are_taken() -> None:
    for url in ("https://example.com", "http://example.com:8080/a?b=c", "https://8.8.8.8/", "https://[2606:4700::1]/"):
        assert check_url(url, private=False) == url
    assert check_url("http://127.0.0.1/", private=True)


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com/{text}"):
        with suppress(UnprocessableError):
            assert check_url(url, private=False).isprintable()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(TEXTS, TEXTS | st.integers(-(2**53), 2**53) | st.none()))
def test_any_document_is_the_same_body_in_every_try(document: dict[str, object]) -> None:
    message = make_message(document)
    assert payload(message) == payload(message)
    data = msgspec.json.decode(payload(message))["data"]
    assert data == {name: value for name, value in document.items() if name != "kind"}
