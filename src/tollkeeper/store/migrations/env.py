"""Alembic's entry: run the steps on the connection that ``tollkeeper.store.schema`` hands over."""

from __future__ import annotations

from alembic import context

from tollkeeper.store.schema import VERSION_TABLE

__all__: list[str] = []

context.configure(
    connection=context.config.attributes["connection"], transactional_ddl=True, version_table=VERSION_TABLE
)
context.run_migrations()
