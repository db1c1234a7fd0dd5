from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from support.shop import Shop, open_shop
from support.stores import store_url
from tollkeeper.dashboard.app import dashboard_routes
from tollkeeper.errors import ConfigurationError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, Request, Response, UsageEvent
from tollkeeper.events.ids import id_from_hash
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Client = TestClient[Litestar]


class Fill(Protocol):
    def __call__(self, count: int = 1, *, ago: timedelta = timedelta(minutes=1), **fields: Any) -> list[UsageEvent]: ...


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """SQLite, or a module's ``ENGINE``: how engines differ is for tests/store and tests/service to say."""
    name: str = getattr(request.module, "ENGINE", "sqlite")
    return name


@pytest.fixture
def service(engine: str, tmp_path: Path) -> Iterator[Service]:
    service = open_service(Settings(store=store_url(engine, tmp_path)))
    yield service
    service.close()


@pytest.fixture
def fill(service: Service) -> Fill:
    """Store events, one second apart, that end ``ago``; ``fields`` replace those of the event."""
    stored = 0

    def fill(count: int = 1, *, ago: timedelta = timedelta(minutes=1), **fields: Any) -> list[UsageEvent]:
        nonlocal stored
        last = datetime.now(UTC) - ago
        values: dict[str, Any] = {
            "method": "GET",
            "path": "/users/7",
            "route": "/users/{id}",
            "status_code": 200,
            "consumer": Consumer(key="cus_1", label="Acme"),
            "request": Request(elapsed_time=0.05),
            "response": Response(content_length=1000),
            **fields,
        }
        events = []
        for index in range(count):
            stored += 1
            name = id_from_hash(stored, hashlib.sha256(str(stored).encode()).digest())
            events.append(UsageEvent(id=name, source="test", time=last - timedelta(seconds=index), **values))
        service.events.append([("test", DecodedBatch(len(events), events, []))])
        return events

    return fill


@pytest.fixture
def make_client(service: Service) -> Iterator[Callable[..., Client]]:
    opened: list[Client] = []

    def make(*, root_path: str = "", base_url: str = "http://testserver.local") -> Client:
        try:
            routes = dashboard_routes(service)
        except ConfigurationError as error:
            pytest.fail(str(error))
        app = Litestar(routes, openapi_config=None)
        client = TestClient(app, root_path=root_path, base_url=base_url, raise_server_exceptions=False)
        client.follow_redirects = False
        client.__enter__()
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def anonymous(make_client: Callable[..., Client]) -> Client:
    return make_client()


@pytest.fixture
def client(service: Service, anonymous: Client) -> Client:
    """A browser of somebody who is logged in."""
    anonymous.cookies.set(
        "tollkeeper_session", service.access.log_in_by_token(service.access.create_token("me", "read"))
    )
    return anonymous


@pytest.fixture
def editor(service: Service, make_client: Callable[..., Client]) -> Client:
    """A browser of somebody who is logged in and may change what the pages show."""
    client = make_client()
    client.cookies.set(
        "tollkeeper_session", service.access.log_in_by_token(service.access.create_token("boss", "admin"))
    )
    return client


@pytest.fixture
def shop(service: Service) -> Shop:
    return open_shop(service)
