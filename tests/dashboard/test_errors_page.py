"""Errors: listed, filtered, opened, resolved and replayed, and never more than text."""

from __future__ import annotations

import html
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from support.markup import rows
from support.shop import EVIL, Shop
from tollkeeper.billing.failure import ApiError
from tollkeeper.dashboard.formats import NONE
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.fingerprint import fingerprint as fingerprint_of
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.keys import NewKey
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.products import NewApi, create_api, create_version
from tollkeeper.service.report_calls import ReportedCalls
from tollkeeper.service.report_drafts import draft_report, keep_errors
from tollkeeper.service.reports import SOURCE
from tollkeeper.service.routes import NewRoute, create_route
from tollkeeper.service.subscriptions import NewSubscription, subscribe
from tollkeeper.store.audit import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

    Client = TestClient[Litestar]

REPORT = {
    "apiName": "orders",
    "apiversion": "v1",
    "endPointName": "/orders/7",
    "clientIPAdress": "203.0.113.7",
    "httpStatusCode": 200,
    "timeTakenInMilliSeconds": 12.5,
}
BROKEN = {"errorCode": "E17", "errorDescription": f"No stock of {EVIL}", "httpStatusCode": 503}
SECRET = "the-key-of-the-shop-0001"


def report(service: Service, consumer: str | None, document: object, *, age: int = 60) -> ApiError:
    """Take a report in, and find the one error that came of it."""
    at = time.time_ns() // 1_000 - age * 1_000_000
    calls = ReportedCalls(service.catalog, [consumer] if consumer else [])
    draft = draft_report(calls, document, consumer=consumer, secret=None, at=at)
    found = keep_errors(service.catalog, [draft])
    service.events.append([(SOURCE, DecodedBatch(len(found), found, []))])
    with service.catalog.reading() as records:
        return records.find(ApiError, event_id=draft.event_id)[0]


def mend(service: Service) -> str:
    """Register all that a report with the key ``SECRET`` needs; the fingerprint of the key."""
    with editing(service.catalog, "ann") as edit:
        api = create_api(edit, NewApi(name="stock"))
        create_version(edit, api.id, NewApi(name="v1"))
        create_route(edit, NewRoute(api=api.id, version="v1"))
        create_plan(edit, NewPlan(name="plan"))
        customer = create_customer(edit, NewCustomer(name="Shop", external_id="shop"))
        subscribe(edit, NewSubscription(customer=customer.id, plan="plan", trial_days=0))
        key, _ = service.keys.create(edit, NewKey(customer=customer.id, key=SECRET))
    return key.fingerprint


def now(service: Service, error: ApiError) -> ApiError:
    with service.catalog.reading() as records:
        return records.find(ApiError, id=error.id)[0]


def stored(service: Service) -> int:
    return sum(row.stored for row in service.events.ledger(recount=True))


def forms(text: str) -> list[str]:
    return [html.unescape(action) for action in re.findall(r'<form method="post" action="([^"]*)"', text)]


def changes(service: Service) -> int:
    with service.catalog.reading() as records:
        return len(records.find(AuditEntry))


def codes(client: Client, **query: str) -> list[str]:
    answer = client.get(f"/errors?{urlencode(query)}")
    assert answer.status_code == 200
    return [row[1].split()[0] for row in rows(answer.text)]


def test_an_empty_page_says_what_is_kept_here(client: Client) -> None:
    for path in ("/errors", "/errors?state=all&code=x"):
        text = client.get(path).text
        assert "Nothing went wrong yet" in text
        assert "They stay until somebody resolves them." in text


def test_open_errors_are_listed_newest_first(client: Client, service: Service, shop: Shop) -> None:
    old = report(service, shop.fingerprint, REPORT | BROKEN, age=300)
    report(service, "key_nobody", REPORT)
    report(service, None, {"apiversion": "v1"}, age=0)
    text = client.get("/errors").text
    missing, unknown, reported = rows(text)
    assert missing[1].startswith("missing_parameter Missing: apiKey, ")
    assert missing[2:] == ["internal", *[NONE] * 4, "open"]
    assert unknown[1].startswith("unknown_api_key The key is not registered")
    assert unknown[2:] == ["internal", "not registered", "orders v1", "/orders/7", "200", "open"]
    assert reported[1:] == [
        f"E17 No stock of {EVIL}",
        "reported",
        "Acme",
        "orders v1",
        "/orders/7",
        "503",
        "open",
    ]
    assert f'href="/errors/{old.id}"' in text
    assert f'href="/customers/{shop.customer}"' in text
    assert re.search(r'href="/errors" aria-current="page"><svg[^\n]*</svg>Errors</a>', text)


