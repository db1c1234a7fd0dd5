"""Making a draft final: in one transaction with its number and with all that it uses up."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.events.ids import record_id
from tollkeeper.service.invoicing.lines import keep_lines
from tollkeeper.service.invoicing.numbers import INVOICES, take_number
from tollkeeper.service.invoicing.statements import state, with_statement
from tollkeeper.service.invoicing.surroundings import seller_of
from tollkeeper.store.invoices import InvoiceEmail
from tollkeeper.store.selling import CustomerWallet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper.billing.customer import Customer
    from tollkeeper.billing.statement import Statement
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.invoicing.statements import Basis
    from tollkeeper.service.invoicing.surroundings import Surroundings
    from tollkeeper.settings import Settings
    from tollkeeper.store.invoices import Invoice

__all__ = ["announce", "issue"]


def issue(
    edit: Edit, settings: Settings, draft: Invoice, basis: Basis, *, around: Surroundings, apis: Mapping[str, str]
) -> Invoice:
    """Give a draft its number and its day, draw wallets, use coupons up, and put one-off lines onto it.

    One with nothing to pay is paid at once, and one below zero becomes credit. The draft is in the store already.
    """
    number, at = take_number(edit.records, INVOICES, settings.invoice_prefix, edit.now)
    statement = state(basis, around, seller_of(settings), at)
    net_days = settings.invoice_net_days if around.profile.net_days is None else around.profile.net_days
    final = replace(
        with_statement(draft, statement),
        state="finalized",
        number=number,
        at=at,
        due_at=at + timedelta(days=net_days),
        finalized_at=edit.now,
    )
    if not final.due:
        final = replace(final, state="paid", paid_at=edit.now)
    edit.replace(draft, final)
    keep_lines(edit.records, final, statement, apis)
    _use_up(edit, statement, around)
    for item in basis.items:
        edit.replace(item, replace(item, invoice=final.id))
    if final.credit:
        edit.add(_credit(final, edit))
    announce(edit, settings, final.id, around.customer)
    return final


def announce(edit: Edit, settings: Settings, subject: str, customer: Customer) -> None:
    """Have an invoice or a credit note, by its id, sent where that is wanted and the customer has an address."""
    if settings.invoice_email and customer.email:
        edit.records.add(
            InvoiceEmail(id=record_id("ine"), subject=subject, address=customer.email, at=edit.now, created_at=edit.now)
        )


def _use_up(edit: Edit, statement: Statement, around: Surroundings) -> None:
    wallets = {one.id: one for one in around.wallets}
    for draw in statement.invoice.wallets:
        edit.replace(wallets[draw.wallet], replace(wallets[draw.wallet], balance=draw.left))
    coupons = {one.id: one for one in around.coupons}
    for use in statement.invoice.coupons:
        if use.amount:
            old = coupons[use.coupon]
            left = None if old.invoices_left is None else old.invoices_left - 1
            edit.replace(old, replace(old, left=use.left, invoices_left=left))


def _credit(final: Invoice, edit: Edit) -> CustomerWallet:
    return CustomerWallet(
        id=record_id("wal"),
        customer=final.customer,
        name=final.number or "",
        currency=final.currency,
        amount=final.credit,
        balance=final.credit,
        invoice=final.id,
        created_at=edit.now,
    )
