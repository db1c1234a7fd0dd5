"""The kinds of records: the table of each, the prefix of its ids, and which of its values are unique."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.failure import ApiError
from tollkeeper.billing.limit import QuotaGrant
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.billing.subscription import Subscription, SubscriptionPause
from tollkeeper.billing.terms import PlanChange, RouteLimit
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.store.audit import AuditEntry, IdempotentAnswer
from tollkeeper.store.invoices import Invoice, InvoiceEmail, InvoiceLine, InvoiceSeries, IssuedCreditNote
from tollkeeper.store.operations import AlertChannel, AlertRule, JobRun, Message
from tollkeeper.store.selling import BillingProfile, CustomerCoupon, CustomerWallet, InvoiceItem, SubscriptionPrice

__all__ = ["KINDS", "Kind", "Unique", "id_of"]


class Unique(Struct, frozen=True):
    """Columns whose values no two records share; two None are different, unless ``nulls_equal``.

    With ``open_only``, records whose ``ended_at`` is set do not count.
    """

    columns: tuple[str, ...]
    nulls_equal: bool = False
    open_only: bool = False


class Kind(Struct, frozen=True):
    """One kind of record; ``noun`` is what a message calls it."""

    record: type[Struct]
    table: str
    noun: str
    unique: tuple[Unique, ...] = ()


def _kinds(*kinds: Kind) -> dict[type[Struct], Kind]:
    return {kind.record: kind for kind in kinds}


def id_of(record: Any) -> str:
    """The id of a record of any kind."""
    found: str = record.id
    return found


KINDS = _kinds(
    Kind(Api, "api", "API", (Unique(("name",)),)),
    Kind(ApiVersion, "api_version", "version", (Unique(("api", "name")),)),
    Kind(ApiRoute, "api_route", "route", (Unique(("version", "endpoint", "method"), nulls_equal=True),)),
    Kind(RoutePrice, "route_price", "price", (Unique(("route", "valid_from")),)),
    Kind(Customer, "customer", "customer", (Unique(("external_id",)),)),
    Kind(ApiKey, "api_key", "key", (Unique(("digest",)), Unique(("fingerprint",)))),
    Kind(Plan, "plan", "plan", (Unique(("name",)),)),
    Kind(
        Subscription,
        "subscription",
        "subscription",
        (Unique(("customer", "api", "version"), nulls_equal=True, open_only=True),),
    ),
    Kind(SubscriptionPause, "subscription_pause", "pause", (Unique(("subscription", "paused_at")),)),
    Kind(PlanChange, "plan_change", "plan change", (Unique(("subscription", "effective_at")),)),
    Kind(RouteLimit, "route_limit", "limit", (Unique(("subscription", "endpoint", "period"), nulls_equal=True),)),
    Kind(QuotaGrant, "quota_grant", "grant"),
    Kind(MeterDefinition, "meter", "meter", (Unique(("name",)),)),
    Kind(
        SubscriptionPrice, "subscription_price", "price of its own", (Unique(("subscription", "price", "valid_from")),)
    ),
    Kind(CustomerCoupon, "coupon", "coupon"),
    Kind(CustomerWallet, "wallet", "wallet"),
    Kind(InvoiceItem, "invoice_item", "one-off line"),
    Kind(BillingProfile, "billing_profile", "billing profile", (Unique(("customer",)),)),
    Kind(Invoice, "invoice", "invoice", (Unique(("customer", "period", "currency", "attempt")), Unique(("number",)))),
    Kind(InvoiceLine, "invoice_line", "line", (Unique(("invoice", "n")),)),
    Kind(InvoiceSeries, "invoice_series", "series", (Unique(("name",)),)),
    Kind(IssuedCreditNote, "credit_note", "credit note", (Unique(("number",)),)),
    Kind(InvoiceEmail, "invoice_email", "e-mail"),
    Kind(AlertChannel, "alert_channel", "channel", (Unique(("name",)),)),
    Kind(AlertRule, "alert_rule", "rule", (Unique(("name",)),)),
    Kind(Message, "message", "message", (Unique(("channel", "cause")),)),
    Kind(JobRun, "job_run", "run", (Unique(("job", "at")),)),
    Kind(ApiError, "api_error", "error"),
    Kind(AuditEntry, "audit", "audit entry"),
    Kind(IdempotentAnswer, "idempotent_answer", "answer"),
)
