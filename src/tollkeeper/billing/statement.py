"""What an invoice says, and all that it rests on: from this and the raw events, each line can be worked out again."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from tollkeeper.billing.charge import Charge
from tollkeeper.billing.invoice import DraftInvoice, InvoiceTerms
from tollkeeper.billing.models.flat_fee import FlatFee
from tollkeeper.billing.models.percentage import Percentage
from tollkeeper.billing.party import Party
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.metering.meter import Meter

__all__ = ["CalledAs", "ChargedPart", "StatedCharge", "Statement", "UsedPrice"]

NOTHING = Decimal(0)


class CalledAs(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The calls that events name so in ``[start, end)``; ``route`` is the registered one whose calls they are."""

    api: str | None = None
    api_version: str | None = None
    endpoint: str | None = None
    method: str | None = None
    route: str | None = None
    start: datetime
    end: datetime


class UsedPrice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A price by its dated rows: of the calls of a route, when ``price`` is its id and ``meter`` None.

    Else it is a price of the plan, of what the ``meter`` makes of all the part's calls, or a flat fee. A charge names
    it by ``price``; the rows are those of the part's time.
    """

    name: str
    price: str
    rows: tuple[PriceRow, ...]
    meter: Meter | None = None
    maximum: Decimal | None = None
    taxes: tuple[str, ...] | None = None

    @property
    def is_fee(self) -> bool:
        """Whether it is a flat fee, which no call has a part in."""
        return isinstance(self.rows[0].price, FlatFee)

    @property
    def by_event(self) -> bool:
        """Whether each amount by itself is needed to rate it, as a sum of them would not do."""
        return any(isinstance(row.price, Percentage) for row in self.rows)


class ChargedPart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A billing period of a subscription, or ``[start, end)`` of it, in which one plan was in force.

    Events of the ``keys`` (fingerprints) that are among the ``calls`` count, up to the one with the ``seq`` ``until``.
    ``share`` is that of the whole period's fees: less for a part, without the trial and the time that it was paused.
    ``currency`` is the plan's, the customer's or that of the calls; None when nothing says it, and nothing is charged.
    ``carried`` and ``left`` are what was not used of the plan's amount off, before and after it.
    A part that was billed by ``earlier`` invoices (their ids) is rated whole, and what they charged, ``before``, comes
    off.
    """

    subscription: str
    plan: Plan
    period_start: datetime
    period_end: datetime
    start: datetime
    end: datetime
    share: Fraction = Fraction(1)
    currency: str | None = None
    keys: tuple[str, ...] = ()
    until: int = 0
    calls: tuple[CalledAs, ...] = ()
    prices: tuple[UsedPrice, ...] = ()
    carried: Decimal = NOTHING
    left: Decimal = NOTHING
    before: tuple[Charge, ...] = ()
    earlier: tuple[str, ...] = ()


class StatedCharge(Struct, frozen=True):
    """The charge of one line; ``part`` is the place of the part that it is for, None of a one-off line."""

    part: int | None
    charge: Charge


class Statement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An invoice with its grounds: ``charges[n]`` is what ``invoice.lines[n]`` is made of.

    ``language`` and ``time_zone`` are those of the customer, in which it is written, and in which its days are.
    """

    parts: tuple[ChargedPart, ...]
    charges: tuple[StatedCharge, ...]
    terms: InvoiceTerms
    invoice: DraftInvoice
    seller: Party
    buyer: Party
    language: str = "en"
    time_zone: str = "UTC"
