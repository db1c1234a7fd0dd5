"""Reading PostgreSQL: statements with ``?``, and events as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tollkeeper.metering.rollup import Columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.store.postgresql.sessions import Session

__all__ = ["read_columns", "select", "statement"]

FIELDS = ("time", "consumer", "route", "status", "elapsed", "bytes", "units")
HEAD_BYTES, TAIL_BYTES = 19, 2
# The binary form of COPY: a count of fields, then the length of each and its value, all of it big-endian.
ROW = np.dtype([("count", ">i2"), *(part for name in FIELDS for part in ((f"{name} length", ">i4"), (name, ">i8")))])
COPY = """
    COPY (SELECT time, consumer_id::bigint, route_id::bigint, status::bigint, elapsed, GREATEST(bytes, 0), units
    FROM event WHERE {condition}) TO STDOUT (FORMAT BINARY)
"""


def statement(sql: str) -> str:
    """The statement as psycopg takes it; it has no ``?`` and no per cent sign but for values that are bound."""
    return sql.replace("?", "%s")


def select(session: Session, sql: str, values: Sequence[Any]) -> list[Any]:
    """Run a SELECT; see ``Select``."""
    return session.execute(statement(sql), values, binary=True).fetchall()


def read_columns(session: Session, condition: str, values: Sequence[Any]) -> Columns:
    """The events that meet a condition, in no order; none becomes a Python object on the way."""
    with session.cursor().copy(statement(COPY.format(condition=condition)), values) as copy:
        data = b"".join(bytes(block) for block in copy)
    rows = np.frombuffer(data[HEAD_BYTES:-TAIL_BYTES], ROW)
    return Columns(*(rows[name].astype(np.int64) for name in FIELDS))
