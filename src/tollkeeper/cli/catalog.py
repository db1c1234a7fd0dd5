"""``tollkeeper catalog``: what is sold, as a TOML file to be kept under version control; and who changed what."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from tollkeeper.cli.editing import edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.errors import ConfigurationError, ConflictError
from tollkeeper.service.catalog_diff import apply_steps, compare
from tollkeeper.service.catalog_file import CatalogFile, export_catalog, read_catalog, write_catalog
from tollkeeper.service.listing import list_records
from tollkeeper.store.audit import AuditEntry

__all__ = ["audit_command", "catalog_app"]

FILE = typer.Argument(metavar="FILE", help="A TOML file as 'tollkeeper catalog export' writes it; - is the input.")
catalog_app = typer.Typer(no_args_is_help=True, help="APIs, routes, prices and plans as a TOML file.")


@catalog_app.command("export")
def export(*, store: StoreOption = None) -> None:
    """Print APIs, versions, routes, prices and plans as TOML."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        typer.echo(write_catalog(export_catalog(records)), nl=False)


@catalog_app.command("diff")
def diff(
    file: str = FILE,
    *,
    check: bool = typer.Option(False, "--check", help="Exit with 1 when there is something to be done."),
    store: StoreOption = None,
) -> None:
    """Show what 'apply' would do; nothing is changed."""
    wanted = _read(file)
    with opened(store) as service, service.catalog.reading() as records:
        steps = compare(records, wanted)
    typer.echo("\n".join(step.text for step in steps) or "No differences.")
    raise typer.Exit(1 if check and any(step.do for step in steps) else 0)


@catalog_app.command("apply")
def apply(
    file: str = FILE,
    *,
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    store: StoreOption = None,
) -> None:
    """Show the differences, ask, and make the store as the file says, all or nothing; nothing is ever removed."""
    wanted = _read(file)
    with opened(store) as service, service.catalog.reading() as records:
        shown = [step.text for step in compare(records, wanted)]
    typer.echo("\n".join(shown) or "No differences.")
    if not shown or not (yes or typer.confirm("Apply?", abort=True)):
        return
    with edited(store) as (_, edit):
        steps = compare(edit.records, wanted)
        if [step.text for step in steps] != shown:
            raise ConflictError("The catalogue was changed meanwhile: look at the differences again.")
        done = apply_steps(edit, steps)
    typer.echo(f"Applied {done} changes.")


def audit_command(
    *,
    record: str = typer.Option(None, help="Only what was done to this id.", show_default=False),
    limit: int = typer.Option(50, min=1, max=1000, metavar="N", help="Entries at most."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, with what was before and after."),
    store: StoreOption = None,
) -> None:
    """List who changed what in the catalogue, newest first."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = list_records(records, AuditEntry, limit=limit, newest_first=True, record=record)
    print_records(
        found.items, ("at", "actor", "action", "kind", "record"), as_json=as_json, none="Nothing was changed yet."
    )


def _read(file: str) -> CatalogFile:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"Cannot read {file}: {error}.") from None
    return read_catalog(text, file)
