"""Sessions with a PostgreSQL server: how they are opened, and what is said when that fails."""

from __future__ import annotations

from typing import Any, NoReturn

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tollkeeper.errors import ConfigurationError, StoreError
from tollkeeper.store.postgresql.texts import hold_any_text

__all__ = ["Session", "fail", "open_session", "without_password"]

Session = psycopg.Connection[tuple[Any, ...]]

# A server that is gone without a word is noticed within twenty seconds; what the URL says goes before.
DEFAULTS = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# The server notices a node that is gone as soon, and lets go of its locks. What is acknowledged must be on the disk.
# Our statements are too many and too short for a compiler. No statement, lock or pause lasts for ever.
CONFIGURE = """
    SELECT set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false),
        set_config('tcp_keepalives_count', '3', false), set_config('jit', 'off', false),
        set_config('lock_timeout', '30s', false), set_config('statement_timeout', '600s', false),
        set_config('idle_in_transaction_session_timeout', '60s', false),
        CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END
"""


def open_session(url: str, purpose: str) -> Session:
    """Connect, in autocommit; ``purpose`` is what the server's list of sessions shows.

    Raises StoreError, and ConfigurationError for a URL or a database that cannot be used.
    """
    values = _parse(url)
    name = values.get("application_name") or "tollkeeper"
    known = DEFAULTS | values | {"application_name": f"{name} {purpose}", "client_encoding": "UTF8"}
    try:
        # Without prepared statements each plan knows the values, and so the partitions and the share of events.
        session = psycopg.connect(make_conninfo(**known), autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise StoreError(f"Cannot reach the store {without_password(url)}: {_reason(error)}.") from error
    try:
        session.execute(CONFIGURE)
    except psycopg.Error as error:
        session.close()
        fail(error)
    if (encoding := session.info.parameter_status("server_encoding")) != "UTF8":
        session.close()
        raise ConfigurationError(
            f"The database at {without_password(url)} has the encoding {encoding}: make one with UTF8, in which every "
            "text can be written."
        )
    hold_any_text(session)
    return session


def without_password(url: str) -> str:
    """The URL of a store as it may be shown and logged."""
    values = _parse(url)
    user = f"{values['user']}@" if "user" in values else ""
    port = f":{values['port']}" if "port" in values else ""
    return f"postgresql://{user}{values.get('host', '')}{port}/{values.get('dbname', '')}"


def fail(error: psycopg.Error) -> NoReturn:
    """Raise what callers know, without the values of rows that the server may have quoted."""
    raise StoreError(f"The PostgreSQL store failed: {_reason(error)}.") from error


def _reason(error: psycopg.Error) -> str:
    lines = (error.diag.message_primary or str(error) or type(error).__name__).splitlines()
    return lines[0].rstrip(".")


def _parse(url: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(url))
    except psycopg.Error:  # it may quote a part of the password
        raise ConfigurationError(
            "The URL of the store cannot be read: give postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with what is "
            "special in a part written as %XX."
        ) from None
