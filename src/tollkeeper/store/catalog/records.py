"""Records on SQLAlchemy Core, on any engine."""

from __future__ import annotations

import contextlib
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tollkeeper.errors import ConflictError
from tollkeeper.store.catalog.columns import TABLES
from tollkeeper.store.catalog.kinds import KINDS, id_of
from tollkeeper.store.catalog.texts import check_texts, is_storable
from tollkeeper.store.catalog.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from msgspec import Struct

__all__ = ["SQLRecordStore", "SQLRecords"]

R = TypeVar("R", bound="Struct")
CHUNK = 5_000
HALF_BITS = 32
SAME = "same_id"
"""The parameter of an UPDATE that names its row; no field is called so."""
WRITERS = 0x746F6C6C_63617461
"""The advisory lock of PostgreSQL for which writers queue."""
pepper_table = sa.table("pepper", sa.column("value", sa.LargeBinary))


class SQLRecords:
    """The ``Records`` of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, record: Struct) -> None:
        """Keep a new record; see ``Records``."""
        self._write(record, TABLES[type(record)].insert(), msgspec.structs.asdict(record))

    def replace(self, record: Struct) -> None:
        """Put a record in the place of the one with its id."""
        values = msgspec.structs.asdict(record)
        table = TABLES[type(record)]
        self._write(record, table.update().where(table.c.id == sa.bindparam(SAME)), {SAME: values.pop("id"), **values})

    def remove(self, record: Struct) -> None:
        """Forget a record; idempotent."""
        table = TABLES[type(record)]
        self._connection.execute(table.delete().where(table.c.id == id_of(record)))

    def get(self, kind: type[R], record_id: str) -> R | None:
        """Look a record up by its id."""
        return next(iter(self.find(kind, id=record_id)), None)

    def find(self, kind: type[R], /, **where: Any) -> list[R]:
        """All records with these values, in the order of their ids."""
        found = [self._select(kind, _where(kind, some)) for some in _chunks(where)]
        return found[0] if len(found) == 1 else sorted(chain.from_iterable(found), key=id_of)

    def page(
        self,
        kind: type[R],
        /,
        *,
        after: str | None,
        limit: int,
        newest_first: bool = False,
        start: datetime | None = None,
        end: datetime | None = None,
        **where: Any,
    ) -> list[R]:
        """Some of the records with these values, by their ids."""
        columns = TABLES[kind].c
        conditions = _where(kind, where, start, end)
        if after is not None:
            # A cursor that no page gave may be any text; ids sort behind the part of it that can be looked for.
            after = after.partition("\0")[0].encode("utf-8", "ignore").decode()
            conditions.append(columns.id < after if newest_first else columns.id > after)
        return self._select(kind, conditions, limit=limit, newest_first=newest_first)

    def sums(
        self,
        kind: type[Struct],
        column: str,
        /,
        by: Sequence[str],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        **where: Any,
    ) -> dict[tuple[Any, ...], int]:
        """Add up a field by the values of others."""
        columns = TABLES[kind].c
        number = columns[column]
        keys = [columns[name] for name in by]
        # A sum in SQLite fails over 64 bits: the halves of each number are added up, and put together here.
        high = sa.func.sum(number.bitwise_rshift(sa.literal_column(str(HALF_BITS))))
        low = sa.func.sum(number.bitwise_and(2**HALF_BITS - 1))
        query = sa.select(sa.func.count(), high, low, *keys).group_by(*keys)
        found: dict[tuple[Any, ...], int] = {}
        for some in _chunks(where):
            for count, upper, lower, *key in self._connection.execute(query.where(*_where(kind, some, start, end))):
                if count:
                    group = tuple(key)
                    found[group] = found.get(group, 0) + (int(upper or 0) << HALF_BITS) + int(lower or 0)
        return found

    def _select(
        self,
        kind: type[R],
        conditions: list[sa.ColumnElement[bool]],
        *,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[R]:
        table = TABLES[kind]
        order = table.c.id.desc() if newest_first else table.c.id
        rows = self._connection.execute(sa.select(table).where(*conditions).order_by(order).limit(limit))
        return [kind(**row._mapping) for row in rows]  # noqa: SLF001  # its public name, which the underscore keeps from columns

    def _write(self, record: Struct, statement: sa.Insert | sa.Update, values: dict[str, Any]) -> None:
        # Values beside the statement, not within it: that is several times as fast.
        check_texts(record)
        try:
            self._connection.execute(statement, values)
        except IntegrityError:
            raise ConflictError(
                f"There is such {KINDS[type(record)].noun} already: what identifies it is taken."
            ) from None


class SQLRecordStore:
    """A ``RecordStore`` in one database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._transactions = Transactions(engine)

    @contextlib.contextmanager
    def reading(self) -> Iterator[SQLRecords]:
        """Read in one snapshot."""
        with self._transactions.reading() as connection:
            yield SQLRecords(connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[SQLRecords]:
        """Write all or nothing, one after the other."""
        with self._transactions.writing() as connection:
            if connection.dialect.name == "postgresql":  # SQLite has one writer anyhow
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITERS)))
            yield SQLRecords(connection)

    def pepper(self) -> bytes:
        """What the migration made."""
        with self._transactions.reading() as connection:
            value: bytes = connection.execute(sa.select(pepper_table.c.value)).scalar_one()
        return bytes(value)

    def close(self) -> None:
        """Close the pooled connections; idempotent."""
        self._transactions.close()


def _chunks(where: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same in parts that no database finds too long: of one list, all values once."""
    many = next((name for name, value in where.items() if isinstance(value, list) and len(value) > CHUNK), None)
    if many is None:
        yield where
        return
    values = list(dict.fromkeys(where[many]))
    for at in range(0, len(values), CHUNK):
        yield where | {many: values[at : at + CHUNK]}


def _where(
    kind: type[Struct], where: dict[str, Any], start: datetime | None = None, end: datetime | None = None
) -> list[sa.ColumnElement[bool]]:
    columns = TABLES[kind].c
    conditions = [
        columns[name].in_([one for one in value if is_storable(one)])
        if isinstance(value, list)
        else (columns[name] == value if is_storable(value) else sa.false())
        for name, value in where.items()
    ]
    if start is not None:
        conditions.append(columns.at >= start)
    if end is not None:
        conditions.append(columns.at < end)
    return conditions
