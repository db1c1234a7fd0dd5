"""Looking at what the rules are for, again and again: the leader asks every few seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.service.alerts.denials import denial_findings
from tollkeeper.service.alerts.finding import tell
from tollkeeper.service.alerts.quota_findings import quota_findings
from tollkeeper.service.alerts.traffic_findings import traffic_findings
from tollkeeper.store.operations import AlertRule

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.service.bootstrap import Service

__all__ = ["evaluate"]


def evaluate(service: Service, now: datetime) -> int:
    """Put what the rules are to tell of at ``now`` into the outbox; how many messages.

    To be called often. Two that call it at once tell of a thing once. Raises StoreError.
    """
    with service.catalog.reading() as records:
        rules = [rule for rule in records.find(AlertRule, paused=False) if rule.channels]
        findings = [
            *denial_findings(records, [rule for rule in rules if rule.kind == "invalid_subscription"], now),
            *traffic_findings(records, service.events, rules, now),
        ]
    limits = [rule for rule in rules if rule.kind == "quota"]
    findings += quota_findings(service.catalog, service.quotas, limits, now)
    return tell(service.catalog, findings, now)
