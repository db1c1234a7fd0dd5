"""Channels and rules as they are shown: with names for ids, and without what is secret."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import asdict

from tollkeeper.store.operations import AlertChannel, AlertRule, RuleKind

__all__ = ["ChannelView", "RuleView", "place_of", "show_channel", "show_rule"]


class ChannelView(Struct, frozen=True, kw_only=True):
    """A channel; ``secret`` is there once: in the answer to the request that made it."""

    id: str
    name: str
    kind: Literal["email", "webhook"]
    address: str
    created_at: datetime
    secret: str | None = None


class RuleView(Struct, frozen=True, kw_only=True):
    """A rule with the names of its channels."""

    id: str
    name: str
    kind: RuleKind
    threshold: Decimal | None
    minutes: int
    api: str | None
    endpoint: str | None
    customer: str | None
    channels: list[str]
    paused: bool
    created_at: datetime


def place_of(channel: AlertChannel) -> str:
    """Where a channel leads, without what only who may change it should see: the path of a URL is often a secret."""
    if channel.kind == "email":
        return channel.address
    parts = urlsplit(channel.address)
    return f"{parts.scheme}://{parts.hostname}/…"


def show_channel(channel: AlertChannel, *, secret: str | None = None) -> ChannelView:
    """A channel as it is shown."""
    shown = asdict(channel)
    return ChannelView(secret=secret, **{name: shown[name] for name in ("id", "name", "kind", "address", "created_at")})


def show_rule(rule: AlertRule) -> RuleView:
    """A rule as it is shown."""
    return RuleView(**asdict(rule) | {"channels": sorted(rule.channels)})
