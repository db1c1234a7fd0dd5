"""The schema of a store: which step it is at, and bringing an older one to this release's."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import sqlalchemy as sa
from msgspec import Struct

from tollkeeper.errors import ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["HEAD", "VERSION_TABLE", "Schema", "prepare_schema", "read_schema"]

VERSION_TABLE = "tollkeeper_version"
HEAD = "0006"
"""The last step in ``migrations/versions``: the schema of this release."""


class Schema(Struct, frozen=True):
    """The ``step`` that a store is at, None when it has no tables of ours, and the ``steps`` that it lacks."""

    step: str | None
    steps: list[str]


def read_schema(engine: Engine) -> Schema:
    """Look, and change nothing; a later release's schema raises ConfigurationError."""
    with engine.execution_options(reads_only=True).connect() as connection:
        return _schema(connection)


def prepare_schema(engine: Engine, *, make: bool, upgrade: bool) -> None:
    """Make sure that a store has the schema of this release, in one transaction.

    A store without tables gets them with ``make``, else it raises NotFoundError. An older schema is brought to this
    one with ``upgrade``, else it raises ConfigurationError, as a later one does in any case. Safe to call from several
    processes at once: the second one waits and finds the work done.
    """
    if _may_stay(read_schema(engine), make=make, upgrade=upgrade):
        return
    with engine.begin() as connection:
        if _schema(connection).steps:
            _upgrade(connection)


def _may_stay(schema: Schema, *, make: bool, upgrade: bool) -> bool:
    """Whether nothing is to be done; raises when something is that must not be."""
    if schema.step is None and not make:
        raise NotFoundError("The store is empty: name another with --store; 'tollkeeper serve' fills this one.")
    if schema.step is not None and schema.steps and not upgrade:
        raise ConfigurationError(
            f"The store has schema {schema.step}, this release needs {HEAD}: stop what uses the store, make a copy, "
            "and run 'tollkeeper migrate'."
        )
    return not schema.steps


def _schema(connection: Connection) -> Schema:
    step = _step(connection)
    if step is not None and step > HEAD:
        raise ConfigurationError(
            f"The store has schema {step}, this release knows {HEAD}: run the release that made it."
        )
    return Schema(step, [name for name in _names() if name[1:5] > (step or "")])


def _names() -> list[str]:
    """The modules of the steps, in order, such as ``v0001_events``."""
    folder = resources.files("tollkeeper.store.migrations.versions")
    return sorted(file.name.removesuffix(".py") for file in folder.iterdir() if file.name.startswith("v0"))


def _step(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    step: str | None = connection.execute(
        sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))
    ).scalar()
    return step


def _upgrade(connection: Connection) -> None:
    # Alembic takes a fifth of a second to import, and a store needs it once a release.
    from alembic import command  # noqa: PLC0415  # as said
    from alembic.config import Config  # noqa: PLC0415  # as said

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "tollkeeper:store/migrations")
    command.upgrade(config, "head")
