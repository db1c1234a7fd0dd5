"""Tags: what is counted by a name, with a history of its uses."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from tollkeeper.errors import InvalidRequestError, NotFoundError
from tollkeeper.service.listing import Listed
from tollkeeper.store.tags.tag import Tag, TagUse

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Tags

__all__ = ["NewTag", "create_tag", "find_tag", "list_tags", "list_uses"]

MAX_LIMIT = 10_000
INTEGER_64 = 2**63


class NewTag(Struct, frozen=True, forbid_unknown_fields=True):
    """A tag to be made: any text, also none."""

    name: Annotated[str, Meta(max_length=1024)]

    @property
    def id(self) -> str:
        """The id of the tag with this name, whether or not there is one."""
        return f"tag_{hashlib.sha256(self.name.encode()).hexdigest()[:40]}"


def create_tag(tags: Tags, new: NewTag) -> Tag:
    """Make a tag; a ConflictError when there is one with its name."""
    tag = Tag(id=new.id, name=new.name, created_at=datetime.now(UTC))
    tags.create(tag)
    return tag


def find_tag(tags: Tags, tag_id: str) -> Tag:
    """Find a tag by its id; raises NotFoundError."""
    found = tags.get(tag_id)
    if found is None:
        raise NotFoundError(f"There is no tag {tag_id[:100]!r}: make it with POST /v1/tags.")
    return found


def list_tags(tags: Tags, *, name: str | None = None, after: str | None = None, limit: int = 50) -> Listed[Tag]:
    """List up to ``limit`` tags behind a cursor, oldest first; with a name, that one or none."""
    if name is not None:
        found = tags.get(NewTag(name).id)
        return Listed([found] if found else [], None)
    page = tags.page(after=after, limit=_checked(limit) + 1)
    items = page[:limit]
    return Listed(items, items[-1].id if len(page) > limit else None)


def list_uses(tags: Tags, tag_id: str, *, days: int, after: str | None = None, limit: int = 50) -> Listed[TagUse]:
    """List up to ``limit`` uses of the last days behind a cursor, which is the ``n`` of a use; none of an unknown tag.

    Raises InvalidRequestError for a cursor that is none, or a limit outside 1 to 10,000.
    """
    since = datetime.now(UTC) - timedelta(days=days)
    page = tags.history(tag_id, since=since, after=_place(after), limit=_checked(limit) + 1)
    items = page[:limit]
    return Listed(items, str(items[-1].n) if len(page) > limit else None)


def _checked(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequestError(f"limit is {limit}: give 1 to {MAX_LIMIT}.")
    return limit


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 20 and int(cursor) < INTEGER_64):  # noqa: PLR2004  # 64 bits
        raise InvalidRequestError(f"after is {cursor[:100]!r}: give the n of the last use that you have seen.")
    return int(cursor)
