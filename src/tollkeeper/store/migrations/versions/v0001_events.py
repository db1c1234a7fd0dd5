"""Events, their dimensions, the ledger, the roll-ups and the catalogue of credentials."""

from __future__ import annotations

from alembic import op

__all__ = ["upgrade"]

revision = "0001"
down_revision = None

SQLITE = (
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
IDENTITY = "INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
POSTGRESQL = (
    f"CREATE TABLE source (source_id {IDENTITY}, name TEXT NOT NULL UNIQUE)",
    # A template is too long for an index of its own: digest is the SHA-256 of the four that name a route.
    f"""CREATE TABLE route (
        route_id {IDENTITY}, digest BYTEA NOT NULL UNIQUE, api TEXT NOT NULL, api_version TEXT NOT NULL,
        method TEXT NOT NULL, template TEXT NOT NULL)""",
    "CREATE INDEX route_template ON route USING hash (template)",
    f"""CREATE TABLE consumer (
        consumer_id {IDENTITY}, key TEXT NOT NULL UNIQUE, label TEXT, email TEXT, "group" TEXT)""",
    # Partitions by month are made when an event needs them; what is long ago or far away has one for all.
    """CREATE TABLE event (
        seq BIGINT NOT NULL, time BIGINT NOT NULL, elapsed BIGINT NOT NULL, bytes BIGINT NOT NULL,
        units BIGINT NOT NULL, source_id INTEGER NOT NULL, consumer_id INTEGER NOT NULL, route_id INTEGER NOT NULL,
        status SMALLINT NOT NULL, id BYTEA NOT NULL, path TEXT, detail BYTEA) PARTITION BY RANGE (time)""",
    "CREATE INDEX event_seq ON event (seq)",
    "CREATE INDEX event_time ON event (time, seq)",
    "CREATE TABLE event_early PARTITION OF event FOR VALUES FROM (MINVALUE) TO (1577836800000000)",
    "CREATE TABLE event_late PARTITION OF event FOR VALUES FROM (2524608000000000) TO (MAXVALUE)",
    # No index spans partitions. This one keeps an id unique for ever, also when a retry has another time.
    "CREATE TABLE event_identity (source_id INTEGER NOT NULL, id BYTEA NOT NULL, PRIMARY KEY (source_id, id))",
    # The seq of the last event. Whoever appends holds this row until the commit, so seq is in the order of commits.
    "CREATE TABLE position (seq BIGINT NOT NULL)",
    "INSERT INTO position VALUES (0)",
    """CREATE TABLE ledger (
        source_id INTEGER PRIMARY KEY, received BIGINT NOT NULL, stored BIGINT NOT NULL, duplicate BIGINT NOT NULL,
        rejected BIGINT NOT NULL)""",
    """CREATE TABLE rollup (
        kind SMALLINT NOT NULL, status SMALLINT NOT NULL, consumer_id INTEGER NOT NULL, grain BIGINT NOT NULL,
        start BIGINT NOT NULL, requests BIGINT NOT NULL, bytes BIGINT NOT NULL, units BIGINT NOT NULL,
        timed BIGINT NOT NULL, elapsed BIGINT NOT NULL, route_id INTEGER NOT NULL, sketch BYTEA NOT NULL,
        PRIMARY KEY (kind, grain, start, consumer_id, route_id, status))
        WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)""",
    "CREATE TABLE watermark (seq BIGINT NOT NULL)",
    "INSERT INTO watermark VALUES (0)",
    f"""CREATE TABLE token (
        id {IDENTITY}, name TEXT NOT NULL UNIQUE, scope TEXT NOT NULL, digest BYTEA NOT NULL UNIQUE,
        created_at BIGINT NOT NULL)""",
    """CREATE TABLE session (
        digest BYTEA PRIMARY KEY, token_id INTEGER NOT NULL REFERENCES token (id), expires_at BIGINT NOT NULL,
        one_time BOOLEAN NOT NULL)""",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)
