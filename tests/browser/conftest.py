from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, NoReturn

import pytest
import uvicorn
from litestar import Litestar
from msgspec import Raw

from tollkeeper.dashboard.app import dashboard_routes
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, Request, Response, UsageEvent
from tollkeeper.events.ids import id_from_hash
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
ROUTES = [("GET", "/search", 60), ("POST", "/orders", 120), ("GET", "/users/{id}", 30), ("DELETE", "/keys/{id}", 40)]
Theme = Literal["light", "dark"]


def missing(reason: str) -> NoReturn:
    """Skip for a reason, or fail where everything must be there."""
    if os.environ.get("TOLLKEEPER_TEST_REQUIRE") == "all":
        pytest.fail(reason)
    pytest.skip(reason)


class Site(NamedTuple):
    """A dashboard that is being served."""

    url: str
    service: Service
    token: str

    def add(self, count: int, *, spread: timedelta = timedelta(), seed: str = "0") -> None:
        """Store events of the last ``spread``, always the same for a seed."""
        chance = random.Random(seed)
        now = datetime.now(UTC)
        events = [self._event(f"{seed}/{index}", now - spread * chance.random(), chance) for index in range(count)]
        self.service.events.append([("test", DecodedBatch(count, events, []))])

    @staticmethod
    def _event(name: str, when: datetime, chance: random.Random) -> UsageEvent:
        method, route, base = chance.choice(ROUTES)
        status = chance.choices([200, 304, 404, 503], [90, 4, 4, 2])[0]
        number = chance.randrange(8)
        return UsageEvent(
            id=id_from_hash(1, hashlib.sha256(name.encode()).digest()),
            source="test",
            time=when,
            method=method,
            path=route.replace("{id}", "7"),
            route=route,
            status_code=status,
            exception="TimeoutError: upstream" if status >= 500 else None,
            consumer=Consumer(key=f"cus_{number}", label=f"Customer {number}"),
            request=Request(elapsed_time=base / 1000 * chance.lognormvariate(0, 0.5), body=Raw(b'{"q":"<b>"}')),
            response=Response(content_length=chance.randrange(9000), headers=Raw(b'{"X-Note":"ok"}')),
        )


def _serve(folder: Path) -> Iterator[Site]:
    service = open_service(Settings(store=f"sqlite:///{folder}/t.db"))
    config = uvicorn.Config(Litestar(dashboard_routes(service), openapi_config=None), port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Site(f"http://127.0.0.1:{port}", service, service.access.create_token("me", "read"))
    server.should_exit = True
    thread.join(20)
    service.close()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    for site in _serve(tmp_path_factory.mktemp("full")):
        site.add(3000, spread=timedelta(days=30))
        yield site


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from _serve(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing(f"There is no {CHROMIUM}: apt-get install chromium.")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # starts a driver

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages that remember what went wrong: an error on the console, a request to another host, a bad answer."""
    opened = []
    troubles: list[str] = []

    def open_page(
        site: Site, *, width: int = 1440, theme: Theme = "light", scripts: bool = True, session: bool = True
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, java_script_enabled=scripts
        )
        context.set_default_timeout(10_000)
        opened.append(context)
        if session:
            value = site.service.access.log_in_by_token(site.token)
            context.add_cookies([{"name": "tollkeeper_session", "value": value, "url": site.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda line: troubles.append(line.text) if line.type in {"error", "warning"} else None)
        page.on("request", lambda request: None if request.url.startswith(site.url) else troubles.append(request.url))
        return page

    yield open_page
    for context in opened:
        context.close()
    assert troubles == []


@pytest.fixture(scope="session")
def axe() -> str:
    if not AXE.exists():
        missing("axe-core is not installed: run 'npm ci' in frontend/.")
    return AXE.read_text(encoding="utf-8")
