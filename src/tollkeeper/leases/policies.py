"""What the plans of consumers said last about calls that cannot be decided."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["Policies", "Policy"]

Policy: TypeAlias = Literal["admit", "deny"]

MAX_KNOWN = 20_000


class Policies:
    """Remembers them by the consumer, those that were told last; not safe in threads."""

    def __init__(self) -> None:
        self._known: dict[str, Policy] = {}

    def note(self, consumer: str, policy: Policy) -> None:
        """Remember one."""
        self._known.pop(consumer, None)
        self._known[consumer] = policy
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    def of(self, consumer: str) -> Policy | None:
        """What was said of a consumer; None when nothing was."""
        return self._known.get(consumer)
