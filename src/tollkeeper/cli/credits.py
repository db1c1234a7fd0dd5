"""``tollkeeper coupon`` and ``tollkeeper wallet``: what comes off invoices, and what pays them."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.service.customer_search import find_customer
from tollkeeper.service.selling.coupons import NewCoupon, end_coupon, grant_coupon, show_coupon
from tollkeeper.service.selling.wallets import NewWallet, add_wallet, end_wallet, show_wallet
from tollkeeper.store.selling import CustomerCoupon, CustomerWallet

__all__ = ["coupon_app", "wallet_app"]

CUSTOMER = typer.Argument(metavar="CUSTOMER", help="Id or external id of the customer.")
JSON = typer.Option(False, "--json", help="Print JSON instead of a table.")
EXPIRY = typer.Option(None, metavar="TIME", help="When it is gone; left out: never.", show_default=False)
coupon_app = typer.Typer(no_args_is_help=True, help="Coupons: what comes off a customer's invoices.")
wallet_app = typer.Typer(no_args_is_help=True, help="Wallets: credit that a customer's invoices are paid from.")


@coupon_app.command("add")
def add(
    customer: str = CUSTOMER,
    name: str = typer.Argument(metavar="NAME", help="Name of the coupon, as the invoice says it."),
    *,
    percent: str = typer.Option(None, help="Per cent off.", show_default=False),
    amount: str = typer.Option(None, help="Money off; what is not used is left.", show_default=False),
    currency: str = typer.Option(None, help="Currency of the amount, e.g. EUR.", show_default=False),
    invoices: int = typer.Option(None, metavar="N", help="On so many invoices; left out: all.", show_default=False),
    expires_at: str = EXPIRY,
    store: StoreOption = None,
) -> None:
    """Grant a coupon and print its id."""
    values = {"percent": percent, "amount": amount, "currency": currency}
    new = checked(NewCoupon, name=name, invoices=invoices, expires_at=expires_at, **values)
    with edited(store) as (_, edit):
        made = grant_coupon(edit, find_customer(edit.records, customer).id, new)
    typer.echo(made.id)


@coupon_app.command("list")
def list_coupons(customer: str = CUSTOMER, *, as_json: bool = JSON, store: StoreOption = None) -> None:
    """List the coupons of a customer, with what is left of them."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = find_customer(records, customer)
        shown = [show_coupon(one, datetime.now(UTC)) for one in records.find(CustomerCoupon, customer=found.id)]
    columns = ("id", "name", "percent", "amount", "currency", "left", "invoices_left", "expires_at", "state")
    print_records(shown, columns, as_json=as_json, none="No coupons: 'tollkeeper coupon add' grants one.")


@coupon_app.command("end")
def end(
    customer: str = CUSTOMER,
    coupon: str = typer.Argument(metavar="COUPON", help="Id, as 'tollkeeper coupon list' prints it."),
    *,
    store: StoreOption = None,
) -> None:
    """Let a coupon expire now; what it took off stays off."""
    with edited(store) as (_, edit):
        end_coupon(edit, find_customer(edit.records, customer).id, coupon)
    typer.echo(f"Ended {coupon}.")


@wallet_app.command("add")
def add_credit(
    customer: str = CUSTOMER,
    name: str = typer.Argument(metavar="NAME", help="Name of the wallet, as the invoice says it."),
    amount: str = typer.Argument(metavar="AMOUNT", help="How much credit."),
    currency: str = typer.Argument(metavar="CURRENCY", help="ISO 4217 code, e.g. EUR."),
    *,
    priority: int = typer.Option(None, metavar="N", help="A lower one is drawn first; left out: 0."),
    granted: bool = typer.Option(False, "--granted", help="It was not paid for."),
    expires_at: str = EXPIRY,
    store: StoreOption = None,
) -> None:
    """Give a customer credit and print the id of the wallet; to top up is to add another."""
    values = {"amount": amount, "currency": currency, "priority": priority}
    new = checked(NewWallet, name=name, granted=granted, expires_at=expires_at, **values)
    with edited(store) as (_, edit):
        made = add_wallet(edit, find_customer(edit.records, customer).id, new)
    typer.echo(made.id)


@wallet_app.command("list")
def list_wallets(customer: str = CUSTOMER, *, as_json: bool = JSON, store: StoreOption = None) -> None:
    """List the wallets of a customer with their balances."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = find_customer(records, customer)
        shown = [show_wallet(one, datetime.now(UTC)) for one in records.find(CustomerWallet, customer=found.id)]
    columns = ("id", "name", "currency", "amount", "balance", "priority", "granted", "expires_at", "state")
    print_records(shown, columns, as_json=as_json, none="No wallets: 'tollkeeper wallet add' makes one.")


@wallet_app.command("end")
def end_credit(
    customer: str = CUSTOMER,
    wallet: str = typer.Argument(metavar="WALLET", help="Id, as 'tollkeeper wallet list' prints it."),
    *,
    store: StoreOption = None,
) -> None:
    """Let a wallet expire now, with what is left in it."""
    with edited(store) as (_, edit):
        end_wallet(edit, find_customer(edit.records, customer).id, wallet)
    typer.echo(f"Ended {wallet}.")
