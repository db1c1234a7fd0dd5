"""From the URL of a store to the counters of its limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tollkeeper.store.quotas.memory import MemoryQuotas
from tollkeeper.store.quotas.sql import SQLQuotas
from tollkeeper.store.sqlite.engine import make_engine

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Quotas

__all__ = ["open_quotas"]

SQLITE, MEMORY = "sqlite:///", "memory:"
WRITERS = 7_461_004
"""The lock of PostgreSQL that who writes counters holds; any number that no other lock of ours has."""


def open_quotas(url: str) -> Quotas:
    """The counters of a store that ``open_stores`` has opened, over connections of their own."""
    if url == MEMORY:
        return MemoryQuotas()
    if url.startswith(SQLITE):
        return SQLQuotas(make_engine(Path(url.removeprefix(SQLITE))))
    from tollkeeper.store.postgresql.engine import make_engine as make_pool  # noqa: PLC0415  # needs its driver

    return SQLQuotas(make_pool(url, lock=WRITERS))
