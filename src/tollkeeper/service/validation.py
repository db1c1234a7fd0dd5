"""May this key call this route now, in the words of api-usage-ms: what is asked of the gate, and what it answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.codec import check_units
from tollkeeper.service.gate import GateCall

if TYPE_CHECKING:
    from tollkeeper.events.lease import LimitState
    from tollkeeper.service.gate import Decision

__all__ = ["Quota", "Validation", "ValidationRequest", "gate_call", "validation"]

MICRO = 1_000_000
WITHOUT_NUL = r"^[^\x00]*$"
"""PostgreSQL keeps no text with that character."""
Name = Annotated[str, Meta(max_length=255, pattern=WITHOUT_NUL)]


class ValidationRequest(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is to be called; without ``endPointName`` key, subscription and the limits of all endpoints decide.

    With ``reserve`` the units stay reserved until the call is reported, or for ``reservation_seconds``; without, they
    are counted at once.
    """

    api_name: Name | None = None
    api_version: Name | None = None
    end_point_name: Annotated[str, Meta(max_length=1024, pattern=WITHOUT_NUL)] | None = None
    units: Annotated[Decimal, Meta(description="How much the call will count; up to 6 decimals.")] = Decimal(1)
    reserve: bool = True


class Quota(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the tightest limit of a call stands, in whole units; what is reserved is used."""

    limit: int
    used: int
    remaining: int
    resets_at: datetime


class Validation(Struct, frozen=True, kw_only=True):
    """It may be called: by which customer, under which plan; ``quota`` is null when nothing limits it."""

    valid: bool = True
    customer: str
    plan: str
    quota: Quota | None = None


def gate_call(secret: str | None, asked: ValidationRequest) -> GateCall:
    """What to ask the gate; InvalidRequestError for units that no call may have."""
    try:
        check_units(asked.units)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from None
    return GateCall(
        secret=secret or None,
        api=asked.api_name,
        api_version=asked.api_version,
        endpoint=asked.end_point_name,
        units=int(asked.units * MICRO),
        reserve=asked.reserve,
    )


def validation(decision: Decision) -> Validation:
    """What to say of a call that was admitted."""
    return Validation(
        customer=decision.customer or "",
        plan=decision.plan or "",
        quota=_quota(decision.limits[0]) if decision.limits else None,
    )


def _quota(limit: LimitState) -> Quota:
    # Seconds until then were counted a moment ago: what is left over of the second is that moment.
    resets_at = datetime.now(UTC) + timedelta(seconds=limit.resets, milliseconds=1)
    whole, remaining = limit.quota // MICRO, max(limit.remaining // MICRO, 0)
    return Quota(
        limit=whole,
        used=max(whole - remaining, 0),
        remaining=remaining,
        resets_at=resets_at.replace(microsecond=0),
    )
