"""An API that is sold, a customer of it, and reports of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from support.running import Api

__all__ = ["KEY", "post", "register", "report", "usage"]

KEY = "the-key-of-acme-0001"
TIME = "2026-03-10T12:00:00Z"
REPORT = {
    "apiversion": "v1",
    "endPointName": "/orders",
    "clientIPAdress": "203.0.113.7",
    "httpStatusCode": 200,
    "timeTakenInMilliSeconds": 12.5,
    "time": TIME,
}
START = "2020-01-01T00:00:00Z"


def register(api: Api, *, customer: str = "Acme", key: str = KEY, apis: tuple[str, ...] = ("orders",)) -> str:
    """Sell APIs to a customer since the beginning; the customer's id."""
    api.admin.post("/v1/plans", json={"name": "gold"})
    for name in apis:
        route = {"apiName": name, "apiVersion": "v1", "endpointName": "/orders"}
        price = {"pricePerCall": "0.01", "currency": "EUR"}
        answer = api.admin.post("/v1/internal/registerAPIRoute", json=route | price)
        assert answer.status_code in {201, 409}, answer.text
    made = made_at(api, "/v1/customers", {"name": customer})
    made_at(api, "/v1/keys", {"customer": made, "key": key})
    for name in apis:
        made_at(api, "/v1/subscriptions", {"customer": made, "plan": "gold", "api": name, "started_at": START})
    return made


def made_at(api: Api, path: str, body: dict[str, Any]) -> str:
    answer = api.admin.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def report(**changes: Any) -> dict[str, Any]:
    """A report; a parameter of None is left out."""
    return {name: value for name, value in (REPORT | changes).items() if value is not None}


def post(api: Api, body: Any, *, key: str | None = KEY) -> httpx.Response:
    """Send a report, or whatever else."""
    headers = {"apiKey": key} if key else {}
    if isinstance(body, str | bytes):
        return api.anonymous.post("/v1/usage", content=body, headers=headers)
    return api.anonymous.post("/v1/usage", json=body, headers=headers)


def usage(api: Api, call: str = "usage", *, key: str = KEY, version: str | None = "v1", **query: str) -> httpx.Response:
    """Ask for usage by day around the time of the reports, unless the query says otherwise."""
    headers = {"apiKey": key} | ({"apiVersion": version} if version else {})
    asked = {"intervalType": "d", "fromDate": "2026-03-01:00:00:00", "toDate": "2026-04-01:00:00:00"} | query
    return api.anonymous.get(f"/v1/{call}", headers=headers, params=asked)
