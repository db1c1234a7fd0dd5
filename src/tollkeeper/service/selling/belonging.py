"""What the credits of a customer share: to be found below the customer, and to expire in the time to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tollkeeper.billing.customer import Customer
from tollkeeper.errors import NotFoundError, UnprocessableError
from tollkeeper.events.timestamps import END
from tollkeeper.service.listing import find_record
from tollkeeper.store.catalog.kinds import KINDS
from tollkeeper.store.selling import CustomerCoupon, CustomerWallet, InvoiceItem

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.store.protocols import Records

__all__ = ["check_expiry", "find_of"]

R = TypeVar("R", CustomerCoupon, CustomerWallet, InvoiceItem)


def find_of(records: Records, kind: type[R], customer_id: str, record: str) -> R:
    """Find something of a customer by its id; raises NotFoundError."""
    customer = find_record(records, Customer, customer_id)
    found = find_record(records, kind, record)
    if found.customer != customer.id:
        raise NotFoundError(f"The customer {customer.id} has no {KINDS[kind].noun} {record[:100]!r}.")
    return found


def check_expiry(expires_at: datetime | None, now: datetime) -> None:
    """Refuse what has expired before it begins; raises UnprocessableError."""
    if expires_at is not None and not now < expires_at < END:
        raise UnprocessableError("expires_at is not between now and 9999: leave it out for what never expires.")
