"""Who waits for the answer to a question: a thread, or a coroutine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import asyncio

__all__ = ["Waiter", "waiter_for"]


class Waiter(Struct, eq=False):
    """Somebody who waits for an answer: told when it is there, or that there will be none because it ``failed``."""

    told: Callable[[], object]
    failed: bool = False


def waiter_for(future: asyncio.Future[None]) -> Waiter:
    """One that resolves a future when a thread tells it."""
    return Waiter(partial(_tell, future))


def _tell(future: asyncio.Future[None]) -> None:
    with suppress(RuntimeError):  # the loop has ended, and who waited with it
        future.get_loop().call_soon_threadsafe(_resolve, future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
