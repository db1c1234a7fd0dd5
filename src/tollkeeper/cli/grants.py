"""``tollkeeper subscription grant``: units that are added to one period of a limit."""

from __future__ import annotations

import typer

from tollkeeper.billing.limit import QuotaGrant
from tollkeeper.billing.subscription import Subscription
from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.service.grants import NewGrant, find_grant, grant_units, show_grants
from tollkeeper.service.listing import find_record

__all__ = ["add_grant_commands"]

SUBSCRIPTION = typer.Argument(metavar="SUBSCRIPTION", help="Id, as 'tollkeeper subscription list' prints it.")


def add_grant_commands(app: typer.Typer) -> None:
    """Put the commands of grants among those of subscriptions."""
    app.command("grant")(_grant)
    app.command("grants")(_list_grants)
    app.command("revoke-grant")(_revoke)


def _grant(
    subscription: str = SUBSCRIPTION,
    limit: str = typer.Argument(metavar="LIMIT", help="Name of the limit, e.g. 'all month' or '/orders day'."),
    units: str = typer.Argument(metavar="UNITS", help="How many units more."),
    *,
    at: str = typer.Option(None, metavar="TIME", help="A time in the period; left out: now.", show_default=False),
    note: str = typer.Option(None, help="Why.", show_default=False),
    store: StoreOption = None,
) -> None:
    """Add units to a limit in one period and print the id of the grant."""
    new = checked(NewGrant, limit=limit, units=units, at=at, note=note)
    with edited(store) as (_, edit):
        made = grant_units(edit, subscription, new)
    typer.echo(made.id)


def _list_grants(
    subscription: str = SUBSCRIPTION,
    *,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List what was granted."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = find_record(records, Subscription, subscription)
        shown = show_grants(records, records.find(QuotaGrant, subscription=found.id))
    none = "No grants: 'tollkeeper subscription grant' makes one."
    print_records(shown, ("id", "limit", "units", "at", "note"), as_json=as_json, none=none)


def _revoke(
    subscription: str = SUBSCRIPTION,
    grant: str = typer.Argument(metavar="GRANT", help="Id, as 'tollkeeper subscription grants' prints it."),
    *,
    store: StoreOption = None,
) -> None:
    """Take a grant back; what was used of it stays used."""
    with edited(store) as (_, edit):
        edit.remove(find_grant(edit.records, subscription, grant))
    typer.echo(f"Took {grant} back.")
