"""``tollkeeper customer`` and ``tollkeeper key``: who is billed, and by which keys they are known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import typer

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.cli.customer_billing import add_billing_commands
from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.service.customer_search import find_customer
from tollkeeper.service.customers import CustomerPatch, NewCustomer, create_customer, update_customer
from tollkeeper.service.keys import NewKey
from tollkeeper.service.views import show_key

__all__ = ["customer_app", "key_app"]

JSON = typer.Option(False, "--json", help="Print JSON instead of a table.")
CUSTOMER = typer.Argument(metavar="CUSTOMER", help="Id or external id of the customer.")
KEY = typer.Argument(metavar="KEY", help="Id of the key, as 'tollkeeper key list' prints it.")
ADDRESS = typer.Option(None, help="Postal address.", show_default=False)
EMAIL = typer.Option(None, help="E-mail address.", show_default=False)
CURRENCY = typer.Option(None, help="Currency of invoices, e.g. EUR.", show_default=False)
ZONE = typer.Option(None, help="IANA name; billing periods begin by it. Default: UTC.", show_default=False)
EXTERNAL = typer.Option(None, help="What another system calls the customer.", show_default=False)
customer_app = typer.Typer(no_args_is_help=True, help="Customers: who is billed.")
key_app = typer.Typer(no_args_is_help=True, help="API keys of customers.")


@customer_app.command("add")
def add(
    name: str = typer.Argument(metavar="NAME", help="Name of the customer."),
    *,
    address: str = ADDRESS,
    email: str = EMAIL,
    currency: str = CURRENCY,
    time_zone: str = ZONE,
    external_id: str = EXTERNAL,
    store: StoreOption = None,
) -> None:
    """Make a customer and print its id."""
    values = {"address": address, "email": email, "currency": currency}
    new = checked(NewCustomer, name=name, time_zone=time_zone, external_id=external_id, **values)
    with edited(store) as (_, edit):
        made = create_customer(edit, new)
    typer.echo(made.id)


@customer_app.command("list")
def list_customers(*, as_json: bool = JSON, store: StoreOption = None) -> None:
    """List the customers."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = records.find(Customer)
    columns = ("id", "name", "email", "currency", "time_zone", "external_id")
    print_records(found, columns, as_json=as_json, none="No customers: 'tollkeeper customer add' makes one.")


@customer_app.command("update")
def update(
    customer: str = CUSTOMER,
    *,
    name: str = typer.Option(None, help="Name of the customer.", show_default=False),
    address: str = ADDRESS,
    email: str = EMAIL,
    currency: str = CURRENCY,
    time_zone: str = ZONE,
    external_id: str = EXTERNAL,
    store: StoreOption = None,
) -> None:
    """Change what is named of a customer."""
    values = {"name": name, "address": address, "email": email, "currency": currency}
    patch = checked(CustomerPatch, time_zone=time_zone, external_id=external_id, **values)
    with edited(store) as (_, edit):
        found = find_customer(edit.records, customer)
        update_customer(edit, found.id, patch)
    typer.echo(f"Changed {found.id}.")


@key_app.command("create")
def create(
    customer: str = CUSTOMER,
    *,
    bring: bool = typer.Option(
        False, "--bring", help="Register a key that is typed or piped in, instead of a new one."
    ),
    expires_at: str = typer.Option(None, metavar="TIME", help="When it ends; left out: never.", show_default=False),
    store: StoreOption = None,
) -> None:
    """Make a key and print it: this once, only its hash is kept."""
    brought = typer.prompt("Key", hide_input=True, prompt_suffix=": ", err=True) if bring else None
    with edited(store) as (service, edit):
        key, secret = service.keys.create(edit, checked(NewKey, customer=customer, key=brought, expires_at=expires_at))
    if not bring:
        typer.echo(secret)
    typer.echo(f"This is the key {key.id}." + ("" if bring else " Keep it: it cannot be shown again."), err=True)


@key_app.command("list")
def list_keys(
    customer: str = typer.Argument(None, metavar="CUSTOMER", help="Only those of this customer."),
    *,
    as_json: bool = JSON,
    store: StoreOption = None,
) -> None:
    """List keys without their secrets."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        where = {"customer": find_customer(records, customer).id} if customer else {}
        found = [show_key(key, datetime.now(UTC)) for key in records.find(ApiKey, **where)]
    columns = ("id", "customer", "prefix", "state", "expires_at", "replaced_by")
    print_records(found, columns, as_json=as_json, none="No keys: 'tollkeeper key create' makes one.")


@key_app.command("rotate")
def rotate(
    key: str = KEY,
    *,
    overlap: int = typer.Option(24, min=0, metavar="HOURS", help="Hours that the old key stays good."),
    store: StoreOption = None,
) -> None:
    """Make a key in the place of another and print it."""
    with edited(store) as (service, edit):
        made, secret = service.keys.rotate(edit, key, overlap=timedelta(hours=overlap))
    typer.echo(secret)
    typer.echo(f"This is the key {made.id}. The old one is good for {overlap} hours more.", err=True)


@key_app.command("revoke")
def revoke(key: str = KEY, *, store: StoreOption = None) -> None:
    """Take a key out of force now."""
    with edited(store) as (service, edit):
        service.keys.revoke(edit, key)
    typer.echo(f"Revoked {key}.")


add_billing_commands(customer_app)
