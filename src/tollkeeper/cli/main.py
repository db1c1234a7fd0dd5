"""The command ``tollkeeper`` and its sub-commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from tollkeeper import __version__
from tollkeeper.cli.alerts import alerts_app
from tollkeeper.cli.backfill import import_app
from tollkeeper.cli.catalog import audit_command, catalog_app
from tollkeeper.cli.credits import coupon_app, wallet_app
from tollkeeper.cli.customer_billing import item_app
from tollkeeper.cli.customers import customer_app, key_app
from tollkeeper.cli.errors import errors_app
from tollkeeper.cli.exports import export_app
from tollkeeper.cli.invoices import invoices_app
from tollkeeper.cli.jobs import jobs_app
from tollkeeper.cli.meters import meter_app
from tollkeeper.cli.migrate import migrate_command
from tollkeeper.cli.plans import plan_app
from tollkeeper.cli.products import api_app
from tollkeeper.cli.quotas import quotas_command
from tollkeeper.cli.reconcile import reconcile_command
from tollkeeper.cli.reports import usage_command
from tollkeeper.cli.revenue import revenue_app
from tollkeeper.cli.serve import serve_command
from tollkeeper.cli.simulate import simulate_command
from tollkeeper.cli.subscriptions import subscription_app
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
app.command("quotas")(quotas_command)
app.command("reconcile")(reconcile_command)
app.command("migrate")(migrate_command)
app.command("login-link")(login_link_command)
app.command("audit")(audit_command)
app.command("simulate")(simulate_command)
app.add_typer(api_app, name="api")
app.add_typer(meter_app, name="meter")
app.add_typer(plan_app, name="plan")
app.add_typer(customer_app, name="customer")
app.add_typer(coupon_app, name="coupon")
app.add_typer(wallet_app, name="wallet")
app.add_typer(item_app, name="item")
app.add_typer(key_app, name="key")
app.add_typer(subscription_app, name="subscription")
app.add_typer(invoices_app, name="invoices")
app.add_typer(catalog_app, name="catalog")
app.add_typer(errors_app, name="errors")
app.add_typer(jobs_app, name="jobs")
app.add_typer(alerts_app, name="alerts")
app.add_typer(token_app, name="token")
app.add_typer(import_app, name="import")
app.add_typer(revenue_app, name="revenue")
app.add_typer(export_app, name="export")


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
