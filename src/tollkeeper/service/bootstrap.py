"""The composition root: from settings to a service whose parts know one another."""

from __future__ import annotations

from msgspec import Struct

from tollkeeper.service.access import Access
from tollkeeper.settings import Settings
from tollkeeper.store.engines import open_stores
from tollkeeper.store.protocols import Catalog, EventStore

__all__ = ["Service", "open_service"]


class Service(Struct, frozen=True, eq=False):
    """What the doors and the transports are given: the stores and the verbs that carry state."""

    settings: Settings
    events: EventStore
    catalog: Catalog
    access: Access

    def close(self) -> None:
        """Let go of the stores; idempotent."""
        self.events.close()
        self.catalog.close()


def open_service(settings: Settings) -> Service:
    """Open the store that the settings name; raises ConfigurationError or StoreError."""
    events, catalog = open_stores(settings.store)
    return Service(settings=settings, events=events, catalog=catalog, access=Access(catalog, settings))
