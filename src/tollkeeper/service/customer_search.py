"""Finding a customer by what somebody remembers of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.service.listing import Listed, find_named, list_records

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Records

__all__ = ["customers_called", "find_customer", "search_customers"]

CHUNK = 1_000
SCANNED = 20_000
KEY_FIELDS = ("id", "fingerprint", "prefix")


def search_customers(records: Records, text: str, *, after: str | None = None, limit: int = 50) -> Listed[Customer]:
    """List up to ``limit`` customers behind a cursor, oldest first; all of them when the text is empty.

    The text is part of a name, an email address or an external id, in any case of letters; or the id of a customer; or
    the id, the fingerprint or the prefix of a key. Up to 20,000 customers are looked at, so a page may have a ``next``
    and few items, or none. ``limit`` is 1 to 1,000.
    """
    wanted = text.strip().casefold()
    if not wanted:
        return list_records(records, Customer, after=after, limit=limit)
    if owners := _by_key(records, text.strip()):
        return list_records(records, Customer, after=after, limit=limit, id=owners)
    found: list[Customer] = []
    for _ in range(SCANNED // CHUNK):
        chunk = records.page(Customer, after=after, limit=CHUNK)
        found += [customer for customer in chunk if _matches(customer, wanted)]
        if len(found) > limit:
            return Listed(found[:limit], found[limit - 1].id)
        if len(chunk) < CHUNK:
            return Listed(found, None)
        after = chunk[-1].id
    return Listed(found, after)


def find_customer(records: Records, name: str) -> Customer:
    """Find a customer by the id or the external id; raises UnprocessableError."""
    return find_named(records, Customer, name, "external_id")


def customers_called(records: Records, name: str) -> list[Customer]:
    """Who is called so: by the id, else the external id, else the name, which several may share."""
    for field in ("id", "external_id", "name"):
        found = records.find(Customer, **{field: name})
        if found:
            return found
    return []


def _by_key(records: Records, text: str) -> list[str]:
    """The customers whose keys are known by a text, 1,000 at most: keys that are brought along may begin alike."""
    for field in KEY_FIELDS:
        if keys := records.find(ApiKey, **{field: text}):
            return sorted({key.customer for key in keys})[:CHUNK]
    return []


def _matches(customer: Customer, wanted: str) -> bool:
    texts = (customer.name, customer.email, customer.external_id)
    return wanted == customer.id or any(wanted in text.casefold() for text in texts if text)
