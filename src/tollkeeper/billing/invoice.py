"""A draft invoice: charges as lines, less coupons, plus taxes, paid from wallets. Made of rounded lines alone."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.coupon import Coupon, CouponUse, use_coupons
from tollkeeper.billing.money import from_minor, to_minor, total
from tollkeeper.billing.tax import TaxableLine, TaxRate, TaxSum, tax_lines
from tollkeeper.billing.wallet import Wallet, WalletDraw, draw_wallets
from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.billing.charge import Charge

__all__ = ["DraftInvoice", "InvoiceTerms", "Line", "draft_invoice"]


class InvoiceTerms(Struct, frozen=True, kw_only=True):
    """What is around the charges: coupons in the order they were granted, and ``at``, when wallets are looked into."""

    currency: str
    at: datetime
    coupons: tuple[Coupon, ...] = ()
    taxes: tuple[TaxRate, ...] = ()
    tax_inclusive: bool = False
    wallets: tuple[Wallet, ...] = ()


class Line(Struct, frozen=True, kw_only=True):
    """One line: ``amount`` is the charge, ``discount`` what coupons take off it, ``net`` what is left without taxes.

    ``quantity`` is in millionths.
    """

    kind: str
    name: str
    price: str | None
    quantity: int | None
    amount: Decimal
    discount: Decimal
    net: Decimal
    taxes: tuple[str, ...]


class DraftInvoice(Struct, frozen=True, kw_only=True):
    """Lines and their sums.

    ``net`` is the ``subtotal`` less the ``discount`` (and, where prices are inclusive, less the taxes in it); ``total``
    is ``net`` and ``tax``. ``due`` is what wallets leave to pay, ``credit`` what a total is below zero.
    """

    currency: str
    lines: tuple[Line, ...]
    coupons: tuple[CouponUse, ...]
    taxes: tuple[TaxSum, ...]
    wallets: tuple[WalletDraw, ...]
    subtotal: Decimal
    discount: Decimal
    net: Decimal
    tax: Decimal
    total: Decimal
    due: Decimal
    credit: Decimal


def draft_invoice(charges: Sequence[Charge], terms: InvoiceTerms) -> DraftInvoice:
    """Put an invoice together: lines, then coupons, then taxes, then wallets.

    Raises UnprocessableError when two taxes have one name, or a charge bears one that is not among them.
    """
    _check_taxes(charges, terms)
    currency = terms.currency
    uses = use_coupons(terms.coupons, [charge.amount for charge in charges], currency)
    discounts = [total((use.shares[place] for use in uses), currency) for place in range(len(charges))]
    remaining = [
        TaxableLine(total((charge.amount,), currency, less=(discount,)), charge.taxes)
        for charge, discount in zip(charges, discounts, strict=True)
    ]
    taxed = tax_lines(remaining, terms.taxes, currency, inclusive=terms.tax_inclusive)
    lines = tuple(
        _line(charge, discount, net, terms)
        for charge, discount, net in zip(charges, discounts, taxed.nets, strict=True)
    )
    net, tax = total(taxed.nets, currency), total((one.amount for one in taxed.sums), currency)
    whole = total((net, tax), currency)
    draws = draw_wallets(terms.wallets, whole, currency, terms.at)
    left = to_minor(total((whole,), currency, less=(draw.amount for draw in draws)), currency)
    return DraftInvoice(
        currency=currency,
        lines=lines,
        coupons=uses,
        taxes=taxed.sums,
        wallets=draws,
        subtotal=total((charge.amount for charge in charges), currency),
        discount=total(discounts, currency),
        net=net,
        tax=tax,
        total=whole,
        due=from_minor(max(left, 0), currency),
        credit=from_minor(max(-left, 0), currency),
    )


def _line(charge: Charge, discount: Decimal, net: Decimal, terms: InvoiceTerms) -> Line:
    every = tuple(rate.name for rate in terms.taxes)
    return Line(
        kind=charge.kind,
        name=charge.name,
        price=charge.price,
        quantity=charge.quantity,
        amount=charge.amount,
        discount=discount,
        net=net,
        taxes=every if charge.taxes is None else charge.taxes,
    )


def _check_taxes(charges: Sequence[Charge], terms: InvoiceTerms) -> None:
    names = [rate.name for rate in terms.taxes]
    if len(set(names)) < len(names):
        raise UnprocessableError("Two taxes have the same name: give each a name of its own.")
    unknown = sorted({name for charge in charges for name in charge.taxes or ()} - set(names))
    if unknown:
        raise UnprocessableError(f"A charge bears the tax {unknown[0]!r}, which isn't given: add it to the taxes.")
