"""Limits: how much a subscription may use in a period, and how fast; which of them a call falls under."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from tollkeeper.billing.terms import LimitPeriod

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tollkeeper.billing.plan import Plan
    from tollkeeper.billing.subscription import Subscription
    from tollkeeper.billing.terms import RouteLimit

__all__ = ["Limit", "QuotaGrant", "Rate", "Terms", "terms_of"]

OnFailure = Literal["admit", "deny"]
ApiName = Annotated[str, Meta(min_length=1, max_length=255, description="Name of an API; left out: all.")]
EndpointName = Annotated[str, Meta(min_length=1, max_length=1024, description="Route template; left out: all.")]
PRINTABLE = "!#$&'()+,/:;<=>?@[]^_`{}~-."


class Limit(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How many units may be used in a period: of an API and an endpoint by their names, None being all together.

    A ``limit`` of None is none at all, for an override that lifts it. A soft one (not ``hard``) is watched, and never
    refuses a call. Periods are those of the calendar where the customer is, or count from the ``anchor``; ``billing``
    is the subscription's billing period. Up to ``carry_over`` unused units come over into the next period.
    """

    limit: Annotated[int, Meta(ge=0, le=2**53)] | None
    period: LimitPeriod | Literal["billing"] = "month"
    api: ApiName | None = None
    endpoint: EndpointName | None = None
    hard: bool = True
    anchor: Annotated[datetime, Meta(tz=True)] | None = None
    carry_over: Annotated[int, Meta(ge=0, le=10**12)] = 0

    @property
    def name(self) -> str:
        """What it is called, the same for the same scope and period whatever the plan: usage counts on under it."""
        return _name(self.api, self.endpoint, self.period)


class Rate(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How many units may be used a second or minute, evenly; ``burst`` at once (None: as many as a period has)."""

    rate: Annotated[int, Meta(ge=0, le=100_000)] | None
    per: Literal["second", "minute"] = "second"
    burst: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    api: ApiName | None = None
    endpoint: EndpointName | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return _name(self.api, self.endpoint, f"per {self.per}")


class QuotaGrant(Struct, frozen=True, kw_only=True):
    """Units (millionths) that are added to a limit, by its name, in the one period that ``at`` lies in."""

    id: str
    subscription: str
    limit: str
    units: int
    at: datetime
    note: str | None = None
    created_at: datetime


class Terms(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """All that limits the calls of a subscription, and what to do when it cannot be known where they stand.

    It is also the form of what a plan's ``body`` and a subscription's ``overrides`` say of limits.
    """

    limits: Annotated[list[Limit], Meta(max_length=100)] = []
    rates: Annotated[list[Rate], Meta(max_length=100)] = []
    on_failure: OnFailure | None = None

    @classmethod
    def said(cls, document: Mapping[str, Any]) -> Terms:
        """What a plan's ``body`` or a subscription's ``overrides`` say of limits; other names are passed over.

        Raises msgspec.ValidationError.
        """
        return msgspec.convert({name: document[name] for name in cls.__struct_fields__ if name in document}, cls)

    def applying(self, api: str | None, endpoint: str | None) -> tuple[list[Limit], list[Rate]]:
        """The limits and rates that a call falls under, those without a figure left out."""
        return (
            [one for one in self.limits if one.limit is not None and _covers(one, api, endpoint)],
            [one for one in self.rates if one.rate is not None and _covers(one, api, endpoint)],
        )


def terms_of(plan: Plan | None, subscription: Subscription, route_limits: Iterable[RouteLimit]) -> Terms:
    """The plan's limits, with the subscription's in the place of those of the same name.

    Route limits count only when the subscription says that it has quota limits; overrides come last.
    """
    own = [
        Limit(limit=one.limit, period=one.period, endpoint=one.endpoint)
        for one in (route_limits if subscription.has_quota_limits else ())
    ]
    layers = [Terms.said(plan.body if plan else {}), Terms(limits=own), Terms.said(subscription.overrides)]
    return Terms(
        limits=list({one.name: one for layer in layers for one in layer.limits}.values()),
        rates=list({one.name: one for layer in layers for one in layer.rates}.values()),
        on_failure=next((layer.on_failure for layer in reversed(layers) if layer.on_failure), "admit"),
    )


def _covers(one: Limit | Rate, api: str | None, endpoint: str | None) -> bool:
    return one.api in {None, api} and one.endpoint in {None, endpoint}


def _name(api: str | None, endpoint: str | None, period: str) -> str:
    """Join the parts so that no two scopes share a name, in printable ASCII without quotes, as headers need it."""
    parts = [_quoted(api)] if api is not None else []
    return " ".join([*parts, "all" if endpoint is None else _quoted(endpoint), period])


def _quoted(name: str) -> str:
    # An endpoint that is called "all" is another thing than all endpoints.
    return "%61ll" if name == "all" else quote(name, safe=PRINTABLE, errors="replace")
