"""What became of the events that went through a spool."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["SpoolStats", "Tally"]


class Tally(Struct, kw_only=True):
    """Events of one origin: ``taken = sent + spooled + sum(dropped.values())``, always."""

    taken: int = 0
    sent: int = 0
    spooled: int = 0
    dropped: dict[str, int] = {}

    def take(self, count: int) -> None:
        """Count what came in, and waits from now on."""
        self.taken += count
        self.spooled += count

    def give_back(self, count: int) -> None:
        """Forget what came in: whoever gave it has it again."""
        self.taken -= count
        self.spooled -= count

    def settle(self, count: int, reason: str | None) -> None:
        """Count what waits no more: it was sent, or dropped for a reason."""
        self.spooled -= count
        if reason is None:
            self.sent += count
        elif count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count


class SpoolStats(Struct, frozen=True, kw_only=True):
    """Of this process, since it started: what it captured itself, and what it adopted from dead processes.

    ``corrupt_bytes`` could not be read; they count as ``dropped`` events only as far as it is known how many they held.
    """

    own: Tally
    adopted: Tally
    retries: int
    corrupt_bytes: int
