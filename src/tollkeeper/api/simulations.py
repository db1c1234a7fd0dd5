"""``POST /v1/simulations``: the traffic of a month under a draft of plans and prices."""

from __future__ import annotations

from typing import Annotated

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, field
from msgspec.structs import replace

from tollkeeper.api.writing import ADMIN
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.fields import Name
from tollkeeper.service.simulation.draft import Draft
from tollkeeper.service.simulation.simulating import Simulation, simulate

__all__ = ["post_simulation"]


class NewSimulation(Draft, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draft and whom it is tried out on: subscribers of a plan, or some customers, or everybody.

    ``period`` is a month as 2026-10. The answer has up to ``limit`` customers, those with the greatest difference.
    """

    period: str
    subscribers_of: Name | None = None
    customers: Annotated[list[Name], Meta(max_length=1000)] = field(default_factory=list)
    limit: Annotated[int, Meta(ge=0, le=10_000)] = 100


@post("/v1/simulations", sync_to_thread=True, opt=ADMIN, status_code=200, summary="Try a draft out", tags=["Revenue"])
def post_simulation(service: NamedDependency[Service], data: JSONBody[NewSimulation]) -> Simulation:
    """Charge a month's real traffic under a draft, and tell who would pay more or less; nothing is written."""
    found = simulate(service, data, data.period, subscribers_of=data.subscribers_of, customers=data.customers)
    return replace(found, rows=found.rows[: data.limit])