def test_the_list_is_filtered(client: Client, editor: Client, service: Service, shop: Shop) -> None:
    report(service, shop.fingerprint, REPORT | BROKEN)
    report(service, shop.fingerprint, REPORT | {"apiversion": "v9"})
    done = report(service, "key_nobody", REPORT | {"apiName": "stock"})
    assert editor.post(f"/errors/{done.id}/resolve").status_code == 303
    assert codes(client) == ["unknown_route", "E17"]
    assert codes(client, state="resolved") == ["unknown_api_key"]
    everything = codes(client, state="all")
    assert len(everything) == 5  # two came with the shop
    assert codes(client, origin="internal") == ["unknown_route"]
    assert codes(client, origin="reported") == ["E17"]
    assert codes(client, api="stock", state="all") == ["unknown_api_key"]
    assert codes(client, code="unknown_route") == ["unknown_route"]
    for name in (shop.customer, "acme", "Acme"):
        assert codes(client, customer=name) == ["unknown_route", "E17"]
    assert codes(client, **{"from": "2020-01-01T00:00", "to": "2020-02-01T00:00"}) == []
    for query in ("code=zzz", "customer=nobody", "from=2020-01-01T00:00&to=2020-02-01T00:00"):
        assert "No error matches these filters" in client.get(f"/errors?{query}").text


def test_all_that_is_open_can_be_resolved(client: Client, editor: Client, service: Service) -> None:
    error = report(service, None, {})
    editor.post(f"/errors/{error.id}/resolve")
    assert "No open errors" in client.get("/errors").text


@pytest.mark.parametrize("query", ["state=x", "origin=x", "code=%00", "from=x"])
def test_a_filter_that_cannot_be_is_refused(client: Client, query: str) -> None:
    assert client.get(f"/errors?{query}").status_code == 400


def test_a_filter_is_taken_away_by_itself_and_lasts(client: Client, service: Service, shop: Shop) -> None:
    error = report(service, shop.fingerprint, REPORT | BROKEN)
    text = client.get(f"/errors?code=E17&customer={shop.customer}").text
    links = [html.unescape(link) for link in re.findall(r'href="([^"]*)" aria-label="Remove', text)]
    assert links == [f"/errors?customer={shop.customer}", "/errors?code=E17"]
    assert "<b>Customer</b><span>Acme</span>" in text
    inside = html.unescape(client.get(f"/errors/{error.id}?code=E17&customer={shop.customer}").text)
    assert f'href="/errors?code=E17&customer={shop.customer}">← Errors' in inside
    assert "Remove the custom time" in client.get("/errors?from=2020-01-01T00:00&to=2020-02-01T00:00").text


def test_many_errors_come_in_pages(client: Client, service: Service) -> None:
    for number in range(60):
        report(service, None, {"apiName": "busy", "id": f"r{number}"})
    first = client.get("/errors?code=missing_parameter").text
    following = next(html.unescape(link) for link in re.findall(r'href="([^"]*after=[^"]*)"', first))
    assert "code=missing_parameter" in following
    second = client.get(following).text
    assert (len(rows(first)), len(rows(second))) == (50, 10)
    assert not set(re.findall(r"err_\w+", first)) & set(re.findall(r"err_\w+", second.partition("<tbody>")[2]))
    assert "No error further back" in client.get("/errors?after=err_0").text


@pytest.mark.parametrize(
    ("document", "advice"),
    [
        (REPORT, "Register the key with its customer"),
        ({"apiversion": "v1"}, "Correct it and replay it"),
        (REPORT | BROKEN, "Register the key with its customer"),
    ],
)
def test_an_error_says_what_to_do(client: Client, service: Service, document: dict[str, Any], advice: str) -> None:
    report(service, "key_nobody", document)
    with service.catalog.reading() as records:
        error = records.find(ApiError, is_internal=True)[0]
    text = html.unescape(client.get(f"/errors/{error.id}").text)
    assert advice in text
    assert '"apiversion": "v1"' in text
    assert str(error.event_id) in text
    assert "/requests?consumer=key_nobody" in text


