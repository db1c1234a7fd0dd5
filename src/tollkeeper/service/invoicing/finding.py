"""Finding an invoice that somebody named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.errors import NotFoundError
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Records

__all__ = ["find_invoice"]


def find_invoice(records: Records, name: str) -> Invoice:
    """Find an invoice by its number or its id; raises NotFoundError."""
    found = records.find(Invoice, number=name) or records.find(Invoice, id=name)
    if not found:
        raise NotFoundError(f"There is no invoice {name[:100]!r}: 'tollkeeper invoices list' shows them.")
    return found[0]
