"""What a book says to the service, in the words of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.events.lease import Settle, Take

if TYPE_CHECKING:
    from tollkeeper.leases.lease import CallKey, Lease

__all__ = ["SHORT_SECONDS", "interval_of", "settle_of", "take_of"]

SHORT_SECONDS = 1.0
"""Leases of this many seconds or less are under a rate: to take them ahead would be to use it up unused."""


def interval_of(seconds: float) -> float:
    """After how long it is worth looking whether something is in use that was granted for so many seconds."""
    return seconds / 2 if seconds > SHORT_SECONDS else SHORT_SECONDS


def take_of(key: CallKey, units: int) -> Take:
    """Ask for units for the calls of a key."""
    consumer, api, version, endpoint, method = key
    return Take(consumer=consumer, api=api, api_version=version, endpoint=endpoint, method=method, units=units)


def settle_of(lease: Lease) -> Settle:
    """Say what was used of a lease, and that it is over when it is."""
    return Settle(lease=lease.id, used=lease.used, release=lease.retired)
