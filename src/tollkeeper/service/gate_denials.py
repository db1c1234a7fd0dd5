"""Why a call is refused, as its maker is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.events.lease import Denial

if TYPE_CHECKING:
    from tollkeeper.billing.admission import Refusal
    from tollkeeper.billing.customer import KeyState

__all__ = ["ambiguous_api", "key_denial", "no_room", "no_subscription", "unknown_route"]

MICRO = 1_000_000
SHOWN = 5
SHOWN_TEXT = 200


def key_denial(state: KeyState | None) -> Denial:
    """The key is not known (None), or not in force."""
    if state is None:
        return Denial(status=401, code="unknown_api_key", detail="The API key is not known: send one that is.")
    return Denial(status=401, code=f"api_key_{state}", detail=f"The API key is {state}: use one that is in force.")


def ambiguous_api(names: list[str]) -> Denial:
    """The key is subscribed to several APIs, and the call names none."""
    return Denial(
        status=400,
        code="ambiguous_api",
        detail=f"The key is subscribed to several APIs: name one of them ({', '.join(names[:SHOWN])}).",
    )


def no_subscription(api: str | None, version: str | None) -> Denial:
    """No subscription to the product is in force."""
    product = " ".join(filter(None, (api or "any API", version)))
    return Denial(status=403, code="no_subscription", detail=f"No subscription to {product} is in force.")


def unknown_route(endpoint: str, api: str | None) -> Denial:
    """The API has routes, and this is none of them."""
    return Denial(
        status=403, code="unknown_route", detail=f"{endpoint[:SHOWN_TEXT]} is no route of the API {api or 'called'}."
    )


def no_room(refusal: Refusal) -> Denial:
    """A quota or a rate leaves no room."""
    wait = None if refusal.wait is None else refusal.wait / MICRO
    kind, code = ("rate", "rate_limited") if refusal.paced else ("quota", "quota_exceeded")
    advice = "this is more than it ever allows" if wait is None else "call again later"
    return Denial(
        status=429, code=code, detail=f"The {kind} '{refusal.name}' has no room for this: {advice}.", retry_after=wait
    )
