"""How PostgreSQL is walked through: the server sorts, and sends rows as they are asked for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tollkeeper.store.postgresql.select import select, statement
from tollkeeper.store.sql.walking import Dialect, read_walk

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tollkeeper.store.postgresql.sessions import Session
    from tollkeeper.store.protocols import EventSpan, StoredEvent
    from tollkeeper.store.sql.walked import Rows

__all__ = ["walk_events"]

ROWS_AT_ONCE = 2_000
DIALECT = Dialect(
    pairs="SELECT (value ->> 0)::bigint, (value ->> 1)::bigint FROM json_array_elements(?::json)", aside=""
)
# Who reads may take its time between two rows, but not for ever; and a sort in memory beats one on the disk.
CONFIGURE = """
    SELECT set_config('idle_in_transaction_session_timeout', '600s', true), set_config('work_mem', '64MB', true)
"""


def walk_events(
    session: Session, span: EventSpan, groups: Sequence[Sequence[str]] | None
) -> Generator[tuple[int, StoredEvent], None, None]:
    """Read events in the snapshot that a session is in; to be closed before that ends. See ``EventStore.walk``."""
    select(session, CONFIGURE, ())
    return read_walk(partial(select, session), partial(_stream, session), DIALECT, span, groups)


def _stream(session: Session, sql: str, values: Sequence[Any]) -> Generator[Rows, None, None]:
    with session.cursor("walk") as rows:
        rows.execute(statement(sql), values, binary=True)
        yield from iter(partial(rows.fetchmany, ROWS_AT_ONCE), [])
