"""From the URL of a store to its tags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tollkeeper.store.sqlite.engine import make_engine
from tollkeeper.store.tags.memory import MemoryTags
from tollkeeper.store.tags.sql import SQLTags

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Tags

__all__ = ["open_tags"]

SQLITE, MEMORY = "sqlite:///", "memory:"


def open_tags(url: str) -> Tags:
    """The tags of a store that ``open_stores`` has opened, over connections of their own, made when they are used."""
    if url == MEMORY:
        return MemoryTags()
    if url.startswith(SQLITE):
        return SQLTags(make_engine(Path(url.removeprefix(SQLITE))))
    from tollkeeper.store.postgresql.engine import make_engine as make_pool  # noqa: PLC0415  # needs its driver

    return SQLTags(make_pool(url))
