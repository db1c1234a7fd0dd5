"""Tables as the migrations write them down: columns by name, of which one that ends in ? may be NULL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import op

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["make_tables"]

ColumnType = type[sa.types.TypeEngine[Any]]


def make_tables(tables: Mapping[str, Mapping[str, ColumnType]], references: Mapping[tuple[str, str], str]) -> None:
    """Make tables whose key is ``id``, if they have one; ``references`` names the table that a column refers to."""
    for table, columns in tables.items():
        op.create_table(table, *(_column(table, *column, references) for column in columns.items()))


def _column(table: str, marked: str, kind: ColumnType, references: Mapping[tuple[str, str], str]) -> sa.Column[Any]:
    name = marked.removesuffix("?")
    other = references.get((table, name))
    return sa.Column(
        name,
        kind,
        *([sa.ForeignKey(f"{other}.id")] if other else []),
        primary_key=name == "id",
        nullable=marked.endswith("?"),
    )
