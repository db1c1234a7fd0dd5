"""Whose calls are and what they cost, from the catalogue as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.billing.resolve import Facts, Resolver
from tollkeeper.billing.subscription import Subscription, SubscriptionPause
from tollkeeper.billing.terms import PlanChange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["load_customers", "load_facts", "load_products", "load_resolver"]


def load_resolver(store: RecordStore, consumers: Iterable[str]) -> Resolver:
    """Read, in one snapshot, what is needed to resolve calls of these consumers, given by the keys in their events."""
    with store.reading() as records:
        return Resolver(load_facts(records, consumers))


def load_facts(records: Records, consumers: Iterable[str]) -> Facts:
    """Read what is needed to resolve calls of these consumers, the products whole."""
    known = load_customers(records, consumers)
    return replace(
        load_products(records),
        keys=known.keys,
        customers=known.customers,
        subscriptions=known.subscriptions,
        pauses=known.pauses,
        changes=known.changes,
    )


def load_products(records: Records) -> Facts:
    """Read everything that is sold, and to nobody."""
    return Facts(
        apis=records.find(Api),
        versions=records.find(ApiVersion),
        routes=records.find(ApiRoute),
        prices=records.find(RoutePrice),
        plans=records.find(Plan),
    )


def load_customers(records: Records, consumers: Iterable[str]) -> Facts:
    """Read whom these consumers belong to, in a handful of queries however many they are, and none of the products."""
    keys = records.find(ApiKey, fingerprint=sorted(set(consumers)))
    if not keys:
        return Facts()
    customers = records.find(Customer, id=sorted({key.customer for key in keys}))
    subscriptions = records.find(Subscription, customer=[customer.id for customer in customers])
    ids = [subscription.id for subscription in subscriptions]
    return Facts(
        keys=keys,
        customers=customers,
        subscriptions=subscriptions,
        pauses=records.find(SubscriptionPause, subscription=ids),
        changes=records.find(PlanChange, subscription=ids),
    )
