"""Leading where there is nobody else to lead."""

from __future__ import annotations

__all__ = ["SoleLeadership"]


class SoleLeadership:
    """The ``Leadership`` of a store on one machine: whoever asks leads, and what collides there is kept apart by it."""

    def lead(self) -> bool:
        """Lead."""
        return True

    def resign(self) -> None:
        """Do nothing."""
