"""Wallets: prepaid credits, drawn down in order to pay what an invoice comes to after taxes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.money import check_payable, from_minor, to_minor
from tollkeeper.billing.price import check_amount
from tollkeeper.events.timestamps import END

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Wallet", "WalletDraw", "draw_wallets"]


class Wallet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is left of a credit. A lower ``priority`` goes first; ``granted`` is what was not paid for.

    It is gone at ``expires_at``, exclusive.
    """

    id: str
    currency: str
    balance: Decimal
    priority: int = 0
    expires_at: datetime | None = None
    granted: bool = False

    def __post_init__(self) -> None:
        check_payable("balance", check_amount("balance", self.balance), self.currency)


class WalletDraw(Struct, frozen=True):
    """What is taken out of a wallet, and what is left in it."""

    wallet: str
    amount: Decimal
    left: Decimal


def draw_wallets(wallets: Iterable[Wallet], due: Decimal, currency: str, at: datetime) -> tuple[WalletDraw, ...]:
    """Pay what is due from the wallets in its currency, as far as they go.

    By priority, then the earliest expiry, then granted before purchased, then by id.
    """
    usable = [one for one in wallets if one.currency == currency and (one.expires_at is None or at < one.expires_at)]
    left, draws = max(to_minor(due, currency), 0), []
    for wallet in sorted(usable, key=lambda one: (one.priority, one.expires_at or END, not one.granted, one.id)):
        balance = to_minor(wallet.balance, currency)
        taken = min(balance, left)
        if taken:
            left -= taken
            draws.append(WalletDraw(wallet.id, from_minor(taken, currency), from_minor(balance - taken, currency)))
    return tuple(draws)
