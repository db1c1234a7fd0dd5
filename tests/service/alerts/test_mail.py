from __future__ import annotations

import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.alerts import make_message
from support.mailbox import Mailbox, authority
from tollkeeper.errors import ConfigurationError, SinkError, UnprocessableError
from tollkeeper.service.alerts.letter import check_address, letter_for
from tollkeeper.service.alerts.post_office import mail, mail_server
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

    import trustme

SETTINGS = Settings(mail_from="Tolls <alerts@shop.example>", public_url="https://tolls.shop.example/")
LOGIN = "alerts:se%20cret%25%2F%40%3A"
QUOTA = {
    "kind": "quota",
    "rule": "Quotas",
    "customer": "cus_1",
    "customer_name": "Ännchen & <b>Söhne</b>",
    "limit": "orders all month",
    "used": 8_000,
    "allowed": 10_000,
    "share": 0.8,
    "starts_at": "2026-11-01T00:00:00+01:00",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("authority")


@pytest.fixture(scope="module")
def ca(folder: Path) -> trustme.CA:
    return authority(folder)


@pytest.fixture
def trusted(ca: trustme.CA, folder: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    return ca


def letter(document: dict[str, Any] | None = None) -> EmailMessage:
    return letter_for(make_message(document or QUOTA), "ops@shop.example", SETTINGS)


def refused(url: str) -> SinkError:
    with pytest.raises(SinkError) as caught:
        mail(mail_server(url), letter(), seconds=2)
    assert "cret" not in caught.value.detail
    return caught.value


@pytest.mark.filterwarnings(
    "ignore:Requiring AUTH while not requiring TLS:UserWarning"
)  # it does not see that TLS is there
@pytest.mark.parametrize("implicit", [False, True])
def test_a_letter_goes_by_tls_and_login(trusted: trustme.CA, *, implicit: bool) -> None:
    with Mailbox().open(trusted, implicit=implicit) as box:
        mail(mail_server(f"smtp{'s' if implicit else ''}://{LOGIN}@127.0.0.1:{box.port}"), letter())
    assert box.logins == [("alerts", "se cret%/@:")]
    assert box.encrypted == [True]
    assert box.recipients == ["ops@shop.example"]
    (taken,) = box.letters
    assert taken["Subject"] == "Ännchen & <b>Söhne</b> has used 80% of orders all month"
    assert taken["From"] == "Tolls <alerts@shop.example>"
    assert taken["To"] == "ops@shop.example"
    assert taken["Message-ID"] == "<msg_1@shop.example>"
    assert taken["Auto-Submitted"] == "auto-generated"
    text, html = (taken.get_body([kind]) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert "Ännchen & <b>Söhne</b>" in text.get_content()
    assert "https://tolls.shop.example/customers/cus_1" in text.get_content()
    assert "Ännchen &amp; &lt;b&gt;Söhne&lt;/b&gt;" in html.get_content()
    assert "<b>" not in html.get_content()
    assert 'href="https://tolls.shop.example/customers/cus_1"' in html.get_content()
    assert "8,000 of 10,000 units are gone" in text.get_content()
    assert "2026-10-31 23:00 UTC" in text.get_content()


def test_a_wrong_password_says_so_without_it(trusted: trustme.CA) -> None:
    with Mailbox().open(trusted) as box:
        error = refused(f"smtp://alerts:sicret@127.0.0.1:{box.port}")
    assert "refuses the login (535)" in error.detail
    assert error.retry
    assert box.letters == []


def test_a_certificate_of_nobody_known_gets_no_password(ca: trustme.CA) -> None:
    with Mailbox().open(ca) as box:
        assert "certificate" in refused(f"smtp://{LOGIN}@127.0.0.1:{box.port}").detail
    assert box.logins == []


def test_a_certificate_of_another_name_gets_no_password(trusted: trustme.CA) -> None:
    with Mailbox().open(trusted, name="other.example") as box:
        assert "certificate" in refused(f"smtp://{LOGIN}@127.0.0.1:{box.port}").detail
    assert box.logins == []


def test_a_server_without_starttls_gets_neither_password_nor_letter() -> None:
    with Mailbox().open(None) as box:
        assert "no STARTTLS" in refused(f"smtp://{LOGIN}@127.0.0.1:{box.port}").detail
        assert "no STARTTLS" in refused(f"smtp://user@localhost:{box.port}").detail
    assert (box.logins, box.letters) == ([], [])


def test_a_relay_on_this_machine_needs_neither_tls_nor_login() -> None:
    with Mailbox().open(None) as box:
        mail(mail_server(f"smtp://127.0.0.1:{box.port}"), letter())
    assert len(box.letters) == 1
    assert not mail_server("smtp://relay.example").trusted


@pytest.mark.parametrize(("answer", "retry"), [("451 later", True), ("554 spam", False)])
def test_what_the_server_says_decides_on_another_try(answer: str, *, retry: bool) -> None:
    with Mailbox().open(None) as box:
        box.refuse = answer
        assert refused(f"smtp://127.0.0.1:{box.port}").retry == retry
        box.refuse_recipient = answer
        error = refused(f"smtp://127.0.0.1:{box.port}")
    assert error.retry == retry
    assert "recipient" in error.detail


@pytest.mark.parametrize(
    ("answers", "detail"),
    [
        (["554 too many connections"], "answered 554"),
        (["220 hi", "550 who are you", "550 who are you"], "answered 550"),
        (["220 hi", "250 ok", "530 5.7.0 authentication required"], "refuses the sender (530)"),
        (["220 hi", "250-hi\r\n250 STARTTLS", "554 no TLS today"], "answered 554"),
    ],
)
def test_what_a_server_has_against_us_is_not_about_the_letter(answers: list[str], detail: str) -> None:
    def speak(listener: socket.socket) -> None:
        listener.settimeout(20)  # who gives up before it connects must not leave us here
        found, _ = listener.accept()
        with closing(found), found.makefile("rwb", buffering=0) as stream:
            for answer in answers:
                stream.write(answer.encode() + b"\r\n")
                stream.readline()

    login = "u:cret@" if "TLS" in answers[-1] else ""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=speak, args=(listener,))
        thread.start()
        error = refused(f"smtp://{login}127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert detail in error.detail
    assert error.retry


def test_a_server_that_is_not_there_or_speaks_otherwise_is_tried_again() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    assert "cannot be reached" in refused(f"smtp://127.0.0.1:{port}").detail

    def babble(listener: socket.socket) -> None:
        listener.settimeout(20)  # who gives up before it connects must not leave us here
        found, _ = listener.accept()
        with closing(found):
            found.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=babble, args=(listener,))
        thread.start()
        assert refused(f"smtps://127.0.0.1:{listener.getsockname()[1]}").retry
        thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example:port",
        "smtp://mail.example:99999",
        "smtp://u:se cret@mail.example/inbox",
        "smtp://u:secret@mail.example?tls=no",
        "smtp://u:secret@mail.example#x",
        "smtp://u:secr%C3%A4t@mail.example",
        "smtp://[::1",
    ],
)
def test_what_is_no_mail_server_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mail_server(url)
    assert "secr" not in caught.value.detail


