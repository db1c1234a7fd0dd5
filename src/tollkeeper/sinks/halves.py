"""Send what can in the end be sent, when a destination refuses a batch for what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.sinks.rejections import Rejections

__all__ = ["Refused", "send_in_halves"]


class Refused(Struct, frozen=True):
    """What was not taken for good: ``count`` events, while the others were; or all, perhaps because of a few (None)."""

    why: str
    count: int | None = None


def send_in_halves(
    parts: Sequence[Sequence[UsageEvent]],
    send: Callable[[Sequence[UsageEvent]], Refused | None],
    rejections: Rejections,
) -> None:
    """Send each part, and the halves of one that is refused as a whole, down to events that are refused alone.

    What was refused is counted at the end: when ``send`` raises, nothing is, because all of it is sent again.
    """
    waiting = [part for part in reversed(parts) if part]
    refused: list[tuple[int, str]] = []
    while waiting:
        part = waiting.pop()
        answer = send(part)
        if answer is None:
            continue
        if answer.count is None and len(part) > 1:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
        else:
            refused.append((1 if answer.count is None else answer.count, answer.why))
    for count, why in refused:
        rejections.add(count, why)
