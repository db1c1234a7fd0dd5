"""Ask the host's own functions about a request, so that whatever they do stays with us."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.identify import as_consumer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.options import CaptureOptions

__all__ = ["ask", "ask_async"]


def ask(exchange: Exchange, request: Any, options: CaptureOptions) -> None:
    """Let ``identify`` and its like decide, once a request, on its thread; what they raise is counted and logged."""
    for name, function in _questions(exchange, options):
        try:
            _settle(exchange, name, function(request))
        except Exception as error:  # noqa: BLE001 - the host's function may do anything but harm the request
            _tell(exchange, name, error)


async def ask_async(exchange: Exchange, request: Any, options: CaptureOptions) -> None:
    """The same where functions may be coroutine functions."""
    for name, function in _questions(exchange, options):
        try:
            answer = function(request)
            _settle(exchange, name, await answer if inspect.isawaitable(answer) else answer)
        except Exception as error:  # noqa: BLE001 - the host's function may do anything but harm the request
            _tell(exchange, name, error)


def _questions(exchange: Exchange, options: CaptureOptions) -> Iterator[tuple[str, Any]]:
    if exchange.asked:
        return
    exchange.asked = True
    for name, function in options.asked:
        if exchange.skipped or (name == "consumer" and exchange.identified):
            continue
        exchange.identified = exchange.identified or name == "consumer"
        yield name, function


def _settle(exchange: Exchange, name: str, answer: Any) -> None:
    if name == "exclude":
        if answer:
            exchange.skip()
    elif name == "consumer":
        exchange.consumer = as_consumer(answer)
    elif answer is not None:
        setattr(exchange, name, str(answer))


def _tell(exchange: Exchange, name: str, error: Exception) -> None:
    asked = "identify" if name == "consumer" else name
    exchange.log.tell(asked, "Tollkeeper: the function for %r failed.", asked, error=error)
