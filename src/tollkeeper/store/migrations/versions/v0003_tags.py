"""Tags, the history of their uses, and their uses by quarter of an hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables; times are microseconds."""
    op.create_table(
        "tag",
        sa.Column("number", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),  # made of a hash: a name may be too long for an index
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "tag_use",
        *_key("tag", "n"),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("tag_use_time", "tag_use", ["at"])
    # Derived from tag_use, so that a chart of a month need not read a million uses.
    op.create_table(
        "tag_quarter",
        *_key("tag", "start"),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 70},
    )


def _key(tag: str, place: str) -> list[sa.Column[int]]:
    return [
        sa.Column(tag, sa.Integer, primary_key=True, autoincrement=False),
        sa.Column(place, sa.BigInteger, primary_key=True, autoincrement=False),
    ]
