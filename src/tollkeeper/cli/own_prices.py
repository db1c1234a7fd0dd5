"""``tollkeeper subscription price``: what one subscription pays instead of the list's price."""

from __future__ import annotations

import typer

from tollkeeper.billing.subscription import Subscription
from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.cli.price_options import MODEL, parse_model
from tollkeeper.service.listing import find_record
from tollkeeper.service.selling.own_prices import NewOwnPrice, add_own_price, end_own_price, show_own_price
from tollkeeper.store.selling import SubscriptionPrice

__all__ = ["add_own_price_commands"]

SUBSCRIPTION = typer.Argument(metavar="SUBSCRIPTION", help="Id, as 'tollkeeper subscription list' prints it.")


def add_own_price_commands(app: typer.Typer) -> None:
    """Put the commands of a subscription's own prices among those of subscriptions."""
    app.command("price")(_add)
    app.command("prices")(_list)
    app.command("end-price")(_end)


def _add(
    subscription: str = SUBSCRIPTION,
    price: str = typer.Argument(metavar="PRICE", help="Id of a route, or name of a price of the plan."),
    model: str = MODEL,
    *,
    valid_from: str = typer.Option(None, "--from", metavar="TIME", help="Start; left out: now.", show_default=False),
    valid_to: str = typer.Option(None, "--to", metavar="TIME", help="End; left out: none.", show_default=False),
    store: StoreOption = None,
) -> None:
    """Give a subscription a price of its own and print its id."""
    new = checked(NewOwnPrice, price=price, body=parse_model(model), valid_from=valid_from, valid_to=valid_to)
    with edited(store) as (_, edit):
        made = add_own_price(edit, subscription, new)
    typer.echo(made.id)


def _list(
    subscription: str = SUBSCRIPTION,
    *,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List the prices of a subscription's own."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = find_record(records, Subscription, subscription)
        shown = [show_own_price(one) for one in records.find(SubscriptionPrice, subscription=found.id)]
    none = "No prices of its own: 'tollkeeper subscription price' makes one."
    print_records(shown, ("id", "price", "body", "valid_from", "valid_to"), as_json=as_json, none=none)


def _end(
    subscription: str = SUBSCRIPTION,
    price: str = typer.Argument(metavar="OWN_PRICE", help="Id, as 'tollkeeper subscription prices' prints it."),
    *,
    store: StoreOption = None,
) -> None:
    """Have the list's price again from now on."""
    with edited(store) as (_, edit):
        end_own_price(edit, subscription, price)
    typer.echo(f"Ended {price}.")
