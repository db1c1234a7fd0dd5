"""Records of what was done to the others: who changed what, and what a request was answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

__all__ = ["AuditEntry", "IdempotentAnswer"]


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One change of one record: who made it, and the record before and after, as JSON without secrets."""

    id: str
    at: datetime
    actor: str
    action: Literal["create", "update", "delete"]
    kind: str
    record: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class IdempotentAnswer(Struct, frozen=True, kw_only=True):
    """What a request with an ``Idempotency-Key`` was answered; ``body`` is sealed, for it may hold a new secret."""

    id: str
    request: bytes
    status: int
    location: str | None
    salt: bytes
    body: bytes
    at: datetime
