"""Tags in memory, as plain as can be: for tests and trials, and as the yardstick of the databases."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.errors import ConflictError
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.store.tags.tag import Tag, TagUse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["MemoryTags"]


class MemoryTags:
    """The ``Tags`` of one process, which end with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tags: dict[str, Tag] = {}
        self._uses: dict[str, list[TagUse]] = {}

    def create(self, tag: Tag) -> None:
        """Keep a new tag; see ``Tags``."""
        with self._lock:
            if tag.id in self._tags:
                raise ConflictError("There is such tag already: its name is taken.")
            self._tags[tag.id] = tag
            self._uses[tag.id] = []

    def use(self, uses: Sequence[tuple[str, datetime]]) -> list[int | None]:
        """Count uses, one after the other."""
        with self._lock:
            return [self._use(tag_id, at) for tag_id, at in uses]

    def get(self, tag_id: str) -> Tag | None:
        """Look a tag up by its id."""
        return self._tags.get(tag_id)

    def page(self, *, after: str | None, limit: int) -> list[Tag]:
        """Some tags, in the order of their making."""
        tags = list(self._tags.values())
        if after is None:
            return tags[:limit]
        places = [place for place, tag in enumerate(tags, 1) if tag.id == after]
        return tags[places[0] :][:limit] if places else []

    def busiest(self, *, after: tuple[int, str] | None, limit: int) -> list[Tag]:
        """Sort everything and cut."""
        tags = sorted(self._tags.values(), key=lambda tag: (tag.count, tag.id), reverse=True)
        return [tag for tag in tags if after is None or (tag.count, tag.id) < after][:limit]

    def history(self, tag_id: str, *, since: datetime, after: int, limit: int) -> list[TagUse]:
        """Some uses of a tag."""
        return [use for use in self._uses.get(tag_id, []) if use.n > after and use.at >= since][:limit]

    def buckets(self, tag_ids: Sequence[str], *, start: int, end: int, step: int) -> dict[str, dict[int, int]]:
        """Count the uses of tags by step."""
        found: dict[str, dict[int, int]] = {}
        for tag_id in tag_ids:
            for use in self._uses.get(tag_id, []):
                at = to_microseconds(use.at)
                if start <= at < end:
                    bucket = found.setdefault(tag_id, {})
                    bucket[at // step * step] = bucket.get(at // step * step, 0) + 1
        return found

    def forget(self, before: datetime, limit: int) -> int:
        """Take the oldest uses out of the history."""
        with self._lock:
            old = sorted(
                (use.at, use.n, tag_id) for tag_id, uses in self._uses.items() for use in uses if use.at < before
            )
            gone = {(tag_id, n) for _, n, tag_id in old[:limit]}
            self._uses = {
                tag_id: [use for use in uses if (tag_id, use.n) not in gone] for tag_id, uses in self._uses.items()
            }
            return len(gone)

    def close(self) -> None:
        """Do nothing."""

    def _use(self, tag_id: str, at: datetime) -> int | None:
        tag = self._tags.get(tag_id)
        if tag is None:
            return None
        self._tags[tag_id] = replace(tag, count=tag.count + 1, used_at=at)
        self._uses[tag_id].append(TagUse(tag.count + 1, at))
        return tag.count + 1