def test_ports_go_without_saying() -> None:
    assert mail_server("smtp://mail.example").port == 587
    assert "secret" not in repr(mail_server("smtp://u:secret@mail.example"))
    assert mail_server("smtps://u:p@mail.example").port == 465
    assert "word" not in mail_server("smtps://u@mail.example").password


def test_without_a_sender_there_is_no_letter() -> None:
    for sender in ("", "nobody", "ä@shop.example"):
        with pytest.raises(ConfigurationError, match="mail_from"):
            letter_for(make_message(), "ops@shop.example", Settings(mail_from=sender))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ops",
        "@shop.example",
        "ops@",
        "ops@shop.example\n",
        "ops@shop.example\r\nBcc: all@shop.example",
        "ops@shop.example, all@shop.example",
        "Ops <ops@shop.example>",
        "ops@@shop.example",
        "öps@shop.example",
        "ops@shop..example",
        "o" * 65 + "@shop.example",
        "o@" + ".".join(["a" * 60] * 5),
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UnprocessableError):
        check_address(address)
    with pytest.raises(UnprocessableError):
        letter_for(make_message(), address, SETTINGS)


TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["x\r\nBcc: a@b", "\n\nbody", "a\u2028b", "\x00", "=?utf-8?q?x?=", "<script>", "{headline}", "…" * 300]
)


