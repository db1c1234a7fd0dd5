"""The gate: what is gone of each limit and who holds some of it; alerts, their messages, and runs of jobs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from tollkeeper.store.migrations.tables import make_tables

__all__ = ["upgrade"]

revision = "0004"
down_revision = "0003"

# Times are microseconds, quantities millionths, documents JSON. A column that ends in ? may be NULL.
TEXT, NUMBER, BYTES, FLAG = sa.Text, sa.BigInteger, sa.LargeBinary, sa.Boolean
TABLES: dict[str, dict[str, type[sa.types.TypeEngine[Any]]]] = {
    "quota_counter": {
        "id": TEXT, "subscription": TEXT, "used": NUMBER, "held": NUMBER, "carried": NUMBER, "arrival": NUMBER,
        "starts_at": NUMBER, "ends_at": NUMBER, "closed_at?": NUMBER,
    },
    "quota_hold": {
        "id": TEXT, "consumer": TEXT, "endpoint?": TEXT, "counters": TEXT, "units": NUMBER, "used": NUMBER,
        "lease": FLAG, "open": FLAG, "expires_at": NUMBER,
    },
    "quota_grant": {
        "id": TEXT, "subscription": TEXT, "limit": TEXT, "units": NUMBER, "at": NUMBER, "note?": TEXT,
        "created_at": NUMBER,
    },
    "alert_channel": {
        "id": TEXT, "name": TEXT, "kind": TEXT, "address": TEXT, "salt?": BYTES, "secrets?": BYTES,
        "created_at": NUMBER,
    },
    "alert_rule": {
        "id": TEXT, "name": TEXT, "kind": TEXT, "threshold?": TEXT, "minutes": NUMBER, "api?": TEXT, "endpoint?": TEXT,
        "customer?": TEXT, "channels": TEXT, "paused": FLAG, "created_at": NUMBER,
    },
    "message": {
        "id": TEXT, "channel": TEXT, "rule?": TEXT, "subject": TEXT, "cause": TEXT, "document": TEXT, "state": TEXT,
        "attempts": NUMBER, "at": NUMBER, "error?": TEXT, "delivered_at?": NUMBER, "created_at": NUMBER,
    },
    "job_run": {
        "id": TEXT, "job": TEXT, "at": NUMBER, "state": TEXT, "detail?": TEXT, "started_at": NUMBER,
        "finished_at?": NUMBER,
    },
}  # fmt: skip
REFERENCES = {("quota_grant", "subscription"): "subscription"}
INDEXES = (
    "CREATE INDEX quota_counter_subscription ON quota_counter (subscription, starts_at)",
    "CREATE INDEX quota_counter_open ON quota_counter (ends_at) WHERE closed_at IS NULL",
    """CREATE INDEX quota_counter_over ON quota_counter (ends_at)
    WHERE closed_at > 0 AND ends_at - starts_at <= 3600000000""",
    "CREATE INDEX quota_hold_consumer ON quota_hold (consumer) WHERE open AND NOT lease",
    "CREATE INDEX quota_hold_due ON quota_hold (expires_at) WHERE open",
    "CREATE INDEX quota_lease_due ON quota_hold (expires_at) WHERE open AND lease",
    "CREATE INDEX quota_hold_over ON quota_hold (expires_at) WHERE NOT open",
    "CREATE INDEX quota_grant_subscription ON quota_grant (subscription)",
    "CREATE UNIQUE INDEX alert_channel_name ON alert_channel (name)",
    "CREATE UNIQUE INDEX alert_rule_name ON alert_rule (name)",
    # A cause is told once on each channel.
    "CREATE UNIQUE INDEX message_cause ON message (channel, cause)",
    "CREATE INDEX message_due ON message (state, at)",
    "CREATE INDEX message_subject ON message (channel, subject, created_at)",
    "CREATE UNIQUE INDEX job_run_time ON job_run (job, at)",
    "CREATE INDEX job_run_order ON job_run (job, id)",
)


def upgrade() -> None:
    """Make the tables."""
    make_tables(TABLES, REFERENCES)
    for index in INDEXES:
        op.execute(index)
    # Up to which event the counters have counted.
    op.create_table("quota_position", sa.Column("seq", sa.BigInteger, nullable=False))
    op.execute("INSERT INTO quota_position VALUES (0)")
    # Whether the gate has counted a call already when its event comes.
    op.execute("ALTER TABLE event ADD COLUMN gated SMALLINT NOT NULL DEFAULT 0")
