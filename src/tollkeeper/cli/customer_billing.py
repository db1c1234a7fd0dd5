"""``tollkeeper customer billing`` and ``tollkeeper item``: what a customer's invoices know, and their one-off lines."""

from __future__ import annotations

import msgspec
import typer

from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.errors import UnprocessableError
from tollkeeper.service.customer_search import find_customer
from tollkeeper.service.selling.items import NewItem, add_item, remove_item, show_item
from tollkeeper.service.selling.profiles import ProfilePatch, show_profile, update_profile
from tollkeeper.store.selling import InvoiceItem

__all__ = ["add_billing_commands", "item_app"]

CUSTOMER = typer.Argument(metavar="CUSTOMER", help="Id or external id of the customer.")
REVERSE = ":reverse"
item_app = typer.Typer(no_args_is_help=True, help="One-off lines for the next invoice of a customer.")


def add_billing_commands(app: typer.Typer) -> None:
    """Put the commands of billing profiles among those of customers."""
    app.command("billing")(_show)
    app.command("set-billing")(_set)


def _show(customer: str = CUSTOMER, *, store: StoreOption = None) -> None:
    """Print the billing profile of a customer as JSON."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = show_profile(records, find_customer(records, customer).id)
    typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())


def _set(
    customer: str = CUSTOMER,
    *,
    legal_name: str = typer.Option(None, help="Name as invoices need it.", show_default=False),
    tax_id: str = typer.Option(None, help="E.g. the VAT number.", show_default=False),
    language: str = typer.Option(None, help="Language of invoices, e.g. de or pt-BR.", show_default=False),
    taxes: list[str] = typer.Option(
        None,
        "--tax",
        metavar="NAME=PERCENT[:reverse]",
        help="Tax, e.g. VAT=19; with :reverse the customer owes it (reverse charge); repeatable; '' for none.",
        show_default=False,
    ),
    tax_inclusive: bool = typer.Option(
        None, "--tax-inclusive/--tax-exclusive", help="Whether prices hold the taxes already.", show_default=False
    ),
    net_days: int = typer.Option(None, metavar="DAYS", help="How long they may take to pay.", show_default=False),
    store: StoreOption = None,
) -> None:
    """Change what is named of a billing profile; taxes take the place of all that there are."""
    rates = [_tax(text) for text in taxes if text] if taxes else None
    values = {"legal_name": legal_name, "tax_id": tax_id, "language": language, "tax_inclusive": tax_inclusive}
    patch = checked(ProfilePatch, taxes=rates, net_days=net_days, **values)
    with edited(store) as (_, edit):
        found = find_customer(edit.records, customer)
        update_profile(edit, found.id, patch)
    typer.echo(f"Changed the billing profile of {found.id}.")


# An amount below zero is no option.
@item_app.command("add", context_settings={"ignore_unknown_options": True})
def add(
    customer: str = CUSTOMER,
    name: str = typer.Argument(metavar="NAME", help="What the line says."),
    amount: str = typer.Argument(metavar="AMOUNT", help="What it comes to; below zero it takes off."),
    currency: str = typer.Argument(metavar="CURRENCY", help="ISO 4217 code, e.g. EUR."),
    *,
    taxes: list[str] = typer.Option(
        None, "--tax", metavar="NAME", help="Only this tax; repeatable.", show_default=False
    ),
    at: str = typer.Option(None, metavar="TIME", help="On the first invoice that ends after it; left out: now."),
    store: StoreOption = None,
) -> None:
    """Put a line onto the next invoice and print its id."""
    new = checked(NewItem, name=name, amount=amount, currency=currency, taxes=taxes or None, at=at)
    with edited(store) as (_, edit):
        made = add_item(edit, find_customer(edit.records, customer).id, new)
    typer.echo(made.id)


@item_app.command("list")
def list_items(
    customer: str = CUSTOMER,
    *,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List the one-off items of a customer, those that are invoiced with their invoice."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = find_customer(records, customer)
        shown = [show_item(one) for one in records.find(InvoiceItem, customer=found.id)]
    columns = ("id", "name", "amount", "currency", "taxes", "at", "invoice")
    print_records(shown, columns, as_json=as_json, none="No items: 'tollkeeper item add' makes one.")


@item_app.command("remove")
def remove(
    customer: str = CUSTOMER,
    item: str = typer.Argument(metavar="ITEM", help="Id, as 'tollkeeper item list' prints it."),
    *,
    store: StoreOption = None,
) -> None:
    """Take a line back that is not invoiced yet."""
    with edited(store) as (_, edit):
        remove_item(edit, find_customer(edit.records, customer).id, item)
    typer.echo(f"Removed {item}.")


def _tax(text: str) -> dict[str, object]:
    name, sign, percent = text.rpartition("=")
    if not sign:
        raise UnprocessableError(f"The tax is {text[:100]!r}: give its name and per cent, e.g. VAT=19.")
    return {"name": name, "percent": percent.removesuffix(REVERSE), "reverse_charge": percent.endswith(REVERSE)}
