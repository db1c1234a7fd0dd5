"""What went wrong: errors that an API reported, and those of our own when a report could not be taken."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

__all__ = ["ApiError"]


class ApiError(Struct, frozen=True, kw_only=True):
    """One error. ``code`` and ``description`` are what the API reported of it.

    An internal one (``is_internal``) keeps the report in ``input_data``, without secrets, why it could not be taken in
    ``error_message``, and in ``internal_error_status`` 0 until it is resolved, then 1. ``consumer`` is the fingerprint
    of the key; ``(event_source, event_id)`` names the usage event that belongs to it.
    """

    id: str
    is_internal: bool = False
    code: str | None = None
    description: str | None = None
    input_data: str | None = None
    internal_error_status: int | None = None
    error_message: str | None = None
    consumer: str | None = None
    api: str | None = None
    api_version: str | None = None
    endpoint: str | None = None
    client_address: str | None = None
    status_code: int | None = None
    event_source: str | None = None
    event_id: str | None = None
    at: datetime
    resolved_at: datetime | None = None
    created_at: datetime
