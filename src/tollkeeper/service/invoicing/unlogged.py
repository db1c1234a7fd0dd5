"""Writing what nobody did: the drafts and the final invoices of a run, which the audit log leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tollkeeper.service.audit import Edit

if TYPE_CHECKING:
    from datetime import datetime

    from msgspec import Struct

    from tollkeeper.store.protocols import Records

__all__ = ["Unlogged"]


class Unlogged(Edit):
    """A transaction that stands in no audit log: each entry there has every gate read the catalogue anew."""

    def __init__(self, records: Records, now: datetime) -> None:
        super().__init__(records, "invoices run")
        self.now = now

    def _note(
        self, action: Literal["create", "update", "delete"], record: Struct, before: Struct | None, after: Struct | None
    ) -> None:
        """Write nothing down."""
