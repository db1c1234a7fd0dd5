"""The schema of a store: which step it is at, and bringing a new one to this release's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["prepare_schema"]


def prepare_schema(engine: Engine) -> None:
    """Bring a store to the schema of this release, in one transaction; a later release's store raises ConfigurationError.

    Safe to call from several processes at once: the second one waits and finds the work done.
    """
    config = Config()
    config.set_main_option("script_location", "tollkeeper:store/migrations")
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if _revision(connection) == head:
            return
    with engine.begin() as connection:
        revision = _revision(connection)
        if revision is not None and revision > str(head):
            raise ConfigurationError(
                f"The store has schema {revision}, this release knows {head}: run the release of Tollkeeper that made it."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
