from __future__ import annotations

import csv
import html
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from flask import Flask

from support.stores import DURABLE
from tollkeeper.events.event import Client, Consumer, Request
from tollkeeper.events.event import Response as Sent
from tollkeeper.store.protocols import StoredEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

    from .conftest import Fill

BACK = timedelta(days=40)


@pytest.fixture(params=DURABLE)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def links(text: str) -> list[str]:
    return [html.unescape(link) for link in re.findall(r'(?:href|action|hx-get|src)="([^"]*)"', text)]


def table(text: str) -> list[list[str]]:
    """The cells of the ranking, as text."""
    body = text.partition('id="ranking"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [" ".join(re.sub(r"<[^>]*>", "", cell).split()) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in rows
    ]


def cards(text: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>([^<]+?) (?:<span.*?</span></span>)?</dt><dd>([^<]+)</dd>", text))


def rows_of(answer_text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(answer_text.splitlines()))


def test_an_empty_store_shows_the_next_step(client: TestClient[Litestar]) -> None:
    for path in ("/", "/requests", "/endpoints"):
        text = client.get(path).text
        assert "from tollkeeper.flask import Tollkeeper" in text
        assert "tollkeeper import access-log" in text


def test_an_empty_span_leads_to_the_latest_request(client: TestClient[Litestar], fill: Fill) -> None:
    fill(ago=BACK)
    for path in ("/", "/requests", "/endpoints"):
        text = client.get(path).text
        target = next(link for link in links(text) if "from=" in link)
        assert urlsplit(target).path == path
        assert "/users/{id}" in client.get(target).text or path == "/"
        assert "Nothing in the" not in client.get(target).text


def test_an_empty_filter_says_how_to_widen(client: TestClient[Litestar], fill: Fill) -> None:
    fill()
    for path in ("/", "/requests", "/endpoints"):
        text = client.get(f"{path}?consumer=nobody").text
        assert "Remove the filters" in text
        assert path in links(text)


def test_the_overview_adds_up(client: TestClient[Litestar], fill: Fill) -> None:
    fill(6, consumer=Consumer(key="cus_1", label="Acme"))
    fill(3, consumer=Consumer(key="cus_2"), status_code=503)
    fill(1, consumer=None, status_code=404)
    text = client.get("/").text
    assert cards(text) == {"Requests": "10", "Error rate": "40.0%", "Latency p95": "50 ms", "Consumers": "2"}
    rows = table(text)
    assert [row[:4] for row in rows] == [
        ["Acme", "6", "0", "0%"],
        ["cus_2", "3", "3", "100.0%"],
        ["Not identified", "1", "1", "100.0%"],
    ]
    assert "/?consumer=cus_1" in links(text)
    assert "/?status=5xx" in links(text)


def test_a_change_is_against_the_equal_span_before(client: TestClient[Litestar], fill: Fill) -> None:
    fill(4, ago=timedelta(hours=30))
    fill(6)
    assert "▲ 50.0%" in client.get("/").text


def test_filters_narrow_every_figure(client: TestClient[Litestar], fill: Fill) -> None:
    fill(6)
    fill(3, method="POST", route="/orders", status_code=422, consumer=Consumer(key="cus_2"))
    for query in ("route=/orders", "method=post", "consumer=cus_2", "status=4xx", "status=422"):
        text = client.get(f"/?{query}").text
        assert cards(text)["Requests"] == "3"
        assert "Remove the filter" in text
        assert len(rows_of(client.get(f"/requests.csv?{query}").text)) == 3
        assert [row["requests"] for row in rows_of(client.get(f"/endpoints.csv?{query}").text)] == ["3"]
        assert [row["consumer"] for row in rows_of(client.get(f"/consumers.csv?{query}").text)] == ["cus_2"]


def test_under_a_status_only_what_can_occur_is_shown(client: TestClient[Litestar], fill: Fill) -> None:
    fill(6)
    fill(3, status_code=422)
    text = client.get("/?status=4xx").text
    assert cards(text)["Error rate"] == "\N{EN DASH}"
    assert "<h2>Error rate</h2>" not in text
    assert {link for link in links(text) if re.fullmatch(r"/\?status=\dxx", link)} == {"/?status=4xx"}
    assert "<h2>Error rate</h2>" in client.get("/").text


def test_a_time_in_the_far_future_breaks_no_page(client: TestClient[Litestar], fill: Fill) -> None:
    fill(ago=BACK)
    fill(ago=datetime.now(UTC) - datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC))
    for path in ("/", "/endpoints", "/requests", "/requests/2"):
        answer = client.get(path)
        assert answer.status_code == 200
        for link in links(answer.text):
            assert "from=" not in link or client.get(link).status_code == 200


def test_filters_and_span_carry_over_to_the_other_pages(client: TestClient[Litestar], fill: Fill) -> None:
    fill(3)
    text = client.get("/?range=7d&consumer=cus_1&status=2xx").text
    for page in ("/requests", "/endpoints"):
        link = next(link for link in links(text) if urlsplit(link).path == page)
        assert parse_qs(urlsplit(link).query) == {"range": ["7d"], "consumer": ["cus_1"], "status": ["2xx"]}


