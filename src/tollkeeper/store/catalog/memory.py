"""Records in memory, as plain as can be: for tests and trials, and as the yardstick of the databases."""

from __future__ import annotations

import contextlib
import secrets
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from tollkeeper.errors import ConflictError
from tollkeeper.store.catalog.kinds import KINDS, id_of
from tollkeeper.store.catalog.texts import check_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from msgspec import Struct

    from tollkeeper.store.catalog.kinds import Unique

__all__ = ["MemoryRecordStore", "MemoryRecords"]

R = TypeVar("R", bound="Struct")
Rows = dict[type["Struct"], dict[str, Any]]


class MemoryRecords:
    """The ``Records`` of one transaction, which has a copy of all rows to itself."""

    def __init__(self, rows: Rows) -> None:
        self.rows: Rows = {kind: dict(found) for kind, found in rows.items()}

    def add(self, record: Struct) -> None:
        """Keep a new record; see ``Records``."""
        if id_of(record) in self._of(type(record)):
            raise _conflict(record)
        self.replace(record)

    def replace(self, record: Struct) -> None:
        """Put a record in the place of the one with its id."""
        check_texts(record)
        others = [other for other in self._of(type(record)).values() if id_of(other) != id_of(record)]
        for unique in KINDS[type(record)].unique:
            identity = _identity(unique, record)
            if identity is not None and any(_identity(unique, other) == identity for other in others):
                raise _conflict(record)
        self._of(type(record))[id_of(record)] = record

    def remove(self, record: Struct) -> None:
        """Forget a record; idempotent."""
        self._of(type(record)).pop(id_of(record), None)

    def get(self, kind: type[R], record_id: str) -> R | None:
        """Look a record up by its id."""
        found: R | None = self._of(kind).get(record_id)
        return found

    def find(self, kind: type[R], /, **where: Any) -> list[R]:
        """All records with these values, in the order of their ids."""
        return sorted((record for record in self._of(kind).values() if _matches(record, where)), key=id_of)

    def page(
        self,
        kind: type[R],
        /,
        *,
        after: str | None,
        limit: int,
        newest_first: bool = False,
        start: datetime | None = None,
        end: datetime | None = None,
        **where: Any,
    ) -> list[R]:
        """Sort everything and cut."""
        found = self.find(kind, **where)[:: -1 if newest_first else 1]
        kept: list[Any] = [
            record
            for record in found
            if after is None or (id_of(record) < after if newest_first else id_of(record) > after)
        ]
        return [
            record for record in kept if (start is None or record.at >= start) and (end is None or record.at < end)
        ][:limit]

    def sums(
        self,
        kind: type[Struct],
        column: str,
        /,
        by: Sequence[str],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        **where: Any,
    ) -> dict[tuple[Any, ...], int]:
        """Add up record by record."""
        found: dict[tuple[Any, ...], int] = {}
        for record in self.page(kind, after=None, limit=len(self._of(kind)), start=start, end=end, **where):
            group = tuple(getattr(record, name) for name in by)
            found[group] = found.get(group, 0) + (getattr(record, column) or 0)
        return found

    def _of(self, kind: type[Struct]) -> dict[str, Any]:
        return self.rows.setdefault(kind, {})


class MemoryRecordStore:
    """A ``RecordStore`` that ends with the process."""

    def __init__(self) -> None:
        self._writer = threading.Lock()
        self._rows: Rows = {}
        self._pepper = secrets.token_bytes(32)

    @contextlib.contextmanager
    def reading(self) -> Iterator[MemoryRecords]:
        """Read a copy."""
        yield MemoryRecords(self._rows)

    @contextlib.contextmanager
    def writing(self) -> Iterator[MemoryRecords]:
        """Write into a copy, which becomes the truth when the block ends well."""
        with self._writer:
            records = MemoryRecords(self._rows)
            yield records
            self._rows = records.rows

    def pepper(self) -> bytes:
        """What was made with the store."""
        return self._pepper


def _matches(record: Struct, where: dict[str, Any]) -> bool:
    pairs = ((getattr(record, name), value) for name, value in where.items())
    return all(found in value if isinstance(value, list) else found == value for found, value in pairs)


def _identity(unique: Unique, record: Any) -> tuple[Any, ...] | None:
    """The values that none other may have; None when the record may have a double."""
    if unique.open_only and record.ended_at is not None:
        return None
    values = tuple(getattr(record, column) for column in unique.columns)
    return None if None in values and not unique.nulls_equal else values


def _conflict(record: Struct) -> ConflictError:
    return ConflictError(f"There is such {KINDS[type(record)].noun} already: what identifies it is taken.")
