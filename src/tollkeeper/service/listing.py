"""Finding records: page by page, by their id, or by a name that somebody wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from tollkeeper.errors import InvalidRequestError, NotFoundError, UnprocessableError
from tollkeeper.store.catalog.kinds import KINDS, id_of

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Records

__all__ = ["Listed", "find_named", "find_record", "list_records"]

R = TypeVar("R", bound=Struct)
MAX_LIMIT = 1_000


class Listed(Struct, Generic[R], frozen=True):
    """A page of records; ``next`` is the cursor of the page behind it, None on the last."""

    items: list[R]
    next: str | None


def list_records(
    records: Records, kind: type[R], /, *, after: str | None = None, limit: int = 50, **options: Any
) -> Listed[R]:
    """List up to ``limit`` records behind a cursor; ``options`` as those of ``Records.page``, a value of None is any.

    Raises InvalidRequestError for a limit outside 1 to 1,000.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequestError(f"limit is {limit}: give 1 to {MAX_LIMIT}.")
    wanted = {name: value for name, value in options.items() if value is not None}
    found = records.page(kind, after=after, limit=limit + 1, **wanted)
    items = found[:limit]
    return Listed(items, id_of(items[-1]) if len(found) > limit else None)


def find_record(records: Records, kind: type[R], record: str) -> R:
    """Find a record by the id in an address; raises NotFoundError."""
    found = records.get(kind, record)
    if found is None:
        raise NotFoundError(f"There is no {KINDS[kind].noun} {record[:100]!r}.")
    return found


def find_named(records: Records, kind: type[R], name: str, *fields: str, **where: Any) -> R:
    """Find what somebody named by its id or by the value of one of ``fields``; raises UnprocessableError."""
    for field in ("id", *fields):
        found = records.find(kind, **{field: name}, **where)
        if found:
            return found[0]
    raise UnprocessableError(f"There is no {KINDS[kind].noun} {name[:100]!r}: make it first, or correct the name.")
