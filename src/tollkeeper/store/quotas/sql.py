"""Counters and holds in a database, in few statements however many they are."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from msgspec.structs import astuple

from tollkeeper.billing.counter import Counter, Hold
from tollkeeper.store.catalog.texts import is_storable
from tollkeeper.store.catalog.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["SQLQuotaBook", "SQLQuotas"]

COUNTER, HOLD = ", ".join(Counter.__struct_fields__), ", ".join(Hold.__struct_fields__)
AMONG = {"sqlite": "IN (SELECT value FROM json_each(:wanted))", "postgresql": "= ANY(:wanted)"}
"""Among texts that are one parameter, so that the statement is the same however many they are."""
COUNTER_TYPES = ("text", "text", *["bigint"] * 7)
HOLD_TYPES = ("text", "text", "text", "text", "bigint", "bigint", "boolean", "boolean", "bigint")
ENDED = sa.text(
    f"SELECT {COUNTER} FROM quota_counter WHERE closed_at IS NULL AND ends_at > 0 AND ends_at <= :before"  # noqa: S608  # the same
    " ORDER BY ends_at, id LIMIT :limit"
)
DUE, DUE_LEASES = (
    sa.text(
        f"SELECT {HOLD} FROM quota_hold WHERE {which} AND expires_at <= :before ORDER BY expires_at, id LIMIT :limit"  # noqa: S608  # the same
    )
    for which in ("open", "open AND lease")
)
FORGET_COUNTERS = sa.text(
    "DELETE FROM quota_counter WHERE id IN (SELECT id FROM quota_counter"
    " WHERE closed_at > 0 AND ends_at - starts_at <= 3600000000 AND ends_at < :before ORDER BY ends_at LIMIT :limit)"
)
FORGET_HOLDS = sa.text(
    "DELETE FROM quota_hold WHERE id IN (SELECT id FROM quota_hold"
    " WHERE NOT open AND expires_at < :before ORDER BY expires_at LIMIT :limit)"
)
POSITION, MOVE = sa.text("SELECT seq FROM quota_position"), sa.text("UPDATE quota_position SET seq = :seq")


class SQLQuotaBook:
    """The ``QuotaBook`` of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    def counters(self, ids: Sequence[str]) -> dict[str, Counter]:
        """Look counters up."""
        return {row.id: row for row in self._counters(self._among(COUNTER, "quota_counter", "id"), self._wanted(ids))}

    def counters_of(self, subscriptions: Sequence[str], *, since: int) -> list[Counter]:
        """The counters of subscriptions; see ``QuotaBook``."""
        query = self._among(COUNTER, "quota_counter", "subscription", "AND ends_at > :since")
        found = self._counters(query, self._wanted(subscriptions) | {"since": since})
        return sorted(found, key=lambda one: (one.subscription, one.starts_at, one.id))

    def ended(self, before: int, limit: int) -> list[Counter]:
        """Some counters whose period has ended; a rate has none."""
        return self._counters(ENDED, {"before": before, "limit": limit})

    def put(self, counters: Sequence[Counter]) -> None:
        """Keep counters."""
        self._keep("quota_counter", COUNTER, COUNTER_TYPES, [astuple(counter) for counter in counters])

    def holds(self, ids: Sequence[str]) -> dict[str, Hold]:
        """Look holds up."""
        return {hold.id: hold for hold in self._holds(self._among(HOLD, "quota_hold", "id"), self._wanted(ids))}

    def open_holds(self, consumers: Sequence[str]) -> list[Hold]:
        """The open reservations of consumers."""
        query = self._among(HOLD, "quota_hold", "consumer", "AND open AND NOT lease")
        return sorted(self._holds(query, self._wanted(consumers)), key=lambda hold: hold.id)

    def due(self, before: int, limit: int, *, leases_only: bool = False) -> list[Hold]:
        """Some open holds that have expired."""
        return self._holds(DUE_LEASES if leases_only else DUE, {"before": before, "limit": limit})

    def hold(self, holds: Sequence[Hold]) -> None:
        """Keep holds."""
        rows = [_row(hold) for hold in holds]
        self._keep("quota_hold", HOLD, HOLD_TYPES, rows)

    def forget(self, before: int, limit: int) -> int:
        """Drop some holds and counters that are over."""
        values = {"before": before, "limit": limit}
        return sum(self._connection.execute(query, values).rowcount for query in (FORGET_HOLDS, FORGET_COUNTERS))

    def position(self) -> int:
        """Where counting stands."""
        seq: int = self._connection.execute(POSITION).scalar_one()
        return seq

    def move(self, seq: int) -> None:
        """Note where counting stands."""
        self._connection.execute(MOVE, {"seq": seq})

    def _keep(self, table: str, columns: str, types: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
        """Write all rows by one statement."""
        if not rows:
            return
        if self._dialect == "postgresql":
            self._connection.exec_driver_sql(
                _keep_arrays(table, columns, types), tuple(map(list, zip(*rows, strict=True)))
            )
        else:
            self._connection.exec_driver_sql(_keep_row(table, columns), rows)

    def _among(self, columns: str, table: str, column: str, more: str = "") -> sa.TextClause:
        return _among(self._dialect, columns, table, column, more)

    def _wanted(self, texts: Sequence[str]) -> dict[str, Any]:
        known = [text for text in texts if is_storable(text)]
        return {"wanted": known if self._dialect == "postgresql" else msgspec.json.encode(known).decode()}

    def _counters(self, query: sa.TextClause, values: dict[str, Any]) -> list[Counter]:
        rows = self._connection.execute(query, values)
        return [Counter(**dict(zip(Counter.__struct_fields__, row, strict=True))) for row in rows]

    def _holds(self, query: sa.TextClause, values: dict[str, Any]) -> list[Hold]:
        return [_hold(row) for row in self._connection.execute(query, values)]


class SQLQuotas:
    """The ``Quotas`` of one database, whose engine lets one write after the other."""

    def __init__(self, engine: sa.Engine) -> None:
        self._transactions = Transactions(engine)

    @contextlib.contextmanager
    def writing(self) -> Iterator[SQLQuotaBook]:
        """Write all or nothing."""
        with self._transactions.writing() as connection:
            yield SQLQuotaBook(connection)

    @contextlib.contextmanager
    def reading(self) -> Iterator[SQLQuotaBook]:
        """Read in one snapshot."""
        with self._transactions.reading() as connection:
            yield SQLQuotaBook(connection)

    def close(self) -> None:
        """Close the pooled connections; idempotent."""
        self._transactions.close()


@cache
def _among(dialect: str, columns: str, table: str, column: str, more: str) -> sa.TextClause:
    return sa.text(f"SELECT {columns} FROM {table} WHERE {column} {AMONG[dialect]} {more}")  # noqa: S608  # names of ours


@cache
def _keep_row(table: str, columns: str) -> str:
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(columns.split(', ')))}) {_conflict(columns)}"  # noqa: S608  # the same


@cache
def _keep_arrays(table: str, columns: str, types: Sequence[str]) -> str:
    arrays = ", ".join(f"%s::{name}[]" for name in types)
    return f"INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) {_conflict(columns)}"  # noqa: S608  # the same


def _conflict(columns: str) -> str:
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", ") if name != "id")
    return f"ON CONFLICT (id) DO UPDATE SET {changed}"


def _row(hold: Hold) -> tuple[Any, ...]:
    place = Hold.__struct_fields__.index("counters")
    values = astuple(hold)
    return (*values[:place], msgspec.json.encode(hold.counters).decode(), *values[place + 1 :])


def _hold(row: Sequence[Any]) -> Hold:
    values = dict(zip(Hold.__struct_fields__, row, strict=True))
    counters = msgspec.json.decode(values.pop("counters"), type=list[str])
    # SQLite has no booleans.
    return Hold(**values | {"counters": counters, "lease": bool(values["lease"]), "open": bool(values["open"])})