@given(
    kind=TEXTS | st.sampled_from(["quota", "error_rate", "latency", "silence", "invalid_subscription", "quota_reset"]),
    document=st.dictionaries(
        TEXTS
        | st.sampled_from(
            [
                "api",
                "endpoint",
                "customer",
                "customer_name",
                "rule",
                "code",
                "limit",
                "used",
                "share",
                "ends_at",
                "last_seen",
            ]
        ),
        TEXTS | st.integers(-(2**60), 2**60) | st.floats() | st.none() | st.booleans() | st.lists(TEXTS, max_size=2),
    ),
    public_url=TEXTS,
)
@example(kind="quota", document={"customer_name": "A\r\nBcc: everybody@shop.example\r\n\r\nHello"}, public_url="")
@example(kind="invalid_subscription", document={"code": []}, public_url="")
@example(kind="\ud800", document={"rule": "\ud800", "api": "\udfff"}, public_url='https://x"><script>')
def test_nobody_can_write_a_header_or_a_tag(kind: str, document: dict[str, Any], public_url: str) -> None:
    settings = Settings(mail_from="alerts@shop.example", public_url=public_url)
    found = letter_for(make_message(document | {"kind": kind}), "ops@shop.example", settings)
    sent = found.as_bytes()
    head, _, _ = sent.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert names == [
        b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted", b"MIME-Version", b"Content-Type",
    ]  # fmt: skip
    html = found.get_body(["html"])
    assert html is not None
    assert "<script" not in html.get_content()
    assert b"\0" not in sent


@pytest.mark.parametrize(
    ("document", "headline"),
    [
        ({"kind": "test", "channel": "ops"}, "This is a test"),
        (QUOTA | {"share": 1.0}, "Ännchen & <b>Söhne</b> has used 100% of orders all month"),
        ({"kind": "quota_reset", "limit": "all day"}, "A period of all day is over for A customer"),
        (
            {"kind": "error_rate", "api": "orders", "endpoint": "/orders", "error_rate": 0.123, "threshold": 0.05},
            "12.3% of requests to orders /orders fail",
        ),
        (
            {"kind": "latency", "latency_p95": 1.23456, "customer_name": "Acme", "threshold": 1.0},
            "all APIs by Acme takes 1.23 s",
        ),
        ({"kind": "silence", "api": "orders", "minutes": 5}, "No requests to orders for 5 minutes"),
        (
            {"kind": "invalid_subscription", "code": "no_subscription", "customer_name": "Acme"},
            "Acme called without a subscription",
        ),
        (
            {"kind": "invalid_subscription", "code": "api_key_revoked", "customer_name": "Acme"},
            "Acme called with a key out of force",
        ),
        (
            {"kind": "invalid_subscription", "code": "unknown_api_key"},
            "A key that is not registered was used",
        ),
        ({}, "This is a test"),
        ({"kind": "news"}, "Alert: news"),
    ],
)
def test_each_kind_has_its_words(document: dict[str, Any], headline: str) -> None:
    assert letter_for(make_message(document), "ops@shop.example", SETTINGS)["Subject"] == headline
