"""What bounds a call at a time: quotas, which are limits in one of their periods, and the pace of rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.counter import Counter
from tollkeeper.billing.rate import Pace
from tollkeeper.events.lease import LimitState

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Bounds", "PacedRate", "Quota", "limit_states", "shared_room"]

MICRO = 1_000_000


class Quota(Struct, frozen=True, kw_only=True):
    """A limit in one period: ``units`` (millionths) with what was granted, without what was carried over.

    ``fresh`` is its counter before anything is counted.
    """

    name: str
    units: int
    hard: bool = True
    fresh: Counter

    def counter(self, counters: Mapping[str, Counter]) -> Counter:
        """Its counter among those that there are; its period may end at another time since the plan was changed."""
        found = counters.get(self.fresh.id, self.fresh)
        return found if found.ends_at == self.fresh.ends_at else replace(found, ends_at=self.fresh.ends_at)


class PacedRate(Struct, frozen=True, kw_only=True):
    """A rate; ``fresh`` is its counter before anything is counted."""

    name: str
    pace: Pace
    fresh: Counter

    def counter(self, counters: Mapping[str, Counter]) -> Counter:
        """Its counter among those that there are."""
        return counters.get(self.fresh.id, self.fresh)


class Bounds(Struct, frozen=True, kw_only=True):
    """All that bounds a call."""

    quotas: list[Quota] = []
    rates: list[PacedRate] = []

    def counter_ids(self) -> list[str]:
        """The counters that must be known to decide."""
        return [quota.fresh.id for quota in self.quotas] + [rate.fresh.id for rate in self.rates]


def shared_room(bounds: Bounds, counters: Mapping[str, Counter]) -> int | None:
    """How many millionths of a unit all hard quotas have room for; None without any."""
    rooms = [_room(quota, quota.counter(counters)) for quota in bounds.quotas if quota.hard]
    return min(rooms) if rooms else None


def limit_states(bounds: Bounds, counters: Mapping[str, Counter], now: int) -> list[LimitState]:
    """Where the hard quotas and the rates stand, the one with the smallest share left first."""
    states = [_quota_state(quota, quota.counter(counters), now) for quota in bounds.quotas if quota.hard]
    states += [_rate_state(rate, rate.counter(counters), now) for rate in bounds.rates]
    if len(states) > 1:
        states.sort(key=lambda state: state.remaining / max(state.quota, 1))
    return states


def _room(quota: Quota, counter: Counter) -> int:
    return max(quota.units + counter.carried - counter.used - counter.held, 0)


def _quota_state(quota: Quota, counter: Counter, now: int) -> LimitState:
    return LimitState(
        name=quota.name,
        quota=quota.units + counter.carried,
        window=(counter.ends_at - counter.starts_at) // MICRO,
        remaining=_room(quota, counter),
        resets=max(counter.ends_at - now, 0) / MICRO,
    )


def _rate_state(rate: PacedRate, counter: Counter, now: int) -> LimitState:
    pace = rate.pace
    return LimitState(
        name=rate.name,
        quota=pace.burst * MICRO,
        window=-(-pace.interval * max(pace.burst, 1) // MICRO),
        remaining=pace.room(counter.arrival, now) * MICRO,
        resets=max(counter.arrival - now, 0) / MICRO,
    )
