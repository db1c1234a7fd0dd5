"""The limits of a subscription: of its own, and over those of its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tollkeeper.billing.limit import Terms
from tollkeeper.billing.limit_check import check_terms
from tollkeeper.billing.terms import LimitPeriod, RouteLimit
from tollkeeper.errors import UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.service.fields import Endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.billing.subscription import Subscription
    from tollkeeper.service.audit import Edit

__all__ = ["NewLimit", "check_overrides", "set_limits"]


class NewLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a subscription may use of an ``endpoint`` in a ``period``; null is all endpoints together."""

    endpoint: Endpoint | None = None
    limit: Annotated[int, Meta(ge=0, le=2**53)]
    period: LimitPeriod = "month"


def set_limits(edit: Edit, subscription: Subscription, limits: Sequence[NewLimit]) -> None:
    """Make these the limits of a subscription, and no others; two of one endpoint and period: UnprocessableError."""
    wanted = {(one.endpoint, one.period): one for one in limits}
    if len(wanted) < len(limits):
        raise UnprocessableError("Two limits are for the same endpoint and period: give one.")
    for old in edit.records.find(RouteLimit, subscription=subscription.id):
        same = wanted.get((old.endpoint, old.period))
        if same is not None and same.limit == old.limit:
            del wanted[old.endpoint, old.period]
        else:
            edit.remove(old)
    for new in wanted.values():
        edit.add(
            RouteLimit(
                id=record_id("lim"),
                subscription=subscription.id,
                endpoint=new.endpoint,
                limit=new.limit,
                period=new.period,
                created_at=edit.now,
            )
        )


def check_overrides(overrides: dict[str, Any]) -> dict[str, Any]:
    """The overrides as they are kept, what they say of limits in its shortest form; raises UnprocessableError."""
    try:
        terms = check_terms(Terms.said(overrides), override=True)
    except msgspec.ValidationError as error:
        raise UnprocessableError(f"{error}.".replace(" - at `$.", " in `overrides.")) from None
    said: dict[str, Any] = msgspec.to_builtins(terms)
    return overrides | said
