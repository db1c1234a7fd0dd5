from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

PAGES = ["/", "/requests", "/requests/newer", "/requests/1", "/endpoints", "/nowhere"]
FILES = ["/consumers.csv", "/endpoints.csv", "/requests.csv"]


@pytest.mark.parametrize("path", PAGES + FILES)
def test_a_stranger_gets_the_login_page(anonymous: TestClient[Litestar], path: str) -> None:
    answer = anonymous.get(path)
    assert answer.status_code == 401
    assert "Log in" in answer.text
    assert f'value="{path}"' in answer.text


def test_a_token_logs_in_and_goes_on_to_the_page_that_was_asked_for(
    service: Service, anonymous: TestClient[Litestar]
) -> None:
    secret = service.access.create_token("me", "read")
    answer = anonymous.post("/login", data={"token": f" {secret} ", "next": "/endpoints?range=7d"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/endpoints?range=7d")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/;" in cookie
    assert "Secure" not in cookie
    assert secret not in cookie
    assert anonymous.get("/").status_code == 200


def test_the_cookie_is_secure_on_https(service: Service, make_client: Callable[..., TestClient[Litestar]]) -> None:
    client = make_client(base_url="https://testserver.local")
    answer = client.post("/login", data={"token": service.access.create_token("me", "read")})
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/a\r\nX: 1", "evil"],
)
def test_a_login_never_leads_elsewhere(service: Service, anonymous: TestClient[Litestar], target: str) -> None:
    secret = service.access.create_token("me", "admin")
    answer = anonymous.post("/login", data={"token": secret, "next": target})
    assert answer.headers["location"] == "/"


def test_a_wrong_token_says_so(anonymous: TestClient[Litestar]) -> None:
    answer = anonymous.post("/login", data={"token": "tkt_wrong", "next": "/requests"})
    assert answer.status_code == 401
    assert "not known" in answer.text
    assert 'value="/requests"' in answer.text
    assert "set-cookie" not in answer.headers


def test_no_token_says_so(anonymous: TestClient[Litestar]) -> None:
    answer = anonymous.post("/login", data={"token": ""})
    assert answer.status_code == 401
    assert "Paste a token" in answer.text


def test_a_token_that_may_only_ingest_is_refused(service: Service, anonymous: TestClient[Litestar]) -> None:
    answer = anonymous.post("/login", data={"token": service.access.create_token("app", "ingest")})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_looking_at_a_link_does_not_use_it_up(service: Service, anonymous: TestClient[Litestar]) -> None:
    secret = service.access.create_token("me", "read")
    code = service.access.create_login_link(service.access.authorize(secret, "read"))
    for _ in range(3):
        page = anonymous.get(f"/login/{code}")
        assert page.status_code == 200
        assert page.headers["referrer-policy"] == "no-referrer"
        assert f'action="/login/{code}"' in page.text
    answer = anonymous.post(f"/login/{code}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert anonymous.get("/").status_code == 200
    again = anonymous.post(f"/login/{code}")
    assert again.status_code == 401
    assert "used already" in again.text


def test_a_link_that_fails_leaves_its_code_out_of_the_log(
    anonymous: TestClient[Litestar],
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(type(service.access), "log_in_by_link", fail)
    assert anonymous.post("/login/unused-code").status_code == 500
    assert "POST /login/{code} failed" in caplog.text
    assert not [record for record in caplog.records if record.name[:10] == "tollkeeper" and "unused" in record.message]


def test_logging_out_ends_the_session(service: Service, client: TestClient[Litestar]) -> None:
    session = client.cookies["tollkeeper_session"]
    answer = client.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    client.cookies.set("tollkeeper_session", session)
    assert client.get("/").status_code == 401
    assert client.post("/logout").status_code == 303
    assert service.catalog.tokens()


def test_a_fragment_without_a_session_reloads_the_page(anonymous: TestClient[Litestar]) -> None:
    answer = anonymous.get("/requests/newer", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-refresh"]) == (401, "true")
