from __future__ import annotations

import pytest

from tollkeeper.errors import InvalidRequestError, NotFoundError
from tollkeeper.service.tags import NewTag, create_tag, find_tag, list_tags, list_uses
from tollkeeper.store.tags.memory import MemoryTags


def test_the_id_is_made_of_the_name_and_nothing_else() -> None:
    assert NewTag("page1").id == NewTag("page1").id == "tag_4a715ec13f624275bd974bbfde37a3da6cf0e49d"
    names = ["", " ", "page1", "Page1", "page1 ", "e\u0301", "\u00e9", "\0"]
    assert len({NewTag(name).id for name in names}) == len(names)


def test_a_limit_has_limits() -> None:
    tags = MemoryTags()
    made = create_tag(tags, NewTag("page1"))
    for limit in (0, 10_001):
        with pytest.raises(InvalidRequestError, match=f"limit is {limit}: give 1 to 10000"):
            list_tags(tags, limit=limit)
        with pytest.raises(InvalidRequestError, match="limit"):
            list_uses(tags, made.id, days=30, limit=limit)
    assert list_tags(tags, limit=1).items == [made]


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(NotFoundError, match="POST /v1/tags"):
        find_tag(MemoryTags(), "tag_0")
