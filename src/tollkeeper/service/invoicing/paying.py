"""Paid, and void: what becomes of a final invoice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.money import total
from tollkeeper.errors import ConflictError
from tollkeeper.service.invoicing.lines import forget_lines, mark_lines
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.service.listing import find_record
from tollkeeper.store.invoices import Invoice, InvoiceEmail, IssuedCreditNote
from tollkeeper.store.selling import CustomerCoupon, CustomerWallet, InvoiceItem

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["pay_invoice", "void_invoice"]


def pay_invoice(edit: Edit, invoice_id: str) -> Invoice:
    """Say that what was due is paid; raises NotFoundError, or ConflictError unless it is final and unpaid."""
    invoice = find_record(edit.records, Invoice, invoice_id)
    if invoice.state != "finalized":
        hint = "make it final first" if invoice.state == "draft" else "there is nothing to pay"
        raise ConflictError(f"The invoice is {invoice.state}: {hint}.")
    paid = replace(invoice, state="paid", paid_at=edit.now)
    edit.replace(invoice, paid)
    mark_lines(edit.records, paid)
    return paid


def void_invoice(edit: Edit, invoice_id: str) -> Invoice:
    """Take an invoice back: its number stays, what it used up is given back, and its month can be billed again.

    A draft is gone. Raises NotFoundError, or ConflictError for one that is paid, void, or has credit notes.
    """
    invoice = find_record(edit.records, Invoice, invoice_id)
    void = replace(invoice, state="void", voided_at=edit.now)
    if invoice.state == "draft":
        forget_lines(edit.records, invoice)
        edit.remove(invoice)
        return void
    if invoice.state != "finalized":
        hint = "give a credit note" if invoice.state == "paid" else "there is nothing to take back"
        raise ConflictError(f"The invoice {invoice.number} is {invoice.state}: {hint}.")
    if edit.records.find(IssuedCreditNote, invoice=invoice.id):
        raise ConflictError(f"The invoice {invoice.number} has credit notes: give the rest back by another one.")
    edit.replace(invoice, void)
    mark_lines(edit.records, void)
    _give_back(edit, invoice)
    for email in edit.records.find(InvoiceEmail, subject=invoice.id, state="pending"):
        edit.records.remove(email)
    return void


def _give_back(edit: Edit, invoice: Invoice) -> None:
    said = invoice_statement(invoice).invoice
    for draw in said.wallets:
        wallet = find_record(edit.records, CustomerWallet, draw.wallet)
        edit.replace(wallet, replace(wallet, balance=total((wallet.balance, draw.amount), wallet.currency)))
    for use in said.coupons:
        if use.amount:
            coupon = find_record(edit.records, CustomerCoupon, use.coupon)
            left, often = coupon.left, coupon.invoices_left
            if left is not None:
                left = total((left, use.amount), invoice.currency)
            edit.replace(coupon, replace(coupon, left=left, invoices_left=None if often is None else often + 1))
    for item in edit.records.find(InvoiceItem, invoice=invoice.id):
        edit.replace(item, replace(item, invoice=None))
