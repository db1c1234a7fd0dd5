"""Who sells and who buys, as it stands on an invoice."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Party"]


class Party(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A name and, as far as it is known, where and under which numbers; lines of an address end with a newline."""

    name: str
    address: str | None = None
    email: str | None = None
    tax_id: str | None = None
