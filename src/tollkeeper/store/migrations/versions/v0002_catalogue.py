"""What is sold to whom: products, customers, keys, plans, subscriptions, errors, and who changed what."""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa
from alembic import op

from tollkeeper.store.migrations.tables import make_tables

__all__ = ["upgrade"]

revision = "0002"
down_revision = "0001"

# Times are microseconds, amounts exact decimals as text, documents JSON. A column that ends in ? may be NULL.
TEXT, TIME, BYTES, FLAG = sa.Text, sa.BigInteger, sa.LargeBinary, sa.Boolean
TABLES: dict[str, dict[str, type[sa.types.TypeEngine[Any]]]] = {
    "pepper": {"value": BYTES},
    "api": {"id": TEXT, "name": TEXT, "created_at": TIME},
    "api_version": {"id": TEXT, "api": TEXT, "name": TEXT, "created_at": TIME},
    "api_route": {
        "id": TEXT, "version": TEXT, "endpoint?": TEXT, "method?": TEXT, "retired_at?": TIME, "created_at": TIME,
    },
    "route_price": {
        "id": TEXT, "route": TEXT, "price": TEXT, "currency": TEXT, "valid_from": TIME, "created_at": TIME,
    },
    "customer": {
        "id": TEXT, "name": TEXT, "address?": TEXT, "email?": TEXT, "currency?": TEXT, "time_zone": TEXT,
        "external_id?": TEXT, "created_at": TIME,
    },
    "api_key": {
        "id": TEXT, "customer": TEXT, "prefix": TEXT, "digest": BYTES, "fingerprint": TEXT, "expires_at?": TIME,
        "revoked_at?": TIME, "replaced_by?": TEXT, "created_at": TIME,
    },
    "plan": {
        "id": TEXT, "name": TEXT, "kind": TEXT, "amount?": TEXT, "currency?": TEXT, "trial_days": TIME, "period": TEXT,
        "body": TEXT, "created_at": TIME,
    },
    "subscription": {
        "id": TEXT, "customer": TEXT, "api?": TEXT, "version?": TEXT, "started_at": TIME, "trial_ends_at?": TIME,
        "anchor": TIME, "cancelled_at?": TIME, "ended_at?": TIME, "has_quota_limits": FLAG, "overrides": TEXT,
        "created_at": TIME,
    },
    "subscription_pause": {"id": TEXT, "subscription": TEXT, "paused_at": TIME, "resumed_at?": TIME},
    "plan_change": {"id": TEXT, "subscription": TEXT, "plan": TEXT, "effective_at": TIME, "created_at": TIME},
    "route_limit": {
        "id": TEXT, "subscription": TEXT, "endpoint?": TEXT, "limit": TIME, "period": TEXT, "created_at": TIME,
    },
    "api_error": {
        "id": TEXT, "is_internal": FLAG, "code?": TEXT, "description?": TEXT, "input_data?": TEXT,
        "internal_error_status?": TIME, "error_message?": TEXT, "consumer?": TEXT, "api?": TEXT, "api_version?": TEXT,
        "endpoint?": TEXT, "client_address?": TEXT, "status_code?": TIME, "event_source?": TEXT, "event_id?": TEXT,
        "at": TIME, "resolved_at?": TIME, "created_at": TIME,
    },
    "audit": {
        "id": TEXT, "at": TIME, "actor": TEXT, "action": TEXT, "kind": TEXT, "record": TEXT, "before?": TEXT,
        "after?": TEXT,
    },
    "idempotent_answer": {
        "id": TEXT, "request": BYTES, "status": TIME, "location?": TEXT, "salt": BYTES, "body": BYTES, "at": TIME,
    },
}  # fmt: skip
REFERENCES = {
    ("api_version", "api"): "api",
    ("api_route", "version"): "api_version",
    ("route_price", "route"): "api_route",
    ("api_key", "customer"): "customer",
    ("subscription", "customer"): "customer",
    ("subscription", "api"): "api",
    ("subscription", "version"): "api_version",
    ("subscription_pause", "subscription"): "subscription",
    ("plan_change", "subscription"): "subscription",
    ("plan_change", "plan"): "plan",
    ("route_limit", "subscription"): "subscription",
}
INDEXES = (
    "CREATE UNIQUE INDEX api_name ON api (name)",
    "CREATE UNIQUE INDEX api_version_name ON api_version (api, name)",
    "CREATE UNIQUE INDEX api_route_endpoint ON api_route (version, COALESCE(endpoint, ''), COALESCE(method, ''))",
    "CREATE UNIQUE INDEX route_price_start ON route_price (route, valid_from)",
    "CREATE UNIQUE INDEX customer_external ON customer (external_id)",
    "CREATE UNIQUE INDEX api_key_digest ON api_key (digest)",
    "CREATE UNIQUE INDEX api_key_fingerprint ON api_key (fingerprint)",
    "CREATE INDEX api_key_customer ON api_key (customer)",
    "CREATE UNIQUE INDEX plan_name ON plan (name)",
    """CREATE UNIQUE INDEX subscription_open ON subscription (customer, COALESCE(api, ''), COALESCE(version, ''))
    WHERE ended_at IS NULL""",
    "CREATE INDEX subscription_customer ON subscription (customer)",
    "CREATE UNIQUE INDEX subscription_pause_start ON subscription_pause (subscription, paused_at)",
    "CREATE UNIQUE INDEX plan_change_start ON plan_change (subscription, effective_at)",
    "CREATE INDEX plan_change_plan ON plan_change (plan)",
    "CREATE UNIQUE INDEX route_limit_scope ON route_limit (subscription, COALESCE(endpoint, ''), period)",
    "CREATE INDEX api_error_time ON api_error (at)",
    "CREATE INDEX api_error_consumer ON api_error (consumer, at)",
    "CREATE INDEX api_error_event ON api_error (event_id)",
    "CREATE INDEX api_error_cause ON api_error (consumer, code, internal_error_status)",
    "CREATE INDEX audit_record ON audit (record)",
    "CREATE INDEX idempotent_answer_time ON idempotent_answer (at)",
)


def upgrade() -> None:
    """Make the tables."""
    make_tables(TABLES, REFERENCES)
    for index in INDEXES:
        op.execute(index)
    pepper = sa.table("pepper", sa.column("value", sa.LargeBinary))
    op.bulk_insert(pepper, [{"value": secrets.token_bytes(32)}])