def test_endpoints_are_sorted_by_any_column(client: TestClient[Litestar], fill: Fill) -> None:
    fill(5, route="/a", request=Request(elapsed_time=0.3))
    fill(7, route="/b", request=Request(elapsed_time=0.1), status_code=500)
    fill(2, route="/c", request=Request(), response=Sent(content_length=10**6))
    orders = {
        "-requests": ["/b", "/a", "/c"],
        "requests": ["/c", "/a", "/b"],
        "-latency_p95": ["/a", "/b", "/c"],
        "latency_p95": ["/b", "/a", "/c"],
        "-error_rate": ["/b", "/a", "/c"],
        "-bytes": ["/c", "/b", "/a"],
        "name": ["/a", "/b", "/c"],
        "-name": ["/c", "/b", "/a"],
    }
    for sort, routes in orders.items():
        text = client.get(f"/endpoints?sort={sort}").text
        assert [row[0] for row in table(text)] == [f"GET {route}" for route in routes]
        assert [row["route"] for row in rows_of(client.get(f"/endpoints.csv?sort={sort}").text)] == routes
        assert text.count("aria-sort") == 1
    assert table(client.get("/endpoints").text)[2][4:7] == ["\N{EN DASH}"] * 3


def test_a_chosen_endpoint_shows_its_charts_and_its_week(client: TestClient[Litestar], fill: Fill) -> None:
    fill(5, route="/a", ago=timedelta(hours=3))
    fill(5, route="/b")
    assert "time-chart" not in client.get("/endpoints").text
    text = client.get("/endpoints?route=/a&method=GET").text
    assert text.count("<time-chart") == 2
    heat = text.partition('class="heat"')[2].partition("</table>")[0]
    assert heat.count("<td") == 7 * 24
    assert 1 <= heat.count('class="h5"') <= 2
    assert [row[0] for row in table(text)] == ["GET /a"]


def test_many_endpoints_come_in_pages(client: TestClient[Litestar], fill: Fill) -> None:
    for number in range(60):
        fill(1, route=f"/r{number:02}")
    first, second = client.get("/endpoints?sort=name").text, client.get("/endpoints?sort=name&page=2").text
    assert (len(table(first)), len(table(second))) == (50, 10)
    assert "/endpoints?sort=name&page=2" in links(first)
    assert "/endpoints?sort=name&page=1" in links(second)
    assert table(client.get("/endpoints?sort=name&page=99").text) == table(second)


def test_the_log_pages_back_and_stays_in_its_span(client: TestClient[Litestar], fill: Fill) -> None:
    fill(70)
    fill(5, ago=timedelta(days=2))
    first = client.get("/requests").text
    assert first.count('class="took"') == 50
    assert 'id="cursor"' in first
    older = next(link for link in links(first) if "after=" in link and "newer" not in link)
    second = client.get(older).text
    assert second.count('class="took"') == 20
    assert 'id="cursor"' not in second
    seen = re.findall(r'<td><a href="/requests/(\d+)"', first + second)
    assert len(set(seen)) == len(seen) == 70
    assert (
        client.get("/requests?range=7d&after=" + parse_qs(urlsplit(older).query)["after"][0]).text.count("took") == 25
    )


def test_a_custom_span_of_the_log_has_both_ends(client: TestClient[Litestar], fill: Fill) -> None:
    fill(2)
    fill(3, ago=timedelta(days=2))
    fill(4, ago=timedelta(days=4))
    ends = {"from": datetime.now(UTC) - timedelta(days=3), "to": datetime.now(UTC) - timedelta(days=1)}
    query = {name: time.strftime("%Y-%m-%dT%H:%M") for name, time in ends.items()}
    text = client.get("/requests", params=query).text
    assert text.count('class="took"') == 3
    assert 'id="cursor"' not in text
    assert len(rows_of(client.get("/requests.csv", params=query).text)) == 3


def test_the_live_log_gives_each_row_once(client: TestClient[Litestar], fill: Fill) -> None:
    fill(2, ago=timedelta(minutes=5))

    def newer(text: str) -> str:
        return next(link for link in links(text) if "newer" in link)

    poll = newer(client.get("/requests?status=2xx").text)
    assert client.get(poll).status_code == 204
    fill(3)
    fill(1, status_code=500)
    rows = client.get(poll).text
    assert rows.count('class="took"') == 3
    assert "status=2xx" in newer(rows)
    assert client.get(newer(rows)).status_code == 204


def test_the_live_log_begins_on_an_empty_store(client: TestClient[Litestar], fill: Fill) -> None:
    poll = next(link for link in links(client.get("/requests").text) if "newer" in link)
    assert client.get(poll).status_code == 204
    fill(2)
    assert client.get(poll).text.count('class="took"') == 2


def test_one_request_shows_all_that_was_captured(client: TestClient[Litestar], fill: Fill) -> None:
    event = fill(exception="ValueError: no", status_code=500, url="https://api.example/users/7?x=1")[0]
    text = client.get("/requests/1").text
    for shown in ("ValueError: no", "https://api.example/users/7?x=1", event.id, "Acme", "50 ms", "1.00 KB", "500"):
        assert shown in text


