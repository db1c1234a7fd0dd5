"""From charges to the statement of an invoice, as the service puts them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.billing.invoice import InvoiceTerms, draft_invoice
from tollkeeper.billing.part_charges import says_nothing
from tollkeeper.billing.statement import StatedCharge, Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.billing.charge import Charge
    from tollkeeper.billing.charging import Charged
    from tollkeeper.billing.party import Party

__all__ = ["state_invoice"]


def state_invoice(
    charged: Charged, items: Sequence[Charge], terms: InvoiceTerms, seller: Party, buyer: Party, *, language: str = "en"
) -> Statement | None:
    """State the parts in the currency of the terms, and one-off ``items`` at the end; None when there is no line.

    Raises what ``draft_invoice`` raises.
    """
    places = [place for place, part in enumerate(charged.parts) if part.currency == terms.currency]
    charges = [
        StatedCharge(places.index(one.part), one.charge)
        for one in charged.charges
        if one.part is not None and one.part in places
    ]
    charges += [StatedCharge(None, item) for item in items if not says_nothing(item)]
    if not charges:
        return None
    return Statement(
        parts=tuple(charged.parts[place] for place in places),
        charges=tuple(charges),
        terms=terms,
        invoice=draft_invoice([one.charge for one in charges], terms),
        seller=seller,
        buyer=buyer,
        language=language,
    )
