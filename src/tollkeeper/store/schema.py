"""The schema of a store: which step it is at, and bringing an older one to this release's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["HEAD", "VERSION_TABLE", "prepare_schema"]

VERSION_TABLE = "tollkeeper_version"
HEAD = "0001"
"""The last step in ``migrations/versions``: the schema of this release."""


def prepare_schema(engine: Engine) -> None:
    """Bring a store to the schema of this release, in one transaction; a later one's raises ConfigurationError.

    Safe to call from several processes at once: the second one waits and finds the work done.
    """
    with engine.execution_options(reads_only=True).connect() as connection:
        if _revision(connection) == HEAD:
            return
    with engine.begin() as connection:
        revision = _revision(connection) or ""
        if revision > HEAD:
            raise ConfigurationError(
                f"The store has schema {revision}, this release knows {HEAD}: run the release that made it."
            )
        if revision < HEAD:
            _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.execute(
        sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))
    ).scalar()
    return revision


def _upgrade(connection: Connection) -> None:
    # Alembic takes a fifth of a second to import, and a store needs it once a release.
    from alembic import command  # noqa: PLC0415  # as said
    from alembic.config import Config  # noqa: PLC0415  # as said

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "tollkeeper:store/migrations")
    command.upgrade(config, "head")
