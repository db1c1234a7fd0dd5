"""Section by section: ``POST /v1/validateRequest``, with ``HasQuotaLimits`` and ``APIRouteCustomerLimit``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from conformance.usage_ms.shop import KEY, made_at, post, register, report
from tollkeeper.service.quota_folding import QuotaFolder

if TYPE_CHECKING:
    import httpx

    from support.running import Api


def ask(api: Api, *, key: str | None = KEY, **body: Any) -> httpx.Response:
    return api.anonymous.post("/v1/validateRequest", json=body, headers={"apikey": key} if key else {})


def limit(api: Api, customer: str, *limits: dict[str, Any], has_quota_limits: bool = True) -> None:
    """Subscribe a customer to the API ``orders`` once more, with limits of their own."""
    answer = api.admin.post("/v1/internal/unsubscribe", json={"customer": customer, "apiName": "orders"})
    assert answer.status_code == 200, answer.text
    body = {"customer": customer, "apiName": "orders", "pricingModelName": "gold", "limits": limits}
    answer = api.admin.post("/v1/internal/subscribe", json=body | {"hasQuotaLimits": has_quota_limits})
    assert answer.status_code == 201, answer.text


def test_a_key_with_an_active_subscription_is_valid(api: Api) -> None:
    register(api)
    for body in ({}, {"apiName": "orders"}, {"apiName": "orders", "apiVersion": "v1", "endPointName": "/orders"}):
        answer = ask(api, **body)
        assert answer.status_code == 200
        assert answer.json() == {"valid": True, "customer": "Acme", "plan": "gold", "quota": None}


@pytest.mark.parametrize("key", [None, "", "nobody-has-this-key"])
def test_401_unknown_key(api: Api, key: str | None) -> None:
    register(api)
    answer = ask(api, key=key)
    assert (answer.status_code, answer.json()["code"]) == (401, "unknown_api_key")
    assert answer.headers["content-type"] == "application/problem+json"


def test_401_a_key_that_was_revoked(api: Api) -> None:
    customer = register(api)
    (key,) = [key for key in api.admin.get("/v1/keys").json()["items"] if key["customer"] == customer]
    assert api.admin.post(f"/v1/keys/{key['id']}/revoke").status_code == 200
    answer = ask(api)
    assert (answer.status_code, answer.json()["code"]) == (401, "api_key_revoked")


def test_403_inactive_subscription(api: Api) -> None:
    customer = register(api)
    (subscription,) = api.admin.get("/v1/subscriptions", params={"customer": customer}).json()["items"]
    assert api.admin.post(f"/v1/subscriptions/{subscription['id']}/pause").status_code == 200
    answer = ask(api, apiName="orders")
    assert (answer.status_code, answer.json()["code"]) == (403, "no_subscription")


def test_403_an_api_without_a_subscription(api: Api) -> None:
    register(api)
    assert ask(api, apiName="others").status_code == 403


def test_403_route(api: Api) -> None:
    register(api)
    answer = ask(api, apiName="orders", apiVersion="v1", endPointName="/nothing")
    assert (answer.status_code, answer.json()["code"]) == (403, "unknown_route")


def test_without_an_api_name_several_are_ambiguous(api: Api) -> None:
    register(api, apis=("orders", "stock"))
    answer = ask(api)
    assert (answer.status_code, answer.json()["code"]) == (400, "ambiguous_api")


def test_a_customer_without_a_subscription_is_403(api: Api) -> None:
    made_at(api, "/v1/keys", {"customer": made_at(api, "/v1/customers", {"name": "New"}), "key": KEY})
    assert ask(api).status_code == 403


def test_the_quota_of_the_customer_and_route(api: Api) -> None:
    limit(api, register(api), {"endpointName": "/orders", "limit": 3, "period": "year"})
    for used in (1, 2, 3):
        answer = ask(api, endPointName="/orders")
        assert answer.status_code == 200
        quota = answer.json()["quota"]
        resets_at = datetime.fromisoformat(quota.pop("resetsAt"))
        assert quota == {"limit": 3, "used": used, "remaining": 3 - used}
        assert resets_at == datetime(datetime.now(UTC).year + 1, 1, 1, tzinfo=UTC)
        assert answer.headers["ratelimit-policy"].startswith('"/orders year";q=3;w=31')
        assert answer.headers["ratelimit"].startswith(f'"/orders year";r={3 - used};t=')
    assert ask(api).json()["quota"] is None, "the limit is that of the route"


def test_429_over_the_limit(api: Api) -> None:
    limit(api, register(api), {"limit": 1, "period": "year"})
    assert ask(api).status_code == 200
    answer = ask(api)
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
    assert answer.headers["content-type"] == "application/problem+json"
    assert 0 < int(answer.headers["retry-after"]) <= 366 * 86_400
    assert answer.headers["ratelimit-policy"].startswith('"all year";q=1;w=31')
    assert answer.headers["ratelimit"].startswith('"all year";r=0;t=')


def test_without_quota_limits_the_limits_do_not_count(api: Api) -> None:
    limit(api, register(api), {"limit": 0, "period": "year"}, has_quota_limits=False)
    assert ask(api).json()["quota"] is None


def test_units_are_reserved(api: Api) -> None:
    limit(api, register(api), {"limit": 10, "period": "year"})
    assert ask(api, units=7).json()["quota"]["remaining"] == 3
    assert ask(api, units=4).status_code == 429
    assert ask(api, units="2.5").json()["quota"] | {"resetsAt": ""} == {
        "limit": 10,
        "used": 10,
        "remaining": 0,
        "resetsAt": "",
    }
    assert ask(api, units=0.5).status_code == 200


def test_a_reservation_is_settled_by_the_report_and_a_count_is_not(api: Api) -> None:
    limit(api, register(api), {"limit": 10, "period": "year"})
    folder = QuotaFolder(api.service.events, api.service.catalog, api.service.quotas)
    for reserve, used in ((True, 1), (False, 3)):
        assert ask(api, endPointName="/orders", reserve=reserve).status_code == 200
        assert post(api, report(time=None, apiName="orders")).status_code == 202
        while folder.fold(1_000):
            pass
        assert ask(api, units=0).json()["quota"]["used"] == used


@pytest.mark.parametrize(
    "body",
    [
        {"units": -1},
        {"units": "much"},
        {"units": 0.0000001},
        {"reserve": "yes"},
        {"apiName": 7},
        {"endPointName": "\0"},
    ],
)
def test_400_for_what_it_cannot_be(api: Api, body: dict[str, Any]) -> None:
    register(api)
    answer = ask(api, **body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["code"] in {"invalid_request", "bad_request"}
