"""What texts and times may be that somebody writes into the catalogue."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

__all__ = ["Currency", "Email", "Endpoint", "Name", "Time"]

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Email = Annotated[str, Meta(max_length=255, pattern=r"^[^@\s]+@[^@\s]+$(?!\n)")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)", description="ISO 4217 code, e.g. EUR.")]
Endpoint = Annotated[str, Meta(min_length=1, max_length=1024, description="Route template, e.g. /orders/{id}.")]
Time = Annotated[datetime, Meta(tz=True)]
