"""What the catalogue says of reported calls: which API is meant, and why one cannot be charged yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.resolve import Call
from tollkeeper.billing.subscription import is_served
from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.resolution import load_resolver

if TYPE_CHECKING:
    from collections.abc import Collection

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.store.protocols import RecordStore

__all__ = ["Cause", "ReportedCalls", "call_of"]


class Cause(Struct, frozen=True):
    """Why the customer, the subscription or the route of a call is not known; ``code`` is for programs."""

    code: str
    message: str


class ReportedCalls:
    """The calls of some consumers, against the catalogue as it was read. Not to be shared between threads."""

    def __init__(self, store: RecordStore, consumers: Collection[str]) -> None:
        self.consumers = frozenset(consumers)
        self._resolver = load_resolver(store, consumers)

    def api_at(self, consumer: str | None, at: int) -> str | None:
        """The one API that a consumer is subscribed to at a time (µs since 1970); None when it is to none.

        Raises InvalidRequestError when it is to several.
        """
        names = [api.name for api in self._resolver.apis(consumer, at)]
        if len(names) > 1:
            shown = ", ".join(names[:5])
            raise InvalidRequestError(
                f"The key is subscribed to several APIs: name one as apiName ({shown}).", code="ambiguous_api"
            )
        return names[0] if names else None

    def cause(self, event: UsageEvent) -> Cause | None:
        """Why the call of an event cannot be charged; None when all of it is known."""
        found = self._resolver.resolve(call_of(event), event.time_us)
        product = " ".join(filter(None, (event.api or "its API", event.api_version)))
        if found.key is None:
            return Cause("unknown_api_key", "The key is not registered: register it, and the call is its customer's.")
        if not is_served(found.state):
            return Cause("no_subscription", f"No subscription was in force for {product}: subscribe the customer.")
        if found.route is None:
            return Cause("unknown_route", f"{event.route} is no route of {product}: register it, or a default route.")
        return None


def call_of(event: UsageEvent) -> Call:
    """What an event says of its call."""
    return Call(
        consumer=event.consumer.key if event.consumer else None,
        api=event.api,
        api_version=event.api_version,
        endpoint=event.route,
        method=event.method,
    )