def test_a_reported_error_is_shown_and_cannot_be_replayed(editor: Client, service: Service, shop: Shop) -> None:
    error = report(service, shop.fingerprint, REPORT | BROKEN)
    text = editor.get(f"/errors/{error.id}").text
    assert "Mend the API, then resolve it." in text
    assert EVIL in html.unescape(text)
    assert forms(text) == ["/logout", f"/errors/{error.id}/resolve"]
    refused = editor.post(f"/errors/{error.id}/replay")
    assert refused.status_code == 409
    assert "there is nothing to replay: resolve it." in refused.text
    assert now(service, error).resolved_at is None


def test_an_error_is_resolved_once(editor: Client, service: Service, shop: Shop) -> None:
    error = report(service, shop.fingerprint, REPORT | BROKEN)
    before = changes(service)
    for _ in range(2):
        answer = editor.post(f"/errors/{error.id}/resolve?code=E17")
        assert answer.headers["location"] == f"/errors/{error.id}?done=resolved&code=E17"
    assert changes(service) == before + 1
    assert now(service, error).internal_error_status == 1
    text = editor.get(answer.headers["location"]).text
    assert "It is resolved." in text
    assert forms(text) == ["/logout"]
    assert "What to do" not in text
    audit = editor.get("/audit?kind=api_error").text
    assert f'href="/errors/{error.id}"' in audit
    assert rows(audit)[0][2] == "boss"


def test_a_replay_works_when_the_cause_is_gone(editor: Client, service: Service) -> None:
    fingerprint = fingerprint_of(SECRET)
    error = report(service, fingerprint, REPORT | {"apiName": "stock"})
    refused = editor.post(f"/errors/{error.id}/replay", data={})
    assert refused.status_code == 409
    assert "The cause is still there. The key is not registered" in refused.text
    assert now(service, error).resolved_at is None
    assert mend(service) == fingerprint
    answer = editor.post(f"/errors/{error.id}/replay", data={})
    assert answer.status_code == 303
    assert "its call is counted once" in editor.get(answer.headers["location"]).text
    assert now(service, error).resolved_at is not None
    assert editor.post(f"/errors/{error.id}/replay", data={}).status_code == 303
    assert stored(service) == 1


def test_a_report_is_corrected_and_replayed(editor: Client, service: Service) -> None:
    fingerprint = mend(service)
    sent = {**REPORT, "apiName": "stock", "apiVersion": "v1", "httpStatusCode": "x", "timeTakenInMilliSeconds": None}
    del sent["apiversion"]
    error = report(service, fingerprint, sent)
    text = editor.get(f"/errors/{error.id}").text
    fields = dict(re.findall(r'<input name="(\w+)" value="([^"]*)"', text))
    assert fields["apiVersion"] == "v1"
    assert (fields["httpStatusCode"], fields["timeTakenInMilliSeconds"]) == ("x", "")
    assert not {"apiversion", "apiKey"} & fields.keys()
    refused = editor.post(f"/errors/{error.id}/replay", data=fields | {"httpStatusCode": "y<b>"})
    assert refused.status_code == 422
    assert "The report still cannot be taken. Missing: timeTakenInMilliSeconds." in refused.text
    assert 'name="httpStatusCode" value="y&lt;b&gt;"' in refused.text
    right = fields | {"httpStatusCode": "200", "timeTakenInMilliSeconds": "8", "unknown": "x"}
    assert editor.post(f"/errors/{error.id}/replay", data=right).status_code == 303
    assert now(service, error).resolved_at is not None
    assert stored(service) == 1


