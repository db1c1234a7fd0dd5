"""API keys: made or brought along, shown once, rotated with overlap, revoked, expiring."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from tollkeeper.billing.customer import ApiKey, key_state_at
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import END
from tollkeeper.service.customer_search import find_customer
from tollkeeper.service.fields import Name, Time
from tollkeeper.service.key_format import check_key, new_key
from tollkeeper.service.listing import find_record

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from tollkeeper.service.audit import Edit
    from tollkeeper.store.protocols import Records

__all__ = ["Keys", "NewKey"]

SHOWN = 8


class NewKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made for a customer, by id or external id; ``key`` is one that is brought along."""

    customer: Name
    key: Annotated[str, Meta(min_length=16, max_length=512)] | None = None
    expires_at: Time | None = None


class Keys:
    """Makes and checks keys.

    The store has of each a hash, keyed with the store's ``pepper``, and the fingerprint that events carry.
    """

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper

    def create(self, edit: Edit, new: NewKey) -> tuple[ApiKey, str]:
        """Make a key; its secret, which comes with it, cannot be had again.

        Raises ConflictError when a key was registered before, UnprocessableError when it is no key of ours or expired.
        """
        customer = find_customer(edit.records, new.customer)
        if new.expires_at is not None and not edit.now < new.expires_at < END:
            raise UnprocessableError("expires_at is not between now and 9999: give another time, or leave it out.")
        secret = new_key() if new.key is None else check_key(new.key)
        return self._add(edit, customer.id, secret, new.expires_at), secret

    def find(self, records: Records, secret: str) -> ApiKey | None:
        """The key with this secret, whatever its state; the comparison takes as long for every wrong one."""
        for key in records.find(ApiKey, fingerprint=fingerprint(secret)):
            if self.opens(key, secret):
                return key
        return None

    def opens(self, key: ApiKey, secret: str) -> bool:
        """Whether this is the secret of a key; it takes as long for every wrong one."""
        return hmac.compare_digest(key.digest, self._digest(secret))

    def rotate(self, edit: Edit, key_id: str, *, overlap: timedelta) -> tuple[ApiKey, str]:
        """Make a key in the place of another, which expires after ``overlap`` at the latest; as ``create``."""
        old = find_record(edit.records, ApiKey, key_id)
        if (state := key_state_at(old, edit.now)) != "active":
            raise ConflictError(f"The key {old.prefix}… is {state}: make a new one instead.")
        if old.replaced_by is not None:
            raise ConflictError(f"The key {old.prefix}… was rotated already: rotate {old.replaced_by}.")
        secret = new_key()
        new = self._add(edit, old.customer, secret, old.expires_at)
        end = min(edit.now + overlap, old.expires_at or edit.now + overlap)
        edit.replace(old, replace(old, expires_at=end, replaced_by=new.id))
        return new, secret

    def revoke(self, edit: Edit, key_id: str) -> ApiKey:
        """Take a key out of force now; idempotent. Raises NotFoundError."""
        old = find_record(edit.records, ApiKey, key_id)
        if old.revoked_at is not None:
            return old
        new = replace(old, revoked_at=edit.now)
        edit.replace(old, new)
        return new

    def _add(self, edit: Edit, customer: str, secret: str, expires_at: datetime | None) -> ApiKey:
        printed = fingerprint(secret)
        if edit.records.find(ApiKey, fingerprint=printed):
            raise ConflictError("This key is registered already: give another one, or let us make one.")
        key = ApiKey(
            id=record_id("key"),
            customer=customer,
            prefix=secret[:SHOWN],
            digest=self._digest(secret),
            fingerprint=printed,
            expires_at=expires_at,
            created_at=edit.now,
        )
        edit.add(key)
        return key

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._pepper, secret.encode("utf-8", "surrogatepass"), "sha256")
