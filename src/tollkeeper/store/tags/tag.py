"""Tags and their uses, as they are kept."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

__all__ = ["Tag", "TagUse"]


class Tag(Struct, frozen=True, kw_only=True):
    """Something whose uses are counted: ``count`` is all of them, also those that the history holds no more."""

    id: str
    name: str
    count: int = 0
    created_at: datetime
    used_at: datetime | None = None


class TagUse(Struct, frozen=True):
    """One use of a tag: ``n`` is the count that it made."""

    n: int
    at: datetime