@pytest.mark.parametrize("body", [b'{"a":1e999}', b"[" * 990 + b"]" * 990, b"[" * 5000 + b"]" * 5000])
def test_a_request_that_cannot_be_read_in_full_says_so(
    client: TestClient[Litestar], fill: Fill, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = fill()[0]
    stored = StoredEvent(1, msgspec.structs.replace(event, request=Request(body=msgspec.Raw(body))))
    monkeypatch.setattr("tollkeeper.dashboard.requests.find_event", lambda *_: stored)
    answer = client.get("/requests/1")
    assert answer.status_code == 200
    assert event.id in answer.text
    assert "cannot be shown here" in answer.text or "too deeply nested" in answer.text


def test_a_browser_that_nobody_knows_is_not_named(client: TestClient[Litestar], fill: Fill) -> None:
    fill(client=Client(browser="None None", platform="curl-like"))
    shown = client.get("/requests/1").text.partition("The whole document")[0]
    assert "curl-like" in shown
    assert "None None" not in shown


@pytest.mark.parametrize("seq", ["0", "999", "abc", "-1", "99999999999999999999", "1.5", "\u0661"])
def test_an_unknown_request_is_not_found(client: TestClient[Litestar], seq: str) -> None:
    answer = client.get(f"/requests/{seq}")
    assert answer.status_code == 404
    assert "There is no" in answer.text


@pytest.mark.parametrize(
    "address",
    [
        "/?range=9y",
        "/?from=x",
        "/?status=9xx",
        "/?status=abc",
        "/?sort=colour",
        "/?route=%00",
        "/endpoints?page=0",
        "/endpoints?page=x",
        "/requests?after=x",
        "/requests/newer?after=1.2.3",
        "/requests.csv?range=x",
    ],
)
def test_a_bad_address_says_what_to_write(client: TestClient[Litestar], fill: Fill, address: str) -> None:
    fill()
    answer = client.get(address)
    assert answer.status_code == 400
    assert "text/html" in answer.headers["content-type"]
    assert "Bad Request" in answer.text


def test_a_formula_stays_a_text_in_a_spreadsheet(client: TestClient[Litestar], fill: Fill) -> None:
    fill(consumer=Consumer(key="=1+1"))
    answer = client.get("/consumers.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="tollkeeper-consumers.csv"'
    assert rows_of(answer.text)[0]["consumer"] == "'=1+1"


def test_the_theme_comes_with_the_page(client: TestClient[Litestar]) -> None:
    assert 'data-theme="system"' in client.get("/").text
    client.cookies.set("tollkeeper_theme", "dark")
    assert 'data-theme="dark"' in client.get("/").text
    client.cookies.set("tollkeeper_theme", "pink")
    assert 'data-theme="system"' in client.get("/").text


def test_under_a_prefix_every_link_stays_below_it(
    service: Service, make_client: Callable[..., TestClient[Litestar]], fill: Fill
) -> None:
    fill(60)
    client = make_client(root_path="/tollkeeper")
    secret = service.access.create_token("me", "read")
    answer = client.post("/tollkeeper/login", data={"token": secret, "next": "/requests"})
    assert answer.headers["location"] == "/tollkeeper/requests"
    assert "Path=/tollkeeper;" in answer.headers["set-cookie"]
    for path in (
        "/",
        "/requests",
        "/endpoints",
        "/endpoints?route=/users/{id}",
        "/requests/1",
        "/?consumer=x",
        "/login",
    ):
        page = client.get(f"/tollkeeper{path}")
        assert page.status_code == 200
        outside = [link for link in links(page.text) if not link.startswith(("/tollkeeper/", "#"))]
        assert outside == []
        assert '"zoom": "/tollkeeper/' in page.text or "<time-chart" not in page.text
    assert client.post("/tollkeeper/logout").headers["location"] == "/tollkeeper/login"


def test_embedded_in_flask_by_a2wsgi(service: Service, make_client: Callable[..., TestClient[Litestar]]) -> None:
    from a2wsgi import ASGIMiddleware  # noqa: PLC0415  # only here
    from werkzeug.middleware.dispatcher import DispatcherMiddleware  # noqa: PLC0415  # only here

    host = Flask("host")
    dashboard: Any = ASGIMiddleware(make_client().app)
    host.wsgi_app = DispatcherMiddleware(host.wsgi_app, {"/tollkeeper": dashboard})  # type: ignore[method-assign]  # Flask's way
    browser = host.test_client()
    assert browser.get("/tollkeeper/").status_code == 401
    secret = service.access.create_token("me", "read")
    answer = browser.post("/tollkeeper/login", data={"token": secret, "next": "/endpoints"})
    assert answer.headers["Location"] == "/tollkeeper/endpoints"
    page = browser.get("/tollkeeper/endpoints")
    assert page.status_code == 200
    asset = next(link for link in links(page.text) if link.endswith(".js"))
    assert browser.get(asset).status_code == 200
