"""What events may be told apart by in a time series: few values each, whatever a client sends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tollkeeper.events.event import UsageEvent

__all__ = ["METHODS", "OTHER", "UNMATCHED", "choose_dimensions"]

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
OTHER = "(other)"
UNMATCHED = "(unmatched)"

DIMENSIONS: dict[str, Callable[[UsageEvent], str]] = {
    "method": lambda event: event.method if event.method in METHODS else OTHER,
    "route": lambda event: event.route or UNMATCHED,
    "status_code": lambda event: str(event.status_code),
    "status_class": lambda event: f"{event.status_code // 100}xx",
    "api": lambda event: event.api or "",
    "api_version": lambda event: event.api_version or "",
    "source": lambda event: event.source,
    "consumer": lambda event: event.consumer.key if event.consumer else "",
}


def choose_dimensions(names: Iterable[str]) -> dict[str, Callable[[UsageEvent], str]]:
    """The readers of the dimensions that are named, in that order; each gives "" for what an event does not have.

    Raises:
        ConfigurationError: there is no such dimension; the message lists all.
    """
    chosen = tuple(names)
    unknown = [name for name in chosen if name not in DIMENSIONS]
    if unknown:
        raise ConfigurationError(f"Events have no {', '.join(unknown)}: choose from {', '.join(DIMENSIONS)}.")
    return {name: partial(_read, DIMENSIONS[name]) for name in chosen}


def _read(dimension: Callable[[UsageEvent], str], event: UsageEvent) -> str:
    value = dimension(event)
    # Half of a character that was cut could not be shown, and nothing that stands beside it.
    return value if value.isascii() else value.encode(errors="replace").decode()
