"""The wire contract of leases: an app takes blocks of quota from the service and says what it has used of them.

All quantities are millionths of a unit; all times are seconds from now, so that no two clocks must agree.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

__all__ = ["Grant", "LeaseAnswer", "LeaseRequest", "Settle", "Take"]

ShortText = Annotated[str, Meta(max_length=255)]
Micro = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Take(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is wanted: up to ``units`` for the calls of a consumer (the fingerprint of a key) of one route."""

    consumer: ShortText
    api: ShortText | None = None
    api_version: ShortText | None = None
    endpoint: Annotated[str, Meta(max_length=1024)] | None = None
    method: ShortText | None = None
    units: Micro = 1_000_000


class Settle(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How much of a lease was ``used`` since it was taken; with ``release`` the rest is given back.

    To send it again changes nothing. It counts also when the lease has expired.
    """

    lease: ShortText
    used: Micro
    release: bool = False


class LeaseRequest(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an app asks in one call; settled first, then taken. Empty, it asks for the revision alone."""

    take: Annotated[list[Take], Meta(max_length=1000)] = []
    settle: Annotated[list[Settle], Meta(max_length=10_000)] = []


class Denial(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Why a call is refused, as the problem document says it; ``retry_after`` when it may be otherwise."""

    status: int
    code: str
    detail: str
    retry_after: float | None = None


class LimitState(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where a limit stands, for the headers: ``quota`` in ``window`` seconds, ``remaining``, anew in ``resets``."""

    name: str
    quota: int
    window: int
    remaining: int
    resets: float


class Grant(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The answer to one ``Take``, good for ``seconds``: ``units`` of a lease, or a denial.

    Without a lease and a denial there is no limit, and the call is welcome. ``on_failure`` is what the plan says for
    when the service cannot be reached.
    """

    seconds: float
    lease: str | None = None
    units: int = 0
    denial: Denial | None = None
    on_failure: Literal["admit", "deny"] = "admit"
    customer: str | None = None
    plan: str | None = None
    limits: list[LimitState] = []


class LeaseAnswer(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A grant for each take, in order. When ``revision`` changes, so may everything that was granted before."""

    revision: str = ""
    grants: list[Grant] = []
