"""``/v1/customers/{customer}/wallets``: credit that a customer's invoices are paid from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.customer import Customer
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.service.selling.belonging import find_of
from tollkeeper.service.selling.wallets import NewWallet, WalletView, add_wallet, end_wallet, show_wallet
from tollkeeper.store.selling import CustomerWallet

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Records

__all__ = ["WALLET_HANDLERS"]

TAGS = ["Customers"]
ALL = "/v1/customers/{customer:str}/wallets"
ONE = f"{ALL}/{{wallet:str}}"


@get(ALL, sync_to_thread=True, summary="List wallets", tags=TAGS)
def get_wallets(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    customer: FromPath[str],
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[WalletView]]:
    """List the wallets of a customer with their balances, also those that are empty or expired, oldest first."""
    now = datetime.now(UTC)
    with service.catalog.reading() as records:
        found = find_record(records, Customer, customer)
        listed = list_records(records, CustomerWallet, after=after, limit=limit, customer=found.id)
    return paged(request, Listed([show_wallet(one, now) for one in listed.items], listed.next))


@post(ALL, sync_to_thread=True, opt=ADMIN, summary="Give credit", tags=TAGS)
def post_wallet(
    write: NamedDependency[Write], customer: FromPath[str], data: JSONBody[NewWallet]
) -> Response[WalletView]:
    """Give a customer credit, paid for or granted; to top up is to give another."""
    return write.create(
        lambda edit: show_wallet(add_wallet(edit, customer, data), edit.now), data, f"customers/{customer}/wallets"
    )


@get(ONE, sync_to_thread=True, summary="Show a wallet", tags=TAGS)
def get_wallet(
    service: NamedDependency[Service], customer: FromPath[str], wallet: FromPath[str]
) -> Response[WalletView]:
    """Show a wallet with its balance."""
    with service.catalog.reading() as records:
        return shown(_show(records, customer, wallet))


@delete(ONE, sync_to_thread=True, opt=ADMIN, summary="End a wallet", tags=TAGS)
def delete_wallet(write: NamedDependency[Write], customer: FromPath[str], wallet: FromPath[str]) -> Response[None]:
    """Let a wallet expire now, with what is left in it; what it paid stays paid."""
    return write.remove(
        lambda edit: end_wallet(edit, customer, wallet), lambda records: _show(records, customer, wallet)
    )


def _show(records: Records, customer: str, wallet: str) -> WalletView:
    return show_wallet(find_of(records, CustomerWallet, customer, wallet), datetime.now(UTC))


WALLET_HANDLERS = [get_wallets, post_wallet, get_wallet, delete_wallet]
