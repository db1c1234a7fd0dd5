"""Tables made of records: a column for each field, exact and the same on every engine."""

from __future__ import annotations

import types
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import sqlalchemy as sa

from tollkeeper.events.timestamps import from_microseconds, to_microseconds
from tollkeeper.store.catalog.kinds import KINDS

if TYPE_CHECKING:
    from sqlalchemy import Dialect

__all__ = ["TABLES", "Amount", "Document", "Moment"]


class Moment(sa.types.TypeDecorator[datetime]):
    """A time as microseconds since 1970 UTC."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002  # SQLAlchemy's
        """Write a time."""
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # SQLAlchemy's
        """Read a time."""
        return None if value is None else from_microseconds(value)


class Amount(sa.types.TypeDecorator[Decimal]):
    """An exact decimal, as its text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # SQLAlchemy's
        """Write a decimal."""
        return None if value is None else format(value, "f")

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002  # SQLAlchemy's
        """Read a decimal."""
        return None if value is None else Decimal(value)


class Document(sa.types.TypeDecorator[dict[str, Any]]):
    """A JSON object, as its text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # SQLAlchemy's
        """Write an object."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:  # noqa: ARG002  # SQLAlchemy's
        """Read an object."""
        return None if value is None else msgspec.json.decode(value, type=dict[str, Any])


TYPES: dict[Any, type[sa.types.TypeEngine[Any]]] = {
    str: sa.Text,
    Literal: sa.Text,
    datetime: Moment,
    Decimal: Amount,
    dict: Document,
    bool: sa.Boolean,
    int: sa.BigInteger,
    bytes: sa.LargeBinary,
}


def _table(record: type[msgspec.Struct], name: str, metadata: sa.MetaData) -> sa.Table:
    hints = get_type_hints(record)
    columns = [
        sa.Column(field.name, _type(hints[field.name]), primary_key=field.name == "id")
        for field in msgspec.structs.fields(record)
    ]
    return sa.Table(name, metadata, *columns)


def _type(hint: Any) -> type[sa.types.TypeEngine[Any]]:
    if get_origin(hint) in {Union, types.UnionType}:
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    return TYPES[get_origin(hint) or hint]


def _tables() -> dict[type[msgspec.Struct], sa.Table]:
    metadata = sa.MetaData()
    return {record: _table(record, kind.table, metadata) for record, kind in KINDS.items()}


TABLES = _tables()
