"""Who pays, and the keys by which calls are known to be theirs."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

__all__ = ["ApiKey", "Customer", "KeyState", "key_state_at"]

KeyState = Literal["active", "expired", "revoked"]


class Customer(Struct, frozen=True, kw_only=True):
    """Who is billed; ``external_id`` is what another system calls them, ``time_zone`` an IANA name."""

    id: str
    name: str
    address: str | None = None
    email: str | None = None
    currency: str | None = None
    time_zone: str = "UTC"
    external_id: str | None = None
    created_at: datetime


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key without its secret: ``digest`` is a keyed hash of it, ``fingerprint`` what events know it by.

    Calls are the customer's whatever the state of the key: what was served is owed.
    """

    id: str
    customer: str
    prefix: str
    digest: bytes
    fingerprint: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    replaced_by: str | None = None
    created_at: datetime


def key_state_at(key: ApiKey, at: datetime) -> KeyState:
    """Whether a key was good at a time; both ends are exclusive, so it is not good at the moment it is revoked."""
    if key.revoked_at is not None and key.revoked_at <= at:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= at else "active"
