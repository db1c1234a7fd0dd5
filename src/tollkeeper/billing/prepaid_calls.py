"""The calls of a part that are paid for up front: the first of all routes together, in order of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.billing.route_usage import Bucket
    from tollkeeper.events.event import UsageEvent

__all__ = ["PrepaidCalls"]


class PrepaidCalls:
    """A volume, in millionths, that is used up call by call; what is over it goes into the buckets.

    Calls at the very same time count in the order of their routes, so they wait for one another.
    """

    def __init__(self, volume: int) -> None:
        self._left = volume
        self._at: datetime | None = None
        self._waiting: list[tuple[tuple[str, str], int, Bucket, int]] = []

    def take(self, bucket: Bucket, event: UsageEvent) -> None:
        """Take a call; those of a later time settle what is waiting."""
        if event.time != self._at:
            self.settle()
            self._at = event.time
        if self._left:
            self._waiting.append((bucket.rank, len(self._waiting), bucket, event.units_micro))
        else:
            _count(bucket, event.time, event.units_micro)

    def settle(self) -> None:
        """Count the calls that are waiting."""
        if self._at is None:
            return
        for _, _, bucket, units in sorted(self._waiting, key=lambda one: one[:2]):
            covered = min(units, self._left)
            self._left -= covered
            _count(bucket, self._at, units - covered)
        self._waiting.clear()


def _count(bucket: Bucket, at: datetime, units: int) -> None:
    """Count a call of which so much is left to be charged."""
    bucket.calls += 1
    if units:
        bucket.add(at, units)
