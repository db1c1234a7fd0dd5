"""Events, their dimensions, the ledger, the roll-ups and the catalogue of credentials."""

from __future__ import annotations

from alembic import op

__all__ = ["upgrade"]

revision = "0001"
down_revision = None

STATEMENTS = (
    # What many events share is kept once and named by a small number.
    "CREATE TABLE source (source_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE route (
        route_id INTEGER PRIMARY KEY, api TEXT NOT NULL, api_version TEXT NOT NULL, method TEXT NOT NULL,
        template TEXT NOT NULL, UNIQUE (template, method, api, api_version))""",
    """CREATE TABLE consumer (
        consumer_id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, label TEXT, email TEXT, "group" TEXT)""",
    # Raw events, the truth. seq grows with each commit; an id that is a UUID is 16 bytes; times are microseconds.
    """CREATE TABLE event (
        seq INTEGER PRIMARY KEY, source_id INTEGER NOT NULL, id NOT NULL, time INTEGER NOT NULL,
        consumer_id INTEGER NOT NULL, route_id INTEGER NOT NULL, status INTEGER NOT NULL, elapsed INTEGER NOT NULL,
        bytes INTEGER NOT NULL, units INTEGER NOT NULL, path TEXT, detail BLOB)""",
    "CREATE UNIQUE INDEX event_identity ON event (source_id, id)",
    "CREATE INDEX event_time ON event (time)",
    """CREATE TABLE ledger (
        source_id INTEGER PRIMARY KEY, received INTEGER NOT NULL, stored INTEGER NOT NULL,
        duplicate INTEGER NOT NULL, rejected INTEGER NOT NULL)""",
    # Derived: can be dropped and folded again from the events. route_id and consumer_id 0 stand for all.
    """CREATE TABLE rollup (
        kind INTEGER NOT NULL, grain INTEGER NOT NULL, start INTEGER NOT NULL, consumer_id INTEGER NOT NULL,
        route_id INTEGER NOT NULL, status INTEGER NOT NULL, requests INTEGER NOT NULL, bytes INTEGER NOT NULL,
        units INTEGER NOT NULL, timed INTEGER NOT NULL, elapsed INTEGER NOT NULL, sketch BLOB NOT NULL,
        PRIMARY KEY (kind, grain, start, consumer_id, route_id, status)) WITHOUT ROWID""",
    "CREATE TABLE watermark (seq INTEGER NOT NULL)",
    "INSERT INTO watermark VALUES (0)",
    """CREATE TABLE token (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, scope TEXT NOT NULL,
        digest BLOB NOT NULL UNIQUE, created_at INTEGER NOT NULL)""",
    """CREATE TABLE session (
        digest BLOB PRIMARY KEY, token_id INTEGER NOT NULL REFERENCES token (id), expires_at INTEGER NOT NULL,
        one_time BOOLEAN NOT NULL)""",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
