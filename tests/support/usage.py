"""Events to send, each as much of one as its test needs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec import Raw

from tollkeeper.events.event import Client, Consumer, Error, Request, Response, UsageEvent

__all__ = ["full_event", "make_event", "make_events"]

START = datetime(2024, 5, 1, 12, 30, 15, 250_001, tzinfo=UTC)


def make_event(name: object = "1", **facts: Any) -> UsageEvent:
    """An event with the id ``name``."""
    given: dict[str, Any] = {"source": "app", "time": START, "method": "GET", "path": "/", "status_code": 200}
    return UsageEvent(id=str(name), **(given | facts))


def make_events(count: int) -> list[UsageEvent]:
    """So many events, with ids from 0 on, all of the same microsecond."""
    return [make_event(number) for number in range(count)]


def full_event(name: object = "full", **facts: Any) -> UsageEvent:
    """An event that has everything."""
    given: dict[str, Any] = {
        "method": "POST",
        "path": "/orders/7",
        "route": "/orders/{id}",
        "url": "https://shop.example:8443/orders/7?page=2",
        "status_code": 500,
        "exception": "ValueError('boom')",
        "error": Error("builtins.ValueError", "boom", "Traceback: …"),
        "consumer": Consumer(key="ann", label="Ann", email="ann@shop.example"),
        "api": "shop",
        "api_version": "2",
        "units": Decimal("2.5"),
        "client": Client(remote_address="192.0.2.7", user_agent="curl/8"),
        "request": Request(elapsed_time=0.25, content_length=20, headers=Raw(b'{"Accept":"*/*"}')),
        "response": Response(first_byte_time=0.125, content_length=3000),
    }
    return make_event(name, **(given | facts))
