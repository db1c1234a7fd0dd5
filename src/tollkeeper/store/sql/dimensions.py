"""What many events share (sources, routes, consumers), kept once and named by small numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeGuard

from msgspec import Struct

from tollkeeper.events.event import Consumer
from tollkeeper.events.routes import template_path

if TYPE_CHECKING:
    from tollkeeper.events.event import UsageEvent

__all__ = ["NOBODY", "Dimensions", "Numbers", "RouteKey", "route_key"]

RouteKey = tuple[str, str, str, str]
"""Template, method, api, version; an absent api or version is empty."""

NOBODY = 0
CACHE_SIZE = 100_000


class Numbers(Struct):
    """Numbers by what they name; with that of a consumer, what is known of it: label, e-mail address and group."""

    sources: dict[str, int]
    routes: dict[RouteKey, int]
    consumers: dict[str, tuple[int, tuple[str | None, ...]]]


Assign = Callable[[Sequence[str], Sequence[RouteKey], Sequence[Consumer]], Numbers]
"""Finds numbers, or gives new ones, in a transaction that is committed when it returns; all in sorted order."""


def route_key(event: UsageEvent) -> RouteKey:
    """The route that an event counts on; without a template from the app, one is made of the path."""
    template = event.route if event.route is not None else template_path(event.path)
    return template, event.method, event.api or "", event.api_version or ""


class Dimensions:
    """Finds the number of a source, route or consumer, and gives a new one its own.

    What is cached is committed: numbers are handed out in a transaction of their own, before the events that need them.
    """

    def __init__(self, assign: Assign) -> None:
        self._assign = assign
        self._known = Numbers({}, {}, {})

    def learn(self, names: Iterable[str], events: Sequence[UsageEvent]) -> None:
        """Make sure that every source, route and consumer of the events, and every source named, has its number."""
        known = self._known
        for cache in (known.sources, known.routes, known.consumers):
            if len(cache) > CACHE_SIZE:
                cache.clear()
        sources = {*names, *(event.source for event in events)} - known.sources.keys()
        routes = {route_key(event) for event in events} - known.routes.keys()
        consumers: dict[str, Consumer] = {}
        for who in (event.consumer for event in events):
            if self._is_news(who):
                consumers[who.key] = _completed(who, consumers.get(who.key))
        if not sources and not routes and not consumers:
            return
        found = self._assign(sorted(sources), sorted(routes), [consumers[key] for key in sorted(consumers)])
        known.sources |= found.sources
        known.routes |= found.routes
        known.consumers |= found.consumers

    def _is_news(self, who: Consumer | None) -> TypeGuard[Consumer]:
        if who is None:
            return False
        known = self._known.consumers.get(who.key)
        return known is None or any(
            new is not None and new != old for new, old in zip((who.label, who.email, who.group), known[1], strict=True)
        )

    def source(self, name: str) -> int:
        """The number of a source that was learned."""
        return self._known.sources[name]

    def route(self, key: RouteKey) -> int:
        """The number of a route that was learned."""
        return self._known.routes[key]

    def consumer(self, consumer: Consumer | None) -> int:
        """The number of a consumer that was learned."""
        return self._known.consumers[consumer.key][0] if consumer else NOBODY


def _completed(who: Consumer, before: Consumer | None) -> Consumer:
    """What is said of a consumer now, with what was said a moment before where it is silent."""
    if before is None:
        return who
    return Consumer(
        who.key,
        before.label if who.label is None else who.label,
        before.email if who.email is None else who.email,
        before.group if who.group is None else who.group,
    )
