"""A catalogue with limits and a gate to it, at a time that passes when it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tollkeeper.billing.plan import Plan
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.lease import Grant, LeaseRequest, Settle, Take
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.audit import editing
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.gate import Gate, GateCall
from tollkeeper.service.keys import NewKey
from tollkeeper.service.plans import NewPlan, PlanPatch, create_plan, update_plan
from tollkeeper.service.products import NewApi, create_api, create_version
from tollkeeper.service.quota_folding import expire_holds
from tollkeeper.service.routes import NewRoute, create_route
from tollkeeper.service.subscriptions import NewSubscription, subscribe
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tollkeeper.billing.counter import Counter, Hold
    from tollkeeper.events.lease import LeaseAnswer
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.gate import Decision

__all__ = ["DAY", "UNIT", "Client", "Gated"]

UNIT = SECOND = 1_000_000
DAY = 86_400 * SECOND
BEGIN = 1_772_366_400 * SECOND
"""12:00 UTC on 1 March 2026."""


class Client(NamedTuple):
    """A customer who is subscribed, by ids, and the secret of their key."""

    customer: str
    subscription: str
    key: str
    secret: str

    @property
    def consumer(self) -> str:
        """What events and leases know the key by."""
        return fingerprint(self.secret)


class Gated:
    """A service that sells ``orders`` (with the routes /orders and /orders/{id}) and ``maps`` (without any)."""

    def __init__(self, store: str = "memory:", **settings: Any) -> None:
        self.now = BEGIN
        self.service = open_service(Settings(store=store, **settings))
        self.gate = self.new_gate()
        self._customers = 0
        with editing(self.service.catalog, "test") as edit:
            for api in ("orders", "maps"):
                create_version(edit, create_api(edit, NewApi(name=api)).id, NewApi(name="v1"))
            for endpoint in ("/orders", "/orders/{id}"):
                create_route(edit, NewRoute(api="orders", version="v1", endpoint=endpoint))

    def new_gate(self) -> Gate:
        """Another gate to the same store, as on another node."""
        service = self.service
        return Gate(service.catalog, service.quotas, service.keys, service.settings, now=lambda: self.now)

    def lead(self) -> None:
        """Give back what is reserved in vain, as the leader does."""
        expire_holds(self.service.quotas, self.now)

    def client(
        self, *, limits: Iterable[Mapping[str, Any]] = (), rates: Iterable[Mapping[str, Any]] = (), **values: Any
    ) -> Client:
        """A new customer with a plan of their own; ``values`` are the subscription's, its limits ``own_limits``."""
        self._customers += 1
        name, start = f"customer {self._customers}", from_microseconds(self.now - 10 * DAY)
        own = values.pop("own_limits", [])
        plan = {"name": f"plan {self._customers}", "limits": list(limits), "rates": list(rates)}
        with editing(self.service.catalog, "test") as edit:
            edit.now = from_microseconds(self.now)
            create_plan(edit, msgspec.convert(plan, NewPlan))
            customer = create_customer(edit, NewCustomer(name=name))
            wanted = {
                "customer": customer.id,
                "plan": plan["name"],
                "api": "orders",
                "started_at": start,
                "limits": own,
            }
            wanted |= values
            subscription = subscribe(edit, msgspec.convert(wanted, NewSubscription))
            key, secret = self.service.keys.create(edit, NewKey(customer=customer.id))
        return Client(customer.id, subscription.id, key.id, secret)

    def do(self, verb: Callable[[Edit], object]) -> None:
        """Change the catalogue, now."""
        with editing(self.service.catalog, "test") as edit:
            edit.now = from_microseconds(self.now)
            verb(edit)

    def change_plan(self, plan: int, **patch: Any) -> None:
        """Change the plan of a client, by its number."""
        with self.service.catalog.reading() as records:
            found = next(one for one in records.find(Plan) if one.name == f"plan {plan}")
        with editing(self.service.catalog, "test") as edit:
            update_plan(edit, found.id, msgspec.convert(patch, PlanPatch))

    def ask(self, client: Client | None, times: int = 1, *, gate: Gate | None = None, **values: Any) -> list[Decision]:
        """Ask about so many calls at once; ``units`` are whole ones."""
        units = int(values.pop("units", 1) * UNIT)
        call = GateCall(secret=client.secret if client else None, units=units, **values)
        return (gate or self.gate).decide([call] * times)

    def admitted(self, client: Client, times: int, **values: Any) -> int:
        """How many of so many calls are admitted."""
        return sum(decision.denial is None for decision in self.ask(client, times, **values))

    def code(self, client: Client | None, **values: Any) -> str | None:
        """Why a call is refused; None when it is not."""
        (decision,) = self.ask(client, **values)
        return decision.denial.code if decision.denial else None

    def take(self, client: Client, units: float = 10, **values: Any) -> Grant:
        """Take one lease of up to so many units."""
        take = Take(consumer=client.consumer, units=int(units * UNIT), **values)
        (grant,) = self.gate.exchange(LeaseRequest(take=[take])).grants
        return grant

    def settle(self, lease: str | None, used: float, *, release: bool = False) -> LeaseAnswer:
        """Say what was used of a lease, in units."""
        assert lease is not None
        return self.gate.exchange(LeaseRequest(settle=[Settle(lease=lease, used=int(used * UNIT), release=release)]))

    def counters(self, client: Client) -> list[Counter]:
        """The counters of a client's periods that have not ended."""
        with self.service.quotas.reading() as book:
            return book.counters_of([client.subscription], since=self.now)

    def counted(self, client: Client) -> tuple[float, float]:
        """The units used and held of a client who has one limit."""
        (counter,) = self.counters(client)
        return counter.used / UNIT, counter.held / UNIT

    def holds(self, *ids: str | None) -> dict[str, Hold]:
        """The holds of these ids that are there."""
        with self.service.quotas.reading() as book:
            return book.holds([hold_id for hold_id in ids if hold_id])

    def close(self) -> None:
        """Close the service."""
        self.service.close()
