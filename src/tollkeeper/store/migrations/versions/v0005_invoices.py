"""Meters, prices of one's own, coupons, wallets, and invoices with their lines."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from tollkeeper.store.migrations.tables import make_tables

__all__ = ["upgrade"]

revision = "0005"
down_revision = "0004"

# Times are microseconds, amounts exact decimals as text, documents JSON. A column that ends in ? may be NULL.
TEXT, NUMBER, BYTES, FLAG = sa.Text, sa.BigInteger, sa.LargeBinary, sa.Boolean
TABLES: dict[str, dict[str, type[sa.types.TypeEngine[Any]]]] = {
    "meter": {"id": TEXT, "name": TEXT, "body": TEXT, "created_at": NUMBER},
    "subscription_price": {
        "id": TEXT, "subscription": TEXT, "price": TEXT, "body": TEXT, "valid_from": NUMBER, "valid_to?": NUMBER,
        "created_at": NUMBER,
    },
    "coupon": {
        "id": TEXT, "customer": TEXT, "name": TEXT, "percent?": TEXT, "amount?": TEXT, "currency?": TEXT, "left?": TEXT,
        "invoices_left?": NUMBER, "expires_at?": NUMBER, "created_at": NUMBER,
    },
    "wallet": {
        "id": TEXT, "customer": TEXT, "name": TEXT, "currency": TEXT, "amount": TEXT, "balance": TEXT,
        "priority": NUMBER, "granted": FLAG, "invoice?": TEXT, "expires_at?": NUMBER, "created_at": NUMBER,
    },
    "invoice_item": {
        "id": TEXT, "customer": TEXT, "name": TEXT, "amount": TEXT, "currency": TEXT, "taxes?": TEXT, "invoice?": TEXT,
        "at": NUMBER, "created_at": NUMBER,
    },
    "billing_profile": {
        "id": TEXT, "customer": TEXT, "legal_name?": TEXT, "tax_id?": TEXT, "language": TEXT, "taxes": TEXT,
        "tax_inclusive": FLAG, "net_days?": NUMBER, "created_at": NUMBER,
    },
    "invoice": {
        "id": TEXT, "customer": TEXT, "period?": TEXT, "attempt": NUMBER, "currency": TEXT, "state": TEXT,
        "number?": TEXT, "starts_at": NUMBER, "ends_at": NUMBER, "subtotal": TEXT, "discount": TEXT, "net": TEXT,
        "tax": TEXT, "total": TEXT, "due": TEXT, "credit": TEXT, "document": BYTES, "digest": BYTES, "at": NUMBER,
        "due_at?": NUMBER, "finalized_at?": NUMBER, "paid_at?": NUMBER, "voided_at?": NUMBER, "created_at": NUMBER,
    },
    "invoice_line": {
        "id": TEXT, "invoice": TEXT, "n": NUMBER, "customer": TEXT, "subscription?": TEXT, "plan?": TEXT, "api?": TEXT,
        "route?": TEXT, "kind": TEXT, "name": TEXT, "currency": TEXT, "quantity?": NUMBER, "net": NUMBER, "state": TEXT,
        "at": NUMBER,
    },
    "invoice_series": {
        "id": TEXT, "name": TEXT, "prefix": TEXT, "next": NUMBER, "at": NUMBER, "created_at": NUMBER,
    },
    "credit_note": {
        "id": TEXT, "invoice": TEXT, "customer": TEXT, "number": TEXT, "currency": TEXT, "net": TEXT, "tax": TEXT,
        "total": TEXT, "reason?": TEXT, "document": BYTES, "at": NUMBER, "created_at": NUMBER,
    },
    "invoice_email": {
        "id": TEXT, "subject": TEXT, "address": TEXT, "state": TEXT, "attempts": NUMBER, "error?": TEXT,
        "delivered_at?": NUMBER, "at": NUMBER, "created_at": NUMBER,
    },
}  # fmt: skip
REFERENCES = {
    ("subscription_price", "subscription"): "subscription",
    ("coupon", "customer"): "customer",
    ("wallet", "customer"): "customer",
    ("wallet", "invoice"): "invoice",
    ("invoice_item", "customer"): "customer",
    ("invoice_item", "invoice"): "invoice",
    ("billing_profile", "customer"): "customer",
    ("invoice", "customer"): "customer",
    ("invoice_line", "invoice"): "invoice",
    ("credit_note", "invoice"): "invoice",
}
INDEXES = (
    "CREATE UNIQUE INDEX meter_name ON meter (name)",
    "CREATE UNIQUE INDEX subscription_price_start ON subscription_price (subscription, price, valid_from)",
    "CREATE INDEX coupon_customer ON coupon (customer)",
    "CREATE INDEX wallet_customer ON wallet (customer)",
    "CREATE INDEX invoice_item_customer ON invoice_item (customer)",
    "CREATE UNIQUE INDEX billing_profile_customer ON billing_profile (customer)",
    # Whoever makes the invoice of a month second, on whichever node, fails.
    "CREATE UNIQUE INDEX invoice_once ON invoice (customer, period, currency, attempt)",
    "CREATE UNIQUE INDEX invoice_number ON invoice (number)",
    "CREATE INDEX invoice_period ON invoice (period, state)",
    "CREATE INDEX invoice_time ON invoice (at)",
    "CREATE UNIQUE INDEX invoice_line_place ON invoice_line (invoice, n)",
    "CREATE INDEX invoice_line_time ON invoice_line (at)",
    "CREATE INDEX invoice_line_customer ON invoice_line (customer, at)",
    "CREATE UNIQUE INDEX invoice_series_name ON invoice_series (name)",
    "CREATE UNIQUE INDEX credit_note_number ON credit_note (number)",
    "CREATE INDEX credit_note_invoice ON credit_note (invoice)",
    "CREATE INDEX credit_note_time ON credit_note (at)",
    "CREATE INDEX invoice_email_due ON invoice_email (state, at)",
    "CREATE INDEX invoice_email_subject ON invoice_email (subject)",
)


def upgrade() -> None:
    """Make the tables."""
    # A table refers to those above it.
    later = ("wallet", "invoice_item")
    make_tables({name: TABLES[name] for name in TABLES if name not in later}, REFERENCES)
    make_tables({name: TABLES[name] for name in later}, REFERENCES)
    for index in INDEXES:
        op.execute(index)
