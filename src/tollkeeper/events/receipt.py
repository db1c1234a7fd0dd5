"""What a sender is told of its events."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["EventError", "Receipt"]


class EventError(Struct, frozen=True):
    """Why the event at ``index`` of a batch was rejected; its neighbours are not touched by it."""

    index: int
    code: str
    detail: str


class Receipt(Struct, frozen=True, kw_only=True):
    """What became of a batch, durable when it is said: ``received = stored + duplicate + rejected``."""

    received: int
    stored: int
    duplicate: int
    rejected: int
    errors: list[EventError] = []
