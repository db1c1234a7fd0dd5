"""``tollkeeper migrate``: bring a store of an earlier release to this one's schema."""

from __future__ import annotations

import typer

from tollkeeper.cli.options import StoreOption  # noqa: TC001  # Typer reads annotations
from tollkeeper.service.migration import migrate, plan_migration
from tollkeeper.settings import load_settings

__all__ = ["migrate_command"]


def migrate_command(
    *,
    check: bool = typer.Option(
        False, "--check", help="Say what would be done, and do nothing; exit 1 if there is any."
    ),
    store: StoreOption = None,
) -> None:
    """Bring a store of an earlier release to the schema of this one; make a copy of it before."""
    settings = load_settings(store=store)
    plan = plan_migration(settings) if check else migrate(settings)
    if not plan.steps:
        typer.echo(f"{plan.store} has schema {plan.head}, which is this release's: there is nothing to do.")
        return
    found = "is empty" if plan.step is None else f"has schema {plan.step}"
    typer.echo(f"{plan.store} {found}; this release needs {plan.head}.")
    for step, title in plan.steps.items():
        typer.echo(f"{'To do' if check else 'Done'}: {step}  {title}")
    if check:
        typer.echo("To do it, stop what uses the store, make a copy of it, and run 'tollkeeper migrate'.")
        raise typer.Exit(1)
