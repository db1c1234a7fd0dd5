from __future__ import annotations

import csv
import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from support.markup import forms, part, rows
from support.shop import EVIL, Shop, call
from tollkeeper.billing.customer import ApiKey
from tollkeeper.billing.subscription import Subscription
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.keys import NewKey
from tollkeeper.service.subscription_views import show_subscriptions
from tollkeeper.store.audit import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

    Client = TestClient[Litestar]

SECRET = re.compile(r'value="(tk_\w{49})"')


def kpis(text: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd></div>", text))


def state_of(service: Service, subscription: str) -> Any:
    with service.catalog.reading() as records:
        (view,) = show_subscriptions(records, records.find(Subscription, id=subscription), datetime.now(UTC))
    return view


def keys_of(service: Service, customer: str) -> list[ApiKey]:
    with service.catalog.reading() as records:
        return records.find(ApiKey, customer=customer)


def last_actor(service: Service) -> str:
    with service.catalog.reading() as records:
        return records.page(AuditEntry, after=None, limit=1, newest_first=True)[0].actor


def test_without_customers_the_page_says_how_to_make_one(client: Client) -> None:
    text = client.get("/customers").text
    assert "tollkeeper customer add" in text
    assert "tollkeeper key create acme" in text
    assert 'role="search"' not in text


def test_customers_are_listed_with_their_keys_and_subscriptions(client: Client, shop: Shop) -> None:
    found = rows(client.get("/customers").text)
    assert [row[:6] for row in found] == [
        ["Acme", "0%", "acme", "dev@acme.example", "trial orders: gold paused Every API: basic", "1"],
        [EVIL, "\N{EN DASH}", EVIL, f"{EVIL.replace(' ', '')}@x", f"active {EVIL}: {EVIL}", "1"],
    ]
    assert f"/customers/{shop.customer}" in client.get("/customers").text


@pytest.mark.parametrize("text", ["acme", "ACME", "dev@", "alert", "%", "_", "tk_", "nobody", " "])
def test_customers_are_looked_for(client: Client, shop: Shop, text: str) -> None:
    found = [row[0] for row in rows(client.get("/customers", params={"q": text}).text)]
    wanted = {"acme": ["Acme"], "dev@": ["Acme"], "alert": [EVIL], "": ["Acme", EVIL]}
    assert found == wanted.get(text.strip().lower(), [])
    assert len(list(csv.DictReader(client.get("/customers.csv", params={"q": text}).text.splitlines()))) == len(found)
    assert shop.customer


def test_a_customer_is_found_by_a_key(client: Client, service: Service, shop: Shop) -> None:
    (key, _) = keys_of(service, shop.customer)
    for text in (key.id, key.fingerprint, key.prefix, shop.customer):
        assert [row[0] for row in rows(client.get("/customers", params={"q": text}).text)] == ["Acme"]


def test_nothing_found_leads_back_to_all(client: Client, shop: Shop) -> None:
    text = client.get("/customers?q=zzz").text
    assert "No customer matches" in text
    assert "Show all customers" in text
    assert 'value="zzz"' in text
    assert "No more customers" in client.get("/customers?after=cus_zzz").text
    assert shop.customer


def test_many_customers_come_in_pages(client: Client, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    with editing(service.catalog, "ann") as edit:
        for number in range(120):
            create_customer(edit, NewCustomer(name=f"Customer {number:03}", email=f"{number % 2}@x"))
    seen: list[str] = []
    address: str | None = "/customers?q=customer&range=7d"
    while address:
        text = client.get(address).text
        seen += [row[0] for row in rows(text)]
        found = [html.unescape(link) for link in re.findall(r'href="(/customers\?[^"]*after=[^"]*)"', text)]
        address = found[0] if found else None
        assert address is None or "range=7d" in address
    assert seen == [f"Customer {number:03}" for number in range(120)]
    assert len(rows(client.get("/customers").text)) == 50
    monkeypatch.setattr("tollkeeper.service.customer_search.CHUNK", 10)
    monkeypatch.setattr("tollkeeper.service.customer_search.SCANNED", 20)
    text = client.get("/customers?q=119").text
    assert "Search on" in text
    assert "after=" in text
    assert "119" in client.get("/customers.csv?q=119").text


def test_the_list_asks_as_often_for_fifty_as_for_one(
    client: Client, service: Service, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    execute = sa.Connection.execute

    def counted(self: sa.Connection, statement: Any, *more: Any, **named: Any) -> Any:
        asked.append(str(statement))
        return execute(self, statement, *more, **named)

    monkeypatch.setattr(sa.Connection, "execute", counted)
    client.get("/customers")
    few = len(asked)
    with editing(service.catalog, "ann") as edit:
        for number in range(40):
            made = create_customer(edit, NewCustomer(name=str(number)))
            service.keys.create(edit, NewKey(customer=made.id))
    asked.clear()
    assert len(rows(client.get("/customers").text)) == 42
    assert len(asked) == few
    assert shop.customer


def test_a_customer_shows_the_usage_of_all_keys(client: Client, service: Service, shop: Shop) -> None:
    revoked = next(key for key in keys_of(service, shop.customer) if key.id == shop.revoked)
    call(service, shop.fingerprint, 30)
    call(service, revoked.fingerprint, 10, method="POST", route="/orders")
    call(service, "key_of_somebody_else", 7)
    text = client.get(f"/customers/{shop.customer}").text
    assert kpis(text) == {
        "Requests": "40",
        "Error rate": "10.0%",
        "Latency p95": kpis(text)["Latency p95"],
        "Units": "40",
    }
    assert kpis(text)["Latency p95"].endswith("ms")
    data = json.loads(html.unescape(text.partition('<script type="application/json">')[2].partition("<")[0]))
    assert sum(sum(line["values"]) for line in data["series"]) == 40
    assert data["step"] == 3600
    assert [row[2] for row in rows(part(text, "keys"))] == ["10", "30"]
    used = text.partition("Most used endpoints</h2>")[2]
    assert [row[:3] for row in rows(used)] == [["GET /orders/{id}", "30", "3"], ["POST /orders", "10", "1"]]
    assert f"/requests?consumer={shop.fingerprint}" in text


def test_filters_narrow_the_usage_of_a_customer(client: Client, service: Service, shop: Shop) -> None:
    call(service, shop.fingerprint, 30)
    call(service, shop.fingerprint, 10, method="POST", route="/orders")
    address = f"/customers/{shop.customer}"
    for query, requests in (("status=5xx", "4"), ("route=/orders", "10"), ("method=get", "30"), ("consumer=x", "40")):
        text = client.get(f"{address}?{query}").text
        assert kpis(text)["Requests"] == requests
        assert ("Remove the filter" in text) == (not query.startswith("consumer"))


def test_a_customer_shows_subscriptions_keys_and_errors(client: Client, shop: Shop) -> None:
    text = client.get(f"/customers/{shop.customer}").text
    subscriptions = html.unescape(re.sub(r"<[^>]*>", "", part(text, "subscriptions")))
    for shown in (
        "Every API paused",
        "orders trial",
        "gold",
        "basic from",
        "100,000 a month",
        "10 a minute of /orders/{id}",
    ):
        assert shown in subscriptions
    assert '"percent": "15"' in subscriptions
    assert "1 that has ended" in subscriptions
    states = [row[1].split()[0] for row in rows(part(text, "keys"))]
    assert states == ["revoked", "active"]
    errors = rows(text.partition("Newest errors</h2>")[2])
    assert [row[1:] for row in errors] == [[f"E42 No stock of {EVIL}", "orders", "/orders/{id}", "422"]]
    assert "1 Road\nTown" in text


def test_a_customer_without_anything_says_what_to_do(client: Client, editor: Client, service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        made = create_customer(edit, NewCustomer(name="New"))
    text = client.get(f"/customers/{made.id}").text
    assert f"tollkeeper subscription add {made.id} PLAN" in text
    assert f"tollkeeper key create {made.id}" in text
    assert "time-chart" not in text
    assert "Newest errors" not in text
    assert f"/customers/{made.id}/keys" in forms(editor.get(f"/customers/{made.id}").text)
    assert client.get("/customers/cus_0").status_code == 404


def test_hostile_names_stay_text(editor: Client, service: Service, shop: Shop) -> None:
    call(service, shop.fingerprint, 3, route=EVIL)
    for address in ("/customers", f"/customers?q={EVIL}", f"/customers/{shop.customer}", f"/customers/{shop.evil}"):
        text = editor.get(address).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
    text = editor.post(f"/customers/{shop.evil}/keys", data={}).text
    assert "<script>alert" not in text
    assert SECRET.search(text)


def test_a_new_key_is_shown_once(editor: Client, service: Service, shop: Shop) -> None:
    answer = editor.post(f"/customers/{shop.customer}/keys", data={"expires_at": "2099-01-31T18:00"})
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    (secret,) = SECRET.findall(answer.text)
    with service.catalog.reading() as records:
        made = service.keys.find(records, secret)
    assert made is not None
    assert made.customer == shop.customer
    assert made.expires_at == datetime(2099, 1, 31, 18, tzinfo=UTC)
    assert last_actor(service) == "boss"
    text = editor.get(f"/customers/{shop.customer}").text
    assert secret not in text
    assert made.prefix in text


def test_a_key_that_is_brought_along_is_listed_and_not_shown(editor: Client, service: Service, shop: Shop) -> None:
    answer = editor.post(f"/customers/{shop.customer}/keys?range=7d", data={"key": "their-own-key-0001"})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/customers/{shop.customer}?range=7d#keys"
    assert len(keys_of(service, shop.customer)) == 3
    again = editor.post(f"/customers/{shop.customer}/keys", data={"key": "their-own-key-0001"})
    assert again.status_code == 409
    assert "registered already" in again.text
    assert "their-own-key-0001" not in again.text


@pytest.mark.parametrize(
    ("data", "status"), [({"key": "short"}, 422), ({"expires_at": "2000-01-01T00:00"}, 422), ({"expires_at": "x"}, 400)]
)
def test_a_key_that_cannot_be_made_is_said_on_the_page(
    editor: Client, service: Service, shop: Shop, data: dict[str, str], status: int
) -> None:
    answer = editor.post(f"/customers/{shop.customer}/keys", data=data)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert ">Acme</h1>" in answer.text
    assert len(keys_of(service, shop.customer)) == 2


def test_a_key_is_rotated_with_overlap(editor: Client, service: Service, shop: Shop) -> None:
    answer = editor.post(f"/keys/{shop.key}/rotate", data={"overlap": "3600"})
    assert answer.status_code == 201
    (secret,) = SECRET.findall(answer.text)
    old = next(key for key in keys_of(service, shop.customer) if key.id == shop.key)
    with service.catalog.reading() as records:
        made = service.keys.find(records, secret)
    assert made is not None
    assert old.replaced_by == made.id
    assert old.expires_at is not None
    assert timedelta(minutes=59) < old.expires_at - datetime.now(UTC) < timedelta(minutes=61)
    assert f"replaced by {made.prefix}" in " ".join(
        rows(part(editor.get(f"/customers/{shop.customer}").text, "keys"))[2]
    )
    assert editor.post(f"/keys/{shop.key}/rotate", data={"overlap": "0"}).status_code == 409
    assert editor.post(f"/keys/{shop.key}/rotate", data={"overlap": "17"}).status_code == 400


def test_a_key_is_revoked(editor: Client, service: Service, shop: Shop) -> None:
    for _ in range(2):
        answer = editor.post(f"/keys/{shop.key}/revoke")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/customers/{shop.customer}#keys")
    assert all(key.revoked_at for key in keys_of(service, shop.customer))
    text = editor.get(f"/customers/{shop.customer}").text
    assert [row[1].split()[0] for row in rows(part(text, "keys"))] == ["revoked", "revoked"]
    assert not any("/keys/key_" in action for action in forms(text))


def test_a_subscription_is_paused_resumed_and_cancelled(editor: Client, service: Service, shop: Shop) -> None:
    page = f"/customers/{shop.customer}"
    address = f"/subscriptions/{shop.subscription}"
    for action, state in (("pause", "paused"), ("resume", "trial")):
        answer = editor.post(f"{address}/{action}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{page}#subscriptions")
        assert state_of(service, shop.subscription).state == state
    assert editor.post(f"{address}/cancel", data={"end": "period"}).status_code == 303
    view = state_of(service, shop.subscription)
    assert (view.state, view.ended_at) == ("cancelled", view.period.end)
    assert "Ends" in editor.get(page).text
    assert editor.post(f"{address}/cancel", data={"end": "now"}).status_code == 303
    assert state_of(service, shop.subscription).state == "ended"
    refused = editor.post(f"{address}/cancel", data={"end": "now"})
    assert refused.status_code == 409
    assert "Cannot end a subscription that is ended" in refused.text
    assert "2 that have ended" in refused.text


def test_what_is_offered_is_what_the_state_allows(editor: Client, shop: Shop) -> None:
    text = editor.get(f"/customers/{shop.customer}?range=7d").text
    assert sorted(forms(text)) == sorted(
        [
            "/logout",
            f"/customers/{shop.customer}/keys?range=7d",
            f"/keys/{shop.key}/revoke?range=7d",
            f"/keys/{shop.key}/rotate?range=7d",
            f"/subscriptions/{shop.paused}/cancel?range=7d",
            f"/subscriptions/{shop.paused}/resume?range=7d",
            f"/subscriptions/{shop.subscription}/cancel?range=7d",
            f"/subscriptions/{shop.subscription}/pause?range=7d",
            *[f"/subscriptions/{shop.subscription}/grants?range=7d"] * 2,
        ]
    )


def actions(shop: Shop) -> list[str]:
    return [
        f"/customers/{shop.customer}/keys",
        f"/keys/{shop.key}/rotate",
        f"/keys/{shop.key}/revoke",
        f"/subscriptions/{shop.subscription}/pause",
        f"/subscriptions/{shop.paused}/resume",
        f"/subscriptions/{shop.subscription}/cancel",
    ]


def changes(service: Service) -> int:
    with service.catalog.reading() as records:
        return len(records.find(AuditEntry))


def test_who_only_reads_sees_no_buttons_and_is_refused(client: Client, service: Service, shop: Shop) -> None:
    assert forms(client.get(f"/customers/{shop.customer}").text) == ["/logout"]
    before = changes(service)
    for action in actions(shop):
        answer = client.post(action, data={"overlap": "0", "end": "now"})
        assert answer.status_code == 403
        assert "only reads" in answer.text
    assert changes(service) == before


def test_a_write_from_another_site_changes_nothing(editor: Client, service: Service, shop: Shop) -> None:
    before = changes(service)
    for action in actions(shop):
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            answer = editor.post(action, data={"overlap": "0", "end": "now"}, headers=headers)
            assert answer.status_code == 403
            assert "another site" in answer.text
    assert changes(service) == before


def test_nobody_writes_without_a_session(anonymous: Client, service: Service, shop: Shop) -> None:
    before = changes(service)
    for action in actions(shop):
        answer = anonymous.post(action, data={"overlap": "0", "end": "now"})
        assert answer.status_code == 401
        assert "Log in" in answer.text
        assert anonymous.get(action).status_code in {401, 404, 405}
    assert changes(service) == before


@pytest.mark.parametrize(
    "action", ["/keys/key_0/revoke", "/keys/key_0/rotate", "/subscriptions/sub_0/pause", "/customers/cus_0/keys"]
)
def test_what_is_not_there_is_not_found(editor: Client, shop: Shop, action: str) -> None:
    answer = editor.post(action, data={"overlap": "0"})
    assert answer.status_code == 404
    assert "There is no" in answer.text
    assert shop.customer


def test_a_mount_is_honoured(make_client: Callable[..., Client], service: Service, shop: Shop) -> None:
    browser = make_client(root_path="/tolls")
    session = service.access.log_in_by_token(service.access.create_token("chief", "admin"))
    browser.cookies.set("tollkeeper_session", session)
    assert f"/tolls/customers/{shop.customer}" in browser.get("/customers").text
    assert all(action.startswith("/tolls/") for action in forms(browser.get(f"/customers/{shop.customer}").text))
    answer = browser.post(f"/keys/{shop.key}/revoke")
    assert answer.headers["location"] == f"/tolls/customers/{shop.customer}#keys"
