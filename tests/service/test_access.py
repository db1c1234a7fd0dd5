from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tollkeeper.errors import AuthenticationError, PermissionDeniedError, UnprocessableError
from tollkeeper.service.access import Access
from tollkeeper.settings import Settings
from tollkeeper.store.engines import open_stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.store.protocols import Catalog


@pytest.fixture(params=["memory", "sqlite"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    url = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/store.db"
    events, catalog = open_stores(url)
    yield catalog
    events.close()
    catalog.close()


@pytest.fixture
def access(catalog: Catalog) -> Access:
    return Access(catalog, Settings())


def test_a_scope_reaches_as_far_as_it_says(access: Access) -> None:
    ingest, read, admin = (access.create_token(scope, scope) for scope in ("ingest", "read", "admin"))

    assert access.authorize(ingest, "ingest").name == "ingest"
    assert access.authorize(read, "read").scope == "read"
    for scope in ("ingest", "read", "admin"):
        assert access.authorize(admin, scope).scope == "admin"
    with pytest.raises(PermissionDeniedError, match="may ingest"):
        access.authorize(ingest, "read")
    with pytest.raises(PermissionDeniedError):
        access.authorize(read, "admin")


def test_a_name_is_taken_once(access: Access) -> None:
    access.create_token("ci", "ingest")
    with pytest.raises(UnprocessableError, match="'ci'"):
        access.create_token("ci", "read")


@pytest.mark.parametrize("secret", [None, "", "tkt_wrong", "\ud800", "x" * 10_000])
def test_what_is_no_token_is_refused(access: Access, secret: str | None) -> None:
    access.create_token("a", "admin")
    with pytest.raises(AuthenticationError):
        access.authorize(secret, "read")


def test_secrets_are_not_kept(access: Access, catalog: Catalog, tmp_path: Path) -> None:
    secret = access.create_token("a", "admin")
    code = access.create_login_link(catalog.tokens()[0])
    session = access.log_in_by_token(secret)
    for file in tmp_path.glob("store.db*"):
        held = file.read_bytes()
        assert all(text.encode() not in held for text in (secret, code, session))


def test_a_login_link_works_once(access: Access, catalog: Catalog) -> None:
    access.create_token("a", "admin")
    code = access.create_login_link(catalog.tokens()[0])

    assert access.check_session(access.log_in_by_link(code)).name == "a"
    with pytest.raises(AuthenticationError, match="used already"):
        access.log_in_by_link(code)
    with pytest.raises(AuthenticationError):
        access.check_session(code)


def test_sessions_and_links_expire(access: Access, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    access.create_token("a", "read")
    session = access.log_in_by_link(access.create_login_link(catalog.tokens()[0]))
    code = access.create_login_link(catalog.tokens()[0])
    assert access.check_session(session).name == "a"
    later = time.time_ns() + Settings().session_hours * 3_600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)

    with pytest.raises(AuthenticationError):
        access.check_session(session)
    with pytest.raises(AuthenticationError):
        access.log_in_by_link(code)


def test_logging_out_and_revoking_end_sessions(access: Access, catalog: Catalog) -> None:
    secret = access.create_token("a", "read")
    first, second = access.log_in_by_token(f" {secret}\n"), access.log_in_by_token(secret)
    access.log_out(first)
    access.log_out(first)
    access.log_out(None)
    with pytest.raises(AuthenticationError):
        access.check_session(first)
    assert access.check_session(second).name == "a"

    assert catalog.revoke_token("a")
    assert not catalog.revoke_token("a")
    with pytest.raises(AuthenticationError):
        access.check_session(second)
    with pytest.raises(AuthenticationError):
        access.check_session(None)


def test_a_token_that_was_revoked_starts_no_session_and_its_place_is_not_taken(
    access: Access, catalog: Catalog
) -> None:
    secret = access.create_token("old", "read")
    access.authorize(secret, "read")  # remembered for a second
    catalog.revoke_token("old")
    with pytest.raises(AuthenticationError, match="revoked"):
        access.log_in_by_token(secret)
    number = catalog.tokens()
    access.create_token("new", "admin")

    assert number == []
    assert [token.id for token in catalog.tokens()] == [2]


def test_only_who_may_read_logs_in(access: Access) -> None:
    with pytest.raises(PermissionDeniedError):
        access.log_in_by_token(access.create_token("a", "ingest"))


def test_the_cache_of_tokens_is_bounded_and_short(
    access: Access, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.service.access.TOKEN_CACHE_SIZE", 2)
    secrets = [access.create_token(str(number), "read") for number in range(4)]
    for secret in secrets:
        access.authorize(secret, "read")
    catalog.revoke_token("3")
    assert access.authorize(secrets[3], "read").name == "3"
    monkeypatch.setattr("tollkeeper.service.access.TOKEN_CACHE_SECONDS", -1.0)
    access.authorize(secrets[0], "read")
    later = time.monotonic() + 2
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with pytest.raises(AuthenticationError):
        access.authorize(secrets[3], "read")
