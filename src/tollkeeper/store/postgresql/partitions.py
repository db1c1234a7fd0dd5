"""A partition of events for each month, made when an event needs it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tollkeeper.events.timestamps import from_microseconds, to_microseconds
from tollkeeper.metering.window import DAY
from tollkeeper.store.postgresql.select import select, statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.store.postgresql.connections import Connections
    from tollkeeper.store.postgresql.sessions import Session

__all__ = ["Partitions"]

FIRST_YEAR, END_YEAR = 2020, 2050
"""Months of other years have no partitions of their own, so that wild clocks cannot make thousands of them."""
LOCK = 7_461_002
"""Held by who makes a partition; any number that no other lock of ours has."""
MONTHS = 12


class Partitions:
    """Knows which months have their partition. Safe for threads that hold the lock ``appending``."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._known: set[int] = set()

    def prepare(self, times: Iterable[int]) -> None:
        """Make sure that events of these times, in µs, have a partition; committed when it returns."""
        days = {time // DAY for time in times}
        months = {month for day in days if (month := _month(day * DAY)) is not None} - self._known
        for month in sorted(months):
            with self._connections.write() as session:
                _make(session, month)
            self._known.add(month)

    def forget(self) -> None:
        """Look again next time: somebody may have taken a partition away."""
        self._known.clear()


def _month(time: int) -> int | None:
    """The number of the month, counted from the year 0; None when it has no partition of its own."""
    moment = from_microseconds(time)
    return moment.year * MONTHS + moment.month - 1 if FIRST_YEAR <= moment.year < END_YEAR else None


def _make(session: Session, month: int) -> None:
    year, index = divmod(month, MONTHS)
    name = f"event_{year}_{index + 1:02}"
    # One at a time: two nodes that made the same partition would wait for each other.
    select(session, "SELECT pg_advisory_xact_lock(?)", (LOCK,))
    if select(session, "SELECT 1 FROM pg_class WHERE oid = to_regclass(?)", (name,)):
        return
    # Made beside the table and then attached to it, which no reader and no writer has to wait for.
    session.execute(statement(f"CREATE TABLE {name} (LIKE event)"))
    session.execute(
        statement(
            f"ALTER TABLE event ATTACH PARTITION {name} FOR VALUES FROM ({_start(month)}) TO ({_start(month + 1)})"
        )
    )


def _start(month: int) -> int:
    year, index = divmod(month, MONTHS)
    return to_microseconds(datetime(year, index + 1, 1, tzinfo=UTC))
