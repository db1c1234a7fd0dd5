"""Records of what the service does by itself: alerts, the messages that tell of them, and jobs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field

__all__ = ["AlertChannel", "AlertRule", "JobRun", "Message", "RuleKind"]

RuleKind = Literal["invalid_subscription", "quota", "quota_reset", "error_rate", "latency", "silence"]


class AlertChannel(Struct, frozen=True, kw_only=True):
    """Where alerts go: ``address`` is an e-mail address or a URL; ``secrets`` are those that sign webhooks, sealed."""

    id: str
    name: str
    kind: Literal["email", "webhook"]
    address: str
    salt: bytes | None = None
    secrets: bytes | None = None
    created_at: datetime


class AlertRule(Struct, frozen=True, kw_only=True):
    """When to tell, and whom: ``channels`` has their ids by name; an api, endpoint or customer of None is any."""

    id: str
    name: str
    kind: RuleKind
    threshold: Decimal | None = None
    minutes: int = 5
    api: str | None = None
    endpoint: str | None = None
    customer: str | None = None
    channels: dict[str, Any] = field(default_factory=dict)
    paused: bool = False
    created_at: datetime


class Message(Struct, frozen=True, kw_only=True):
    """One alert on one channel: ``cause`` is what it tells of, once; ``subject`` what must not be told of too often.

    ``at`` is when it is to be tried next, or when that ended. The id stays the same in every try.
    """

    id: str
    channel: str
    rule: str | None = None
    subject: str
    cause: str
    document: dict[str, Any]
    state: Literal["pending", "delivered", "dead"] = "pending"
    attempts: int = 0
    at: datetime
    error: str | None = None
    delivered_at: datetime | None = None
    created_at: datetime


class JobRun(Struct, frozen=True, kw_only=True):
    """One run of a job, which was due at ``at``; there is one for each due time at most."""

    id: str
    job: str
    at: datetime
    state: Literal["running", "done", "failed"] = "running"
    detail: str | None = None
    started_at: datetime
    finished_at: datetime | None = None
