"""Bringing a store to the schema of this release, and saying what that takes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.store.engines import schema_of, shown_url, upgrade_schema
from tollkeeper.store.schema import HEAD

if TYPE_CHECKING:
    from tollkeeper.settings import Settings

__all__ = ["Migration", "migrate", "plan_migration"]

VERSIONS = "tollkeeper.store.migrations.versions"


class Migration(Struct, frozen=True, kw_only=True):
    """From the ``step`` that a store is at, None when it is empty, to ``head``: a sentence for each step, by number."""

    store: str
    step: str | None
    head: str
    steps: dict[str, str]


def plan_migration(settings: Settings) -> Migration:
    """Say what ``migrate`` would do, and change nothing; a later release's schema raises ConfigurationError."""
    schema = schema_of(settings.store)
    steps = {name[1:5]: (import_module(f"{VERSIONS}.{name}").__doc__ or name).strip() for name in schema.steps}
    return Migration(store=shown_url(settings.store), step=schema.step, head=HEAD, steps=steps)


def migrate(settings: Settings) -> Migration:
    """Take all steps in one transaction, on an empty store too; returns what was planned. Idempotent."""
    plan = plan_migration(settings)
    if plan.steps:
        upgrade_schema(settings.store)
    return plan
