"""``/v1/tags``: what is counted by a name."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed
from tollkeeper.service.tag_counter import TagCounter
from tollkeeper.service.tags import NewTag, create_tag, find_tag, list_tags, list_uses
from tollkeeper.store.tags.tag import Tag, TagUse

__all__ = ["TAG_HANDLERS"]

TAGS = ["Tags"]
INGEST = {"scope": "ingest"}
NO_STORE = {"Cache-Control": "no-store"}


class TagCount(msgspec.Struct, frozen=True):
    """The count that a use has made."""

    count: int


@get("/v1/tags", sync_to_thread=True, summary="List tags", tags=TAGS)
def get_tags(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    name: Annotated[str | None, QueryParameter(description="The tag with this name, if there is one.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[Tag]]:
    """List tags, oldest first."""
    return paged(request, list_tags(service.tags, name=name, after=after, limit=limit))


@post("/v1/tags", sync_to_thread=True, opt=INGEST, summary="Make a tag", tags=TAGS)
def post_tag(
    request: Request[Any, Any, Any], service: NamedDependency[Service], data: JSONBody[NewTag]
) -> Response[Tag]:
    """Make a tag; 409 when there is one with its name."""
    made = create_tag(service.tags, data)
    place = f"{request.scope.get('root_path', '')}/v1/tags/{made.id}"
    return Response(made, headers=NO_STORE | {"Location": place})


@get("/v1/tags/{tag:str}", sync_to_thread=True, summary="Show a tag", tags=TAGS)
def get_tag(service: NamedDependency[Service], tag: FromPath[str]) -> Response[Tag]:
    """Show a tag and its count."""
    return Response(find_tag(service.tags, tag), headers=NO_STORE)


@post("/v1/tags/{tag:str}/uses", opt=INGEST, summary="Count a use of a tag", tags=TAGS)
async def post_use(counter: NamedDependency[TagCounter], tag: FromPath[str]) -> Response[TagCount]:
    """Count a use; answers after the durable commit. Sent again, it counts again."""
    return Response(TagCount(await counter.use(tag)), headers=NO_STORE)


@get("/v1/tags/{tag:str}/uses", sync_to_thread=True, summary="List the uses of a tag", tags=TAGS)
def get_uses(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    tag: FromPath[str],
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[TagUse]]:
    """List the uses of a tag, oldest first: the count that each made, and when. Old ones are forgotten."""
    days = service.settings.tag_history_days
    found = find_tag(service.tags, tag)
    return paged(request, list_uses(service.tags, found.id, days=days, after=after, limit=limit))


TAG_HANDLERS = [get_tags, post_tag, get_tag, post_use, get_uses]
