"""The command ``tollkeeper`` and its sub-commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from tollkeeper import __version__
from tollkeeper.cli.backfill import import_app
from tollkeeper.cli.reports import reconcile_command, usage_command
from tollkeeper.cli.serve import serve_command
from tollkeeper.cli.tokens import login_link_command, token_app
from tollkeeper.errors import TollkeeperError

__all__ = ["app", "main"]

app = typer.Typer(
    name="tollkeeper",
    help="Who uses your API, how much, how fast, and what that is worth.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve_command)
app.command("usage")(usage_command)
app.command("reconcile")(reconcile_command)
app.command("login-link")(login_link_command)
app.add_typer(token_app, name="token")
app.add_typer(import_app, name="import")


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # Typer calls it so
    if wanted:
        typer.echo(f"tollkeeper {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
    config: Path = typer.Option(
        None, metavar="FILE", help="A TOML file of settings (env: TOLLKEEPER_CONFIG).", show_default=False
    ),
) -> None:
    """Take the options of the command itself."""
    _ = version
    if config is not None:
        os.environ["TOLLKEEPER_CONFIG"] = str(config)


def main() -> None:
    """Run the command line; an error that a person can correct is one line on stderr, exit code 1."""
    try:
        app()
    except TollkeeperError as error:
        typer.secho(f"tollkeeper: {error.detail}", err=True, fg="red")
        sys.exit(1)