def test_a_key_is_given_and_never_shown(editor: Client, service: Service) -> None:
    mend(service)
    error = report(service, None, REPORT | {"apiName": "stock"})
    assert 'name="apiKey" value=""' in editor.get(f"/errors/{error.id}").text
    refused = editor.post(f"/errors/{error.id}/replay", data={"apiKey": SECRET, "httpStatusCode": "x"})
    assert refused.status_code == 422
    assert SECRET not in refused.text
    assert editor.post(f"/errors/{error.id}/replay", data={"apiKey": SECRET}).status_code == 303
    assert stored(service) == 1
    assert SECRET not in editor.get(f"/errors/{error.id}").text


def test_lines_that_a_field_loses_are_no_correction(editor: Client, service: Service) -> None:
    fingerprint = mend(service)
    document = REPORT | {"apiName": "stock", "errorCode": "E", "errorDescription": "a\nb", "httpStatusCode": 500}
    error = report(service, fingerprint, document | {"clientIPAdress": ""})
    given = {"errorDescription": "ab", "clientIPAdress": "::1"}
    assert editor.post(f"/errors/{error.id}/replay", data=given).status_code == 303
    with service.catalog.reading() as records:
        kept = records.find(ApiError, event_id=error.event_id, is_internal=False)
    assert [one.description for one in kept] == ["a\nb"]


@pytest.mark.parametrize("document", [[EVIL], EVIL, {"apiName": [EVIL], "id": {"x": EVIL}}, {EVIL: EVIL * 2_000}])
def test_whatever_was_sent_is_text(editor: Client, service: Service, document: object) -> None:
    error = report(service, None, document)
    for path in ("/errors", f"/errors/{error.id}", f"/errors?code={EVIL}&customer={EVIL}&api={EVIL}"):
        text = editor.get(path).text
        assert "<script>alert" not in text
    refused = editor.post(f"/errors/{error.id}/replay", data={"apiName": EVIL, "apiversion": EVIL, "apiKey": EVIL})
    assert refused.status_code == 422
    assert "<script>alert" not in refused.text
    assert EVIL.split(">")[0] in html.unescape(refused.text)


def test_the_page_of_a_customer_leads_here(client: Client, service: Service, shop: Shop) -> None:
    error = report(service, shop.fingerprint, REPORT | BROKEN)
    text = html.unescape(client.get(f"/customers/{shop.customer}").text)
    assert f'href="/errors?customer={shop.customer}&state=all"' in text
    assert f'href="/errors/{error.id}"' in text


def test_an_error_that_is_not_there(editor: Client) -> None:
    for answer in (editor.get("/errors/err_0"), *(editor.post(f"/errors/err_0/{do}") for do in ("resolve", "replay"))):
        assert answer.status_code == 404
        assert "There is no error" in html.unescape(answer.text)


def test_who_only_reads_sees_no_buttons_and_is_refused(client: Client, service: Service) -> None:
    error = report(service, None, {})
    assert forms(client.get(f"/errors/{error.id}").text) == ["/logout"]
    before = changes(service)
    for action in ("resolve", "replay"):
        assert client.post(f"/errors/{error.id}/{action}", data={"apiKey": SECRET}).status_code == 403
    assert (changes(service), stored(service)) == (before, 0)


def test_a_write_from_another_site_changes_nothing(editor: Client, service: Service) -> None:
    error = report(service, None, REPORT)
    before = changes(service)
    for action in ("resolve", "replay"):
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            answer = editor.post(f"/errors/{error.id}/{action}", data={"apiKey": SECRET}, headers=headers)
            assert answer.status_code == 403
            assert "another site" in answer.text
    assert (changes(service), stored(service)) == (before, 0)


def test_nobody_writes_without_a_session(anonymous: Client, service: Service) -> None:
    error = report(service, None, {})
    for action in ("resolve", "replay"):
        assert anonymous.post(f"/errors/{error.id}/{action}").status_code == 401
    assert now(service, error).resolved_at is None


def test_links_honour_the_mount(make_client: Callable[..., Client], service: Service) -> None:
    error = report(service, None, {})
    client = make_client(root_path="/tolls")
    client.cookies.set(
        "tollkeeper_session", service.access.log_in_by_token(service.access.create_token("top", "admin"))
    )
    assert f'href="/tolls/errors/{error.id}"' in client.get("/errors").text
    answer = client.post(f"/errors/{error.id}/resolve")
    assert answer.headers["location"] == f"/tolls/errors/{error.id}?done=resolved"
