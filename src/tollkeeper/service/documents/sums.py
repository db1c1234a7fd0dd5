"""The sums behind the lines: discounts, taxes, the total, what credit paid, and what is left to pay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.billing.money import from_minor, total
from tollkeeper.service.documents.page import Sum
from tollkeeper.service.documents.texts import clean, fill

if TYPE_CHECKING:
    from decimal import Decimal

    from tollkeeper.billing.credit_note import CreditNote
    from tollkeeper.billing.invoice import DraftInvoice
    from tollkeeper.billing.statement import Statement
    from tollkeeper.billing.tax import TaxSum
    from tollkeeper.service.documents.formats import Formats
    from tollkeeper.service.documents.wording import Words
    from tollkeeper.store.invoices import Invoice

__all__ = ["invoice_sums", "note_sums", "sum_notes"]


def invoice_sums(
    invoice: Invoice, statement: Statement, formats: Formats, words: Words, *, paid_on: str
) -> tuple[Sum, ...]:
    """The sums of an invoice, and what became of them: a void one ends with its total, of a paid one nothing is due."""
    said = statement.invoice
    sums = _made_of(statement, formats, words)
    sums.append(Sum(label=words.total, amount=formats.money(said.total), strong=True))
    if invoice.state == "void":
        return tuple(sums)
    for draw in said.wallets:
        left = fill(words.credit_left, rtl=formats.rtl, amount=formats.money(draw.left))
        label = f"{words.credit_used} ({left})" if draw.left else words.credit_used
        sums.append(Sum(label=label, amount=_less(draw.amount, formats)))
    credited = total((said.due,), said.currency, less=(invoice.due,))
    if credited:
        sums.append(Sum(label=words.credited, amount=_less(credited, formats)))
    if paid_on and invoice.due:
        label = fill(words.paid_on, rtl=formats.rtl, date=paid_on)
        sums.append(Sum(label=label, amount=_less(invoice.due, formats)))
    if said.credit:
        sums.append(Sum(label=words.kept, amount=formats.money(said.credit)))
    due = from_minor(0, said.currency) if paid_on else invoice.due
    return (*sums, Sum(label=words.amount_due, amount=formats.money(due), strong=True))


def note_sums(note: CreditNote, invoice: DraftInvoice, formats: Formats, words: Words) -> tuple[Sum, ...]:
    """The sums of a credit note."""
    sums = []
    taxed = [tax for tax in invoice.taxes if note.taxes.get(tax.name) or tax.reverse_charge]
    if invoice.taxes:
        sums.append(Sum(label=words.net, amount=formats.money(note.net)))
    for tax in taxed:
        of_rate = [amount for number, amount in note.lines.items() if tax.name in invoice.lines[number].taxes]
        base = total(of_rate, note.currency)
        sums.append(_tax(tax, note.taxes.get(tax.name, from_minor(0, note.currency)), base, formats, words))
    sums.append(Sum(label=words.given_back, amount=formats.money(note.total), strong=True))
    return tuple(sums)


def sum_notes(statement: Statement, formats: Formats, words: Words) -> list[str]:
    """What law asks to be said of the taxes, and what coupons have left."""
    invoice, notes = statement.invoice, list[str]()
    if any(tax.reverse_charge for tax in invoice.taxes):
        notes.append(words.reverse_charge_note)
    if statement.terms.tax_inclusive and invoice.taxes:
        notes.append(words.inclusive_note)
    coupons = {coupon.id: coupon for coupon in statement.terms.coupons}
    for use in invoice.coupons:
        coupon = coupons.get(use.coupon)
        if coupon is not None and use.left and coupon.currency == invoice.currency:
            name, left = clean(coupon.name), formats.money(use.left)
            notes.append(fill(words.coupon_left, rtl=formats.rtl, name=name, amount=left))
    return notes


def _made_of(statement: Statement, formats: Formats, words: Words) -> list[Sum]:
    """What the total is made of, where that is more than the lines."""
    said, sums = statement.invoice, list[Sum]()
    if said.subtotal != said.net:
        sums.append(Sum(label=words.subtotal, amount=formats.money(said.subtotal)))
    coupons = {coupon.id: coupon.name for coupon in statement.terms.coupons}
    for use in said.coupons:
        if use.amount:
            label = fill(words.discount, rtl=formats.rtl, name=clean(coupons.get(use.coupon, "")))
            sums.append(Sum(label=label, amount=_less(use.amount, formats)))
    if said.taxes:
        sums.append(Sum(label=words.net, amount=formats.money(said.net)))
    return sums + [_tax(tax, tax.amount, tax.base, formats, words) for tax in said.taxes]


def _tax(tax: TaxSum, amount: Decimal, base: Decimal, formats: Formats, words: Words) -> Sum:
    values = {"name": clean(tax.name), "percent": formats.percent(tax.percent), "base": formats.money(base)}
    label = fill(words.tax, rtl=formats.rtl, **values)
    if tax.reverse_charge:
        label += f" ({words.reverse_charge})"
    return Sum(label=label, amount=formats.money(amount))


def _less(amount: Decimal, formats: Formats) -> str:
    return formats.money(total((), formats.currency, less=(amount,)))
