"""The request that is being answered, for use in a view: who it is for, what it counts, what else to keep of it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from tollkeeper.capture.exchange import Exchange

__all__ = ["current", "set_consumer", "set_units", "skip", "track"]

exchange_in_hand: ContextVar[Exchange | None] = ContextVar("tollkeeper", default=None)


def current() -> Exchange | None:
    """The request in hand, with the ``id`` that its event will have; None outside of a watched request."""
    exchange = exchange_in_hand.get()
    while exchange is not None and exchange.finished:  # a mounted app has answered, the one around it has not
        exchange = exchange.outer
    return exchange


def skip() -> None:
    """Leave this request out of what is recorded."""
    _apply(lambda exchange: exchange.skip())


def set_consumer(key: object, *, label: str | None = None, email: str | None = None, group: str | None = None) -> None:
    """Say who called: a key with more about it, or anything that ``identify`` may return, which is not asked then.

    Like the other functions here it does nothing outside of a request and never raises: a wrong value is logged.
    """
    more = {"label": label, "email": email, "group": group}
    whole = {"key": key, **more} if isinstance(key, str) and any(more.values()) else key
    _apply(lambda exchange: exchange.set_consumer(whole))


def set_units(units: float | str | Decimal) -> None:
    """Say how much this request counts, from 0 to below 1,000,000 with up to six decimals; without it, 1."""
    _apply(lambda exchange: exchange.set_units(units))


def track(**variables: object) -> None:
    """Add variables to the event; secrets in them are hidden as in bodies."""
    _apply(lambda exchange: exchange.track(**variables))


def _apply(step: Callable[[Exchange], None]) -> None:
    exchange = current()
    # A mounted app may be watched as well as the one around it: both tell of this request.
    while exchange is not None:
        try:
            step(exchange)
        except Exception as error:  # noqa: BLE001 - a wrong value must not fail the request
            exchange.log.tell("current", "Tollkeeper: a value given in a view cannot be used.", error=error)
        exchange = exchange.outer
