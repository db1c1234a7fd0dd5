"""What the charges of customers rest on, read in one snapshot of the catalogue."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tollkeeper.billing.charging import CustomerAccount
from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.price_rows import PriceRow, parse_price
from tollkeeper.billing.subscription import Subscription, SubscriptionPause
from tollkeeper.billing.terms import PlanChange
from tollkeeper.events.timestamps import END
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.service.resolution import load_products
from tollkeeper.service.selling.meters import meter_of
from tollkeeper.store.selling import SubscriptionPrice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from tollkeeper.store.protocols import Records

__all__ = ["load_accounts", "only_keys"]


def load_accounts(records: Records, customers: Sequence[Customer]) -> dict[str, CustomerAccount]:
    """The accounts of customers by their ids, in a handful of queries however many they are."""
    products = load_products(records)
    meters = {one.name: meter_of(one) for one in records.find(MeterDefinition)}
    ids = [customer.id for customer in customers]
    keys = _grouped(records.find(ApiKey, customer=ids), "customer")
    found = records.find(Subscription, customer=ids)
    subscriptions = _grouped(found, "customer")
    of = [one.id for one in found]
    pauses = _grouped(records.find(SubscriptionPause, subscription=of), "subscription")
    changes = _grouped(records.find(PlanChange, subscription=of), "subscription")
    prices = _grouped(records.find(SubscriptionPrice, subscription=of), "subscription")
    return {
        one.id: CustomerAccount(
            facts=replace(
                products,
                customers=[one],
                keys=keys[one.id],
                subscriptions=subscriptions[one.id],
                pauses=[pause for its in subscriptions[one.id] for pause in pauses[its.id]],
                changes=[change for its in subscriptions[one.id] for change in changes[its.id]],
            ),
            meters=meters,
            own_prices={its.id: _rows(prices[its.id]) for its in subscriptions[one.id] if prices[its.id]},
        )
        for one in customers
    }


def only_keys(account: CustomerAccount, keys: Collection[str]) -> CustomerAccount:
    """The account with those keys only whose events were read: a newer one is for the next time."""
    facts = account.facts
    if all(key.fingerprint in keys for key in facts.keys):
        return account
    return replace(account, facts=replace(facts, keys=[key for key in facts.keys if key.fingerprint in keys]))


def _rows(prices: Iterable[SubscriptionPrice]) -> dict[str, tuple[PriceRow, ...]]:
    rows: defaultdict[str, list[PriceRow]] = defaultdict(list)
    for one in sorted(prices, key=lambda price: price.valid_from):
        rows[one.price].append(
            PriceRow(price=parse_price(one.body), valid_from=one.valid_from, valid_to=one.valid_to or END)
        )
    return {price: tuple(found) for price, found in rows.items()}


def _grouped(records: Iterable[Any], field: str) -> defaultdict[str, list[Any]]:
    groups: defaultdict[str, list[Any]] = defaultdict(list)
    for record in records:
        groups[getattr(record, field)].append(record)
    return groups
