"""The composition root: from settings to a service whose parts know one another."""

from __future__ import annotations

from msgspec import Struct

from tollkeeper.service.access import Access
from tollkeeper.service.gate import Gate
from tollkeeper.service.keys import Keys
from tollkeeper.service.revenue.memory import RevenueMemory
from tollkeeper.settings import Settings
from tollkeeper.store.engines import open_leadership, open_stores, shown_url
from tollkeeper.store.protocols import Catalog, EventStore, Leadership, Quotas, Tags
from tollkeeper.store.quotas.opening import open_quotas
from tollkeeper.store.tags.opening import open_tags

__all__ = ["Service", "leadership", "open_service", "shown_store"]


class Service(Struct, frozen=True, eq=False):
    """What the doors and the transports are given: the stores and the verbs that carry state."""

    settings: Settings
    events: EventStore
    catalog: Catalog
    access: Access
    keys: Keys
    tags: Tags
    quotas: Quotas
    gate: Gate
    revenue: RevenueMemory

    def close(self) -> None:
        """Let go of the stores; idempotent."""
        self.events.close()
        self.catalog.close()
        self.tags.close()
        self.quotas.close()


def open_service(settings: Settings, *, make: bool = True, upgrade: bool = False) -> Service:
    """Open the store that the settings name; see ``open_stores`` for the flags and for what it raises."""
    events, catalog = open_stores(settings.store, make=make, upgrade=upgrade)
    keys, quotas = Keys(catalog.pepper()), open_quotas(settings.store)
    return Service(
        settings=settings,
        events=events,
        catalog=catalog,
        access=Access(catalog, settings),
        keys=keys,
        tags=open_tags(settings.store),
        quotas=quotas,
        gate=Gate(catalog, quotas, keys, settings),
        revenue=RevenueMemory(catalog),
    )


def leadership(settings: Settings) -> Leadership:
    """What decides whether this node leads those on its store."""
    return open_leadership(settings.store)


def shown_store(settings: Settings) -> str:
    """The URL of the store as it may be printed."""
    return shown_url(settings.store)
