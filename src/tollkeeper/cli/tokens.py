"""``tollkeeper token`` and ``tollkeeper login-link``: credentials for programs and people."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from tollkeeper.cli.options import StoreOption, console, opened
from tollkeeper.errors import NotFoundError, UnprocessableError
from tollkeeper.events.timestamps import from_microseconds

if TYPE_CHECKING:
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Token

__all__ = ["admin_token", "login_link_command", "token_app"]

ADMIN = "admin"
token_app = typer.Typer(no_args_is_help=True, help="Tokens that programs show to the service.")


class ScopeChoice(StrEnum):
    """What a token may do."""

    ingest = "ingest"
    read = "read"
    admin = "admin"


@token_app.command("create")
def create(
    name: str = typer.Argument(None, metavar="NAME", help="Name to know it by; default: the scope with a number."),
    *,
    scope: ScopeChoice = typer.Option(..., help="ingest: send events; read: look at them; admin: all of it."),
    store: StoreOption = None,
) -> None:
    """Make a token and print it: this once, only its hash is kept."""
    with opened(store) as service:
        taken = {token.name for token in service.catalog.tokens()}
        fresh = (f"{scope}-{number}" for number in range(1, len(taken) + 2))
        chosen = name or next(candidate for candidate in fresh if candidate not in taken)
        secret = service.access.create_token(chosen, scope.value)
    typer.echo(secret)
    typer.echo(f"This is the token {chosen!r} ({scope}). Keep it: it cannot be shown again.", err=True)


@token_app.command("list")
def list_tokens(*, store: StoreOption = None) -> None:
    """List the tokens in force, without their secrets."""
    table = Table("Name", "Scope", "Created (UTC)", box=None, header_style="bold", pad_edge=False)
    with opened(store, must_exist=True) as service:
        for token in service.catalog.tokens():
            created = from_microseconds(token.created_at)
            table.add_row(token.name, token.scope, created.strftime("%Y-%m-%d %H:%M"))
    console().print(table if table.row_count else "No tokens: 'tollkeeper token create' makes one.")


@token_app.command("revoke")
def revoke(name: str = typer.Argument(metavar="NAME", help="Name of the token."), *, store: StoreOption = None) -> None:
    """Take a token out of force, with the sessions that it opened."""
    with opened(store, must_exist=True) as service:
        if not service.catalog.revoke_token(name):
            raise NotFoundError(f"There is no token {name!r}: 'tollkeeper token list' shows all.")
    typer.echo(f"Revoked {name!r}.")


def login_link_command(
    *,
    url: str = typer.Option(
        "http://127.0.0.1:8080", metavar="URL", help="Address of the dashboard, with its prefix if it has one."
    ),
    store: StoreOption = None,
) -> None:
    """Print a link that logs one browser in to the dashboard as admin, once."""
    with opened(store, must_exist=True) as service:
        code = service.access.create_login_link(admin_token(service))
    typer.echo(f"{url.rstrip('/')}/login/{code}")


def admin_token(service: Service) -> Token:
    """The oldest admin token, made when there is none; UnprocessableError when its name is taken by a lesser one."""
    if not _admins(service):
        try:
            service.access.create_token(ADMIN, "admin")
        except UnprocessableError:
            # Another process may have made it a moment ago.
            if not _admins(service):
                raise
    return _admins(service)[0]


def _admins(service: Service) -> list[Token]:
    return [token for token in service.catalog.tokens() if token.scope == ADMIN]
