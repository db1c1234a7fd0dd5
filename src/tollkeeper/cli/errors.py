"""``tollkeeper errors``: what went wrong, resolved and replayed from the terminal."""

from __future__ import annotations

from typing import Any

import typer

from tollkeeper.cli.editing import edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.errors import UnprocessableError
from tollkeeper.service.api_errors import list_errors, replay_error, resolve_error

__all__ = ["errors_app"]

ERROR = typer.Argument(metavar="ERROR", help="Id of the error, as 'tollkeeper errors list' prints it.")
COLUMNS = ("id", "at", "code", "consumer", "api", "api_version", "endpoint", "error_message")
errors_app = typer.Typer(no_args_is_help=True, help="Errors: what APIs reported, and what went wrong with reports.")


@errors_app.command("list")
def list_command(
    *,
    internal: bool = typer.Option(
        None, "--internal/--reported", help="Only what went wrong inside, or only what APIs reported."
    ),
    resolved: bool = typer.Option(False, "--all", help="Show those that are resolved, too."),
    consumer: str = typer.Option(None, help="Only of this key, by its fingerprint.", show_default=False),
    limit: int = typer.Option(50, min=1, max=1000, metavar="N", help="Errors at most."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List errors, newest first."""
    only_open = None if resolved else False
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = list_errors(records, internal=internal, resolved=only_open, consumer=consumer, limit=limit)
    print_records(found.items, COLUMNS, as_json=as_json, none="No errors.")


@errors_app.command("resolve")
def resolve_command(error: str = ERROR, *, store: StoreOption = None) -> None:
    """Say that an error was dealt with."""
    with edited(store) as (_, edit):
        resolve_error(edit, error)
    typer.echo(f"Resolved {error}.")


@errors_app.command("replay")
def replay_command(
    error: str = ERROR,
    *,
    corrections: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="Another value for a parameter of the report.", show_default=False
    ),
    store: StoreOption = None,
) -> None:
    """Take the report of an internal error in again, once its cause is mended, and resolve it."""
    given = _corrections(corrections)
    with opened(store, must_exist=True) as service:
        replay_error(service.catalog, service.events, error, given)
    with edited(store) as (_, edit):
        resolve_error(edit, error)
    typer.echo(f"Replayed {error}.")


def _corrections(texts: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UnprocessableError(f"{text!r} sets nothing: give NAME=VALUE, e.g. httpStatusCode=200.")
        found[name] = value
    return found
