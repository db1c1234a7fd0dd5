"""An API that is sold with limits, and calls of it at the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

__all__ = ["KEY", "made", "sell"]

KEY = "the-key-of-acme-0001"


def sell(
    admin: httpx.Client,
    *,
    key: str = KEY,
    api: str = "orders",
    endpoints: tuple[str, ...] = ("/orders",),
    **overrides: Any,
) -> str:
    """Sell an API to a new customer with a key, limited by ``overrides``; the id of the subscription."""
    for endpoint in endpoints:
        route = {"apiName": api, "apiVersion": "v1", "endpointName": endpoint}
        made(admin, "/v1/internal/registerAPIRoute", route, there={409})
    made(admin, "/v1/plans", {"name": "gold"}, there={409})
    customer = made(admin, "/v1/customers", {"name": "Acme"})
    made(admin, "/v1/keys", {"customer": customer, "key": key})
    wanted = {"customer": customer, "plan": "gold", "overrides": overrides}
    return made(admin, "/v1/subscriptions", wanted | ({"api": api} if endpoints else {}))


def made(admin: httpx.Client, path: str, body: dict[str, Any], *, there: set[int] | None = None) -> str:
    """Make something of the catalogue; its id, empty when it is ``there`` already."""
    answer = admin.post(path, json=body)
    assert answer.status_code in {201} | (there or set()), answer.text
    return str(answer.json().get("id", ""))
