"""Half-open windows, and how a range of time is covered by roll-ups of several grains."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["DAY", "HOUR", "QUARTER", "TEN_DAYS", "cover"]

QUARTER = 900_000_000
HOUR = 3_600_000_000
DAY = 86_400_000_000
TEN_DAYS = 10 * DAY


class Cover(Struct, frozen=True):
    """How a range is answered: ``rolled`` spans as ``(grain, start, end)``, the rest ``raw`` as ``(start, end)``."""

    rolled: tuple[tuple[int, int, int], ...]
    raw: tuple[tuple[int, int], ...]

    @property
    def rolled_span(self) -> tuple[int, int] | None:
        """From where to where roll-ups answer; they do so without a gap."""
        if not self.rolled:
            return None
        return min(span[1] for span in self.rolled), max(span[2] for span in self.rolled)


def cover(start: int, end: int, step: int | None, grains: tuple[int, ...]) -> Cover:
    """Cover ``[start, end)`` by the coarsest of ``grains`` that divides ``step``, its edges by finer ones, then raw."""
    if start >= end:
        return Cover((), ())
    usable = sorted((grain for grain in grains if step is None or step % grain == 0), reverse=True)
    for index, grain in enumerate(usable):
        first, last = -(-start // grain) * grain, end // grain * grain
        if first < last:
            finer = tuple(usable[index + 1 :])
            left, right = cover(start, first, step, finer), cover(last, end, step, finer)
            return Cover((*left.rolled, (grain, first, last), *right.rolled), (*left.raw, *right.raw))
    return Cover((), ((start, end),))
