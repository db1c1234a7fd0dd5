"""The prices of a plan: read from what somebody says, checked, and added to while the plan is in use."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from tollkeeper.billing.price import check_amount
from tollkeeper.billing.price_rows import PriceModel, PriceRow
from tollkeeper.billing.rate_card import CardPrice, RateCard, rate_card
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.timestamps import END, EPOCH
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.service.fields import Name, Time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tollkeeper.billing.plan import Plan
    from tollkeeper.store.protocols import Records

__all__ = ["NewPlanPrice", "card_body", "check_card", "check_card_change", "with_price"]

CARD = RateCard.__struct_fields__
FIXED = ("fee", "minimum", "prorated", "prorate_by")
FIXED_OF_A_PRICE = ("meter", "maximum", "taxes")
USUAL = {"minimum": Decimal(0), "prorated": True, "prorate_by": "second", "prices": []}
"""What is as good as not said. A fee of 0 is none of it: a prepaid value without a fee costs its amount."""
MAX_NAME = 255
MAX_ROWS = 1_000


class NewPlanPrice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row to be added to the price ``name`` of a plan, or the first of a new one, which says the rest, too.

    It ends the row before. ``valid_from`` left out is now, or of a new price of a plan that nobody has, from ever.
    """

    name: Name
    meter: Name | None = None
    price: PriceModel
    valid_from: Time | None = None
    maximum: Decimal | None = None
    taxes: Annotated[tuple[Name, ...], Meta(max_length=10)] | None = None


def card_body(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """What the body of a plan says of its card after changes, as JSON; None takes a value away.

    Raises UnprocessableError.
    """
    for name in ("fee", "minimum"):
        if changes.get(name) is not None:
            check_amount(name, changes[name])
    kept = {name: old[name] for name in CARD if name in old and name not in changes}
    said = {name: value for name, value in changes.items() if value is not None and value != USUAL.get(name)}
    found: dict[str, Any] = kept | msgspec.to_builtins(said)
    return found


def check_card(records: Records, plan: Plan) -> RateCard:
    """Read the card of a plan, and refuse one that counts by no meter there is; raises as ``rate_card``."""
    card = rate_card(plan)
    for price in card.prices:
        if not 1 <= len(price.name) <= MAX_NAME or len(price.rows) > MAX_ROWS:
            raise UnprocessableError(
                f"The price {price.name[:100]!r} has a name of {len(price.name)} characters and {len(price.rows)} rows:"
                f" give it 1 to {MAX_NAME}, and {MAX_ROWS} rows at most."
            )
        if price.meter is not None and not records.find(MeterDefinition, name=price.meter):
            raise UnprocessableError(f"There is no meter {price.meter[:100]!r}: make it first, or correct the name.")
    return card


def check_card_change(name: str, old: RateCard, new: RateCard, now: datetime) -> None:
    """Refuse what would change what somebody pays already by a plan in use; raises ConflictError.

    Rows may be added from now on, and one that is in force may be given an end that is still to come.
    """
    changed = [field for field in FIXED if getattr(old, field) != getattr(new, field)]
    if changed:
        raise ConflictError(
            f"The plan {name!r} is in use, so its {', '.join(changed)} cannot be changed: make another plan, and move"
            " the subscriptions to it."
        )
    prices = {price.name: price for price in new.prices}
    known = {price.name: price for price in old.prices}
    for price in old.prices:
        _check_price(name, price, prices.get(price.name), now)
    for price in new.prices:
        there = {row.valid_from for row in known[price.name].rows} if price.name in known else set()
        for row in price.rows:
            if row.valid_from not in there and row.valid_from < now:
                raise ConflictError(
                    f"The plan {name!r} is in use, and the price {price.name!r} would hold from"
                    f" {row.valid_from.isoformat()} on, which is over: give a valid_from that is still to come, or make"
                    " another plan."
                )


def with_price(card: RateCard, new: NewPlanPrice, now: datetime, *, in_use: bool) -> list[CardPrice]:
    """The prices of a card with one row more; raises ConflictError or UnprocessableError."""
    old = next((price for price in card.prices if price.name == new.name), None)
    begin = new.valid_from or (now if in_use or old else EPOCH)
    if not EPOCH <= begin < END:
        raise UnprocessableError("valid_from is not between 1970 and 9999: leave it out for now.")
    row = PriceRow(price=new.price, valid_from=begin)
    if new.maximum is not None:
        check_amount("maximum", new.maximum)
    if old is None:
        made = CardPrice(name=new.name, meter=new.meter, rows=(row,), maximum=new.maximum, taxes=new.taxes)
        return [*card.prices, made]
    told = [name for name in FIXED_OF_A_PRICE if getattr(new, name) not in {None, getattr(old, name)}]
    if told:
        raise ConflictError(
            f"The plan has a price {old.name!r} with another {told[0]}: leave {told[0]} out, or give the price another"
            " name."
        )
    rows = [replace(one, valid_to=begin) if one.valid_from < begin < one.valid_to == END else one for one in old.rows]
    changed = replace(old, rows=(*rows, row))
    return [changed if price is old else price for price in card.prices]


def _check_price(plan: str, old: CardPrice, new: CardPrice | None, now: datetime) -> None:
    if new is None:
        raise ConflictError(
            f"The plan {plan!r} is in use, so its price {old.name!r} cannot be taken away: keep it, and give its last"
            " row a valid_to that is still to come."
        )
    changed = [field for field in FIXED_OF_A_PRICE if getattr(old, field) != getattr(new, field)]
    if changed:
        raise ConflictError(
            f"The plan {plan!r} is in use, so the {', '.join(changed)} of its price {old.name!r} cannot be changed:"
            " make another price or another plan."
        )
    rows = {row.valid_from: row for row in new.rows}
    for row in old.rows:
        found = rows.get(row.valid_from)
        if found is None or found.price != row.price or not _may_end(row.valid_to, found.valid_to, now):
            raise ConflictError(
                f"The plan {plan!r} is in use, and prices are never edited: keep the row of {old.name!r} from"
                f" {row.valid_from.isoformat()} on as it is, give it a valid_to that is still to come, and add a row"
                " from then on."
            )


def _may_end(old: datetime, new: datetime, now: datetime) -> bool:
    return old == new or (old >= now and new >= now)
