"""Rules: when to tell, and whom."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, replace

from tollkeeper.billing.product import Api
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.service.customer_search import find_customer
from tollkeeper.service.fields import Endpoint, Name
from tollkeeper.service.listing import find_named, find_record
from tollkeeper.store.operations import AlertChannel, AlertRule, RuleKind

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit
    from tollkeeper.store.protocols import Records

__all__ = ["NewRule", "RulePatch", "create_rule", "remove_rule", "update_rule"]

NEEDS_THRESHOLD = frozenset({"error_rate", "latency"})
NO_THRESHOLD = frozenset({"invalid_subscription", "quota_reset", "silence"})
MOST: dict[str, int] = {"error_rate": 1, "quota": 10, "latency": 3_600}
Minutes = Annotated[int, Meta(ge=1, le=1440, description="How long a time is looked at.")]
Threshold = Annotated[
    Decimal, Meta(description="A share of 1 (error_rate, quota) or seconds of the 95th percentile (latency).")
]


class NewRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rule to be made; ``channels`` are ids or names, ``customer`` an id or an external id, ``api`` a name or id."""

    name: Name
    kind: RuleKind
    channels: Annotated[list[Name], Meta(max_length=20)]
    threshold: Threshold | None = None
    minutes: Minutes = 5
    api: Name | None = None
    endpoint: Endpoint | None = None
    customer: Name | None = None
    paused: bool = False


class RulePatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed of a rule; null takes a value away."""

    name: Name | UnsetType = UNSET
    channels: Annotated[list[Name], Meta(max_length=20)] | UnsetType = UNSET
    threshold: Threshold | UnsetType | None = UNSET
    minutes: Minutes | UnsetType = UNSET
    api: Name | UnsetType | None = UNSET
    endpoint: Endpoint | UnsetType | None = UNSET
    customer: Name | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET


def create_rule(edit: Edit, new: NewRule) -> AlertRule:
    """Make a rule; raises ConflictError or UnprocessableError."""
    known = AlertRule(id=record_id("rul"), created_at=edit.now, **asdict(new) | {"channels": {}})
    rule = _checked(edit.records, replace(known, channels=_channels(edit.records, new.channels)))
    edit.add(rule)
    return rule


def update_rule(edit: Edit, rule_id: str, patch: RulePatch) -> AlertRule:
    """Change a rule; raises NotFoundError, ConflictError or UnprocessableError."""
    old = find_record(edit.records, AlertRule, rule_id)
    changes = {name: value for name, value in asdict(patch).items() if value is not UNSET}
    if not isinstance(patch.channels, UnsetType):
        changes["channels"] = _channels(edit.records, patch.channels)
    new = _checked(edit.records, replace(old, **changes))
    edit.replace(old, new)
    return new


def remove_rule(edit: Edit, rule_id: str) -> None:
    """Take a rule away; raises NotFoundError. Messages that wait are sent all the same."""
    edit.remove(find_record(edit.records, AlertRule, rule_id))


def _checked(records: Records, rule: AlertRule) -> AlertRule:
    if any(other.id != rule.id for other in records.find(AlertRule, name=rule.name)):
        raise ConflictError(f"There is a rule {rule.name!r} already.")
    _check_threshold(rule)
    if rule.kind == "invalid_subscription" and rule.endpoint is not None:
        raise UnprocessableError("A key or a subscription is not in force for all endpoints: leave endpoint out.")
    customer = find_customer(records, rule.customer).id if rule.customer else None
    api = find_named(records, Api, rule.api, "name").name if rule.api else None
    return replace(rule, customer=customer, api=api)


def _check_threshold(rule: AlertRule) -> None:
    if rule.threshold is None:
        if rule.kind in NEEDS_THRESHOLD:
            raise UnprocessableError(f"A rule of {rule.kind} needs a threshold: 0.05 is 5 %, or 0.05 seconds.")
        return
    if rule.kind in NO_THRESHOLD:
        raise UnprocessableError(f"A rule of {rule.kind} has no threshold: leave it out.")
    most = MOST[rule.kind]
    if not rule.threshold.is_finite() or not 0 < rule.threshold <= most or rule.threshold != round(rule.threshold, 6):
        raise UnprocessableError(f"The threshold is not above 0, {most} at most, with up to 6 decimals.")


def _channels(records: Records, names: list[str]) -> dict[str, str]:
    found = [find_named(records, AlertChannel, name, "name") for name in names]
    return {channel.name: channel.id for channel in found}
