"""What events add to a meter, and when."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

__all__ = ["Quantity"]


class Quantity(Struct, frozen=True):
    """So many millionths of a unit at a time."""

    at: datetime
    amount: int
