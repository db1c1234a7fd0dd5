"""What a customer used, in the words of api-usage-ms: by period, API, version and endpoint, from roll-ups."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from tollkeeper.billing.customer import ApiKey, key_state_at
from tollkeeper.billing.product import ApiRoute, ApiVersion
from tollkeeper.billing.resolve import Call, Resolver
from tollkeeper.errors import AuthenticationError, InvalidRequestError
from tollkeeper.metering.usage import Filters, Totals, UsageQuery
from tollkeeper.metering.window import DAY
from tollkeeper.service.resolution import load_resolver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tollkeeper.metering.usage import UsageRow
    from tollkeeper.service.intervals import Interval
    from tollkeeper.service.keys import Keys
    from tollkeeper.service.periods import Period
    from tollkeeper.store.protocols import Records, RecordStore, UsageStore

__all__ = ["Caller", "UsageLine", "find_caller", "list_usage"]

MICRO = Decimal(1_000_000)


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks for what: all keys of a customer, by their fingerprints, and the version and endpoint they name."""

    customer: str
    consumers: list[str]
    api_version: str | None
    endpoint: str | None


class UsageLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """The usage of one endpoint in one calendar period; None where the catalogue knows no API or version."""

    period: str
    api_name: str | None
    api_version: str | None
    end_point_name: str
    calls: int
    errors: int
    units: Decimal


def find_caller(
    records: Records, keys: Keys, secret: str | None, *, api_version: str | None, endpoint: str | None, now: datetime
) -> Caller:
    """Find the customer with a key in force.

    Raises AuthenticationError without one, InvalidRequestError for a version or an endpoint that nobody registered.
    """
    key = keys.find(records, secret) if secret else None
    if key is None:
        raise AuthenticationError("The apiKey is not registered: send one that is.", code="unknown_api_key")
    if (state := key_state_at(key, now)) != "active":
        raise AuthenticationError(f"The apiKey is {state}: send one that is in force.", code="unknown_api_key")
    versions = [] if api_version is None else records.find(ApiVersion, name=api_version)
    if api_version is not None and not versions:
        raise InvalidRequestError(f"apiVersion is {api_version[:100]!r}: no API has such a version.")
    where = {"version": [version.id for version in versions]} if versions else {}
    if endpoint is not None and not records.find(ApiRoute, endpoint=endpoint, **where):
        raise InvalidRequestError(f"endPointName is {endpoint[:100]!r}: no such endpoint is registered.")
    consumers = [one.fingerprint for one in records.find(ApiKey, customer=key.customer)]
    return Caller(customer=key.customer, consumers=consumers, api_version=api_version, endpoint=endpoint)


def list_usage(store: RecordStore, events: UsageStore, caller: Caller, interval: Interval) -> list[UsageLine]:
    """Add up what a customer used, oldest period first; periods and endpoints without calls are left out."""
    resolver = load_resolver(store, caller.consumers)
    found: dict[tuple[str, str | None, str | None, str], Totals] = {}
    for consumer in caller.consumers:
        for name, period, row in _rows(events, consumer, caller.endpoint, interval):
            method, template, api, version = cast("tuple[str, str, str | None, str | None]", row.key[0])
            call = Call(consumer=consumer, api=api, api_version=version, endpoint=template, method=method)
            api, version = _product(resolver, call, period)
            if caller.api_version in {None, version}:
                key = (name, api, version, template)
                found[key] = found.get(key, Totals()) + row.totals
    ordered = sorted(found.items(), key=lambda item: [part or "" for part in item[0]])
    return [
        UsageLine(
            period=name,
            api_name=api,
            api_version=version,
            end_point_name=endpoint,
            calls=totals.requests,
            errors=totals.errors,
            units=Decimal(totals.units) / MICRO,
        )
        for (name, api, version, endpoint), totals in ordered
    ]


def _rows(
    events: UsageStore, consumer: str, endpoint: str | None, interval: Interval
) -> Iterator[tuple[str, Period, UsageRow]]:
    """What the roll-ups have of a key: days in one query, longer periods, which differ in length, in one each."""
    filters = Filters(consumer=consumer, route=endpoint)
    named = dict(interval.periods())
    if interval.kind == "d":
        by_start = {period.start // DAY: (name, period) for name, period in named.items()}
        asked = interval.period
        query = UsageQuery(start=asked.start, end=asked.end, step=DAY, group_by=("route",), filters=filters)
        for row in events.usage(query):
            yield *by_start[row.start // DAY], row
        return
    for name, period in named.items():
        query = UsageQuery(start=period.start, end=period.end, group_by=("route",), filters=filters)
        for row in events.usage(query):
            yield name, period, row


def _product(resolver: Resolver, call: Call, period: Period) -> tuple[str | None, str | None]:
    """The names of the API and the version of calls, as they are at the end of a period."""
    found = resolver.resolve(call, period.end - 1)
    return found.api.name if found.api else call.api, found.version.name if found.version else call.api_version
