"""What is gone of limits, and what is kept free of them."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Counter", "Hold"]


class Counter(Struct, frozen=True, kw_only=True):
    """What is gone of one limit in one period: ``used`` by calls, ``held`` for calls to come; both in millionths.

    ``carried`` came over from the period before. Of a rate, ``arrival`` is the theoretical arrival time (GCRA), and the
    other figures stay 0. Times are µs since 1970.
    """

    id: str
    subscription: str
    used: int = 0
    held: int = 0
    carried: int = 0
    arrival: int = 0
    starts_at: int = 0
    ends_at: int = 0
    closed_at: int | None = None


class Hold(Struct, frozen=True, kw_only=True):
    """Room that is kept free in some counters, by their ids: a reservation for one call, or the lease of an app.

    What was ``used`` of a lease has left ``held``, and is in the counters' ``used``. A hold that is not ``open`` holds
    nothing any more.
    """

    id: str
    consumer: str
    endpoint: str | None = None
    counters: list[str]
    units: int
    used: int = 0
    lease: bool = False
    open: bool = True
    expires_at: int
