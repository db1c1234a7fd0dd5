"""Meters of the catalogue."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

__all__ = ["MeterDefinition"]


class MeterDefinition(Struct, frozen=True, kw_only=True):
    """A meter as it is kept: ``body`` is a ``Meter`` as JSON, and is never changed, for invoices rest on it."""

    id: str
    name: str
    body: dict[str, Any]
    created_at: datetime
