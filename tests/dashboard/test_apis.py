from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from support.markup import rows
from support.shop import EVIL, Shop, call
from tollkeeper.service.audit import editing
from tollkeeper.service.products import NewApi, create_api, create_version
from tollkeeper.service.routes import NewRoute, create_route

from .test_customers import kpis

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

    from .conftest import Fill

    Client = TestClient[Litestar]


def after(text: str, title: str) -> list[list[str]]:
    """The rows of the table under a title."""
    return rows(text.partition(f"{title}</h2>")[2].partition("</section>")[0])


def test_without_apis_the_page_says_how_to_make_one(client: Client) -> None:
    text = client.get("/apis").text
    assert "tollkeeper api add orders" in text
    assert "No more APIs" in client.get("/apis?after=api_zzz").text


def test_apis_are_listed_with_their_requests_and_those_that_nobody_registered(
    client: Client, service: Service, shop: Shop
) -> None:
    call(service, shop.fingerprint, 30)
    call(service, "key_x", 4, api="stock")
    call(service, "key_x", 5, api=EVIL + "2")
    text = client.get("/apis").text
    today = datetime.now(UTC)
    since = f"{today:%b} {today.day}, {today.year}"
    assert after(text, "In the catalogue") == [["orders", "v1", "2", "30", since], [EVIL, EVIL, "1", "0", since]]
    assert after(text, "Called, but not in the catalogue") == [[EVIL + "2", "5"], ["stock", "4"]]
    assert "<script>alert" not in text


def test_calls_that_name_no_api_are_told(client: Client, fill: Fill) -> None:
    fill(3)
    assert after(client.get("/apis").text, "Called, but not in the catalogue") == [["No API named", "3"]]


def test_an_api_shows_its_routes_with_prices_and_calls(client: Client, service: Service, shop: Shop) -> None:
    call(service, shop.fingerprint, 30)
    call(service, shop.fingerprint, 5, method="POST")
    call(service, "key_x", 4, route="/other")
    call(service, "key_x", 3, route="/new", api_version="v9")
    text = client.get(f"/apis/{shop.api}").text
    assert kpis(text)["Requests"] == "42"
    assert [row[:4] for row in after(text, "Routes")] == [
        ["Default route", "v1", "0.01 EUR", "9"],
        ["GET /orders/{id}", "v1", "0.003 EUR", "30"],
    ]
    assert after(text, "Called, but not in the catalogue") == [["GET /new", "v9", "3"]]
    assert kpis(client.get(f"/apis/{shop.api}?status=5xx").text)["Requests"] == "3"
    assert client.get("/apis/api_0").status_code == 404


def test_an_api_without_routes_says_how_to_make_one(client: Client, service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        api = create_api(edit, NewApi(name="$(reboot)"))
    text = client.get(f"/apis/{api.id}").text
    assert f"tollkeeper api route {api.id} VERSION --price" in text
    assert "No more routes" in client.get(f"/apis/{api.id}?after=rte_zzz").text


def test_many_apis_and_routes_come_in_pages(client: Client, service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        apis = [create_api(edit, NewApi(name=f"api {number:02}")) for number in range(60)]
        create_version(edit, apis[0].id, NewApi(name="v1"))
        for number in range(60):
            create_route(edit, NewRoute(api=apis[0].id, version="v1", endpoint=f"/{number:02}"))
    for address, title in (("/apis", "In the catalogue"), (f"/apis/{apis[0].id}", "Routes")):
        first = client.get(address).text
        following = next(html.unescape(link) for link in re.findall(r'href="([^"]*after=[^"]*)"', first))
        second = client.get(following).text
        assert (len(after(first, title)), len(after(second, title))) == (50, 10)
        assert "First" in second


def test_a_route_shows_its_prices_by_date_and_its_calls(client: Client, service: Service, shop: Shop) -> None:
    call(service, shop.fingerprint, 30)
    call(service, shop.fingerprint, 5, method="POST")
    text = client.get(f"/apis/{shop.api}/{shop.route}").text
    prices = after(text, "Prices of a call")
    assert [(row[0], row[3]) for row in prices] == [
        ("0.0045 EUR", "to come"),
        ("0.003 EUR", "in force"),
        ("0.002 EUR", "past"),
    ]
    assert [row[2] for row in prices] == ["\N{EN DASH}", prices[0][1], prices[1][1]]
    assert kpis(text)["Requests"] == "30"
    assert kpis(text)["Latency p95"].endswith("ms")
    assert text.count("<time-chart") == 2
    assert after(text, "Called as") == [["GET /orders/{id}", "v1", "30", "3"]]


def test_a_default_route_lists_what_it_is_called_as(client: Client, service: Service, shop: Shop) -> None:
    call(service, shop.fingerprint, 30)
    call(service, shop.fingerprint, 5, method="POST")
    call(service, shop.fingerprint, 4, route=EVIL)
    text = client.get(f"/apis/{shop.api}/{shop.default_route}").text
    assert after(text, "Prices of a call")[0][:2] == ["0.01 EUR", "the beginning"]
    assert kpis(text) == {"Requests": "9", "Error rate": "0%", "Units": "9"}
    assert [row[0] for row in after(text, "Called as")] == ["POST /orders/{id}", f"GET {EVIL}"]
    assert "<script>alert" not in text


def test_a_route_without_a_price_says_how_to_set_one(client: Client, service: Service, shop: Shop) -> None:
    with editing(service.catalog, "ann") as edit:
        route = create_route(edit, NewRoute(api="orders", version="v1", endpoint="/free", method="PUT"))
    assert f"tollkeeper api price {route.id} 0.01 EUR" in client.get(f"/apis/{shop.api}/{route.id}").text


@pytest.mark.parametrize("path", ["{api}/rte_0", "api_0/{route}", "{other}/{route}"])
def test_a_route_of_another_api_is_not_found(client: Client, service: Service, shop: Shop, path: str) -> None:
    with editing(service.catalog, "ann") as edit:
        other = create_api(edit, NewApi(name="third"))
    answer = client.get("/apis/" + path.format(api=shop.api, route=shop.route, other=other.id))
    assert answer.status_code == 404


def test_hostile_names_stay_text(client: Client, shop: Shop) -> None:
    text = client.get("/apis").text
    address = html.unescape(re.findall(r'href="(/apis/api_[^"]*)"', text)[1])
    page = client.get(address).text
    (route,) = re.findall(r'href="(/apis/api_[^"]*/rte_[^"]*)"', page)
    for answer in (text, page, client.get(html.unescape(route)).text):
        assert "<script>alert" not in answer
        assert "&lt;script&gt;alert" in answer
    assert "retired" in page
    assert shop.api not in page
