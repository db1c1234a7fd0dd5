"""``/create``, ``/update``, ``/get``, ``/history``: tags in the words of flask-api-monitoring, by URLs alone."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import msgspec
from litestar import HttpMethod, Request, Response, Router, get, route
from litestar.di import NamedDependency, Provide
from litestar.exceptions import ValidationException
from litestar.params import QueryParameter

from tollkeeper.api.guard import bearer, token_guard
from tollkeeper.api.problems import answer_problem
from tollkeeper.errors import ConflictError, InvalidRequestError, NotFoundError
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.tag_counter import TagCounter
from tollkeeper.service.tags import NewTag, create_tag, find_tag, list_uses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

__all__ = ["tag_calls"]

INGEST = {"scope": "ingest"}
HEAD = "HEAD"
PAGE = 10_000
HEADERS = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}


def asked_tag(
    tag: Annotated[
        list[str] | None, QueryParameter(description="Name of the tag: any text, also an empty one.")
    ] = None,
) -> NewTag:
    """The tag that a query names first; InvalidRequestError without a name, or with one that is too long."""
    try:
        return msgspec.convert({"name": tag[0]} if tag else {}, NewTag)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"The query names no tag: {error}.") from None


def create(
    request: Request[Any, Any, Any], service: NamedDependency[Service], asked: NamedDependency[NewTag]
) -> Response[str]:
    """Make a tag."""
    if request.method != HEAD:
        create_tag(service.tags, asked)
    elif service.tags.get(asked.id) is not None:
        raise ConflictError("It would not be made.")
    return Response("Tag Created Successfully", headers=HEADERS)


async def update(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    counter: NamedDependency[TagCounter],
    asked: NamedDependency[NewTag],
) -> Response[str]:
    """Count a use, and answer the count after the durable commit."""
    if request.method == HEAD:
        return await asyncio.to_thread(show, service, asked)
    return Response(str(await counter.use(asked.id)), headers=HEADERS)


def show(service: NamedDependency[Service], asked: NamedDependency[NewTag]) -> Response[str]:
    """Answer the count."""
    return Response(str(find_tag(service.tags, asked.id).count), headers=HEADERS)


def history(
    service: NamedDependency[Service],
    asked: NamedDependency[NewTag],
    after: Annotated[str | None, QueryParameter(description="Number of the use behind which to begin.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=PAGE, description="Uses in the page at most.")] = PAGE,
) -> Response[dict[str, dict[str, str]]]:
    """Answer when a tag was used, by the number of the use, oldest first; ``Link`` leads to what comes behind."""
    days = service.settings.tag_history_days
    found = list_uses(service.tags, asked.id, days=days, after=after, limit=limit)
    if not found.items:
        raise NotFoundError("No Data Found!")
    headers = HEADERS | {"Content-Type": "application/json"}
    if found.next is not None:
        query = urlencode({"tag": asked.name, "limit": limit, "after": found.next})
        headers["Link"] = f'<?{query}>; rel="next"'
    uses = {str(use.n): {"date": use.at.replace(tzinfo=None).isoformat(" ", "microseconds")} for use in found.items}
    return Response(uses, headers=headers)


def tag_calls(service: Service) -> Router:
    """The four addresses, which ask for a token in the header, also by HTTP Basic, unless the settings open them.

    HEAD is answered as GET, but does nothing.
    """
    unknown = {NotFoundError: _answer(404, "Tag does not exist!")}
    return Router(
        "/",
        route_handlers=[
            *_bound("/create", create, sync_to_thread=True, opt=INGEST, summary="Make a tag"),
            *_bound("/update", update, opt=INGEST, summary="Count a use of a tag", exception_handlers=unknown),
            *_bound("/get", show, sync_to_thread=True, summary="Show the count of a tag", exception_handlers=unknown),
            *_bound(
                "/history",
                history,
                sync_to_thread=True,
                summary="Show the history of a tag",
                exception_handlers={NotFoundError: _answer(404, "No Data Found!")},
            ),
        ],
        guards=[_guard(service)],
        dependencies={"asked": Provide(asked_tag, sync_to_thread=False)},
        exception_handlers={
            InvalidRequestError: _answer(412, "Invalid Data"),
            ValidationException: _answer(412, "Invalid Data"),
            ConflictError: _answer(409, "Tag already exists!"),
            Exception: answer_problem,
        },
        tags=["Tags, by URLs alone"],
    )


def _bound(path: str, call: Callable[..., Any], **options: Any) -> list[BaseRouteHandler]:
    return [
        get(path, **options)(call),
        route(path, http_method=HttpMethod.HEAD, include_in_schema=False, **options)(call),
    ]


def _answer(status: int, text: str) -> Callable[[Request[Any, Any, Any], Exception], Response[str]]:
    return lambda _request, _error: Response(text, status_code=status, headers=HEADERS)


def _guard(service: Service) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]:
    by_session = token_guard(service)

    async def authorize(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        header = connection.headers.get("authorization")
        if service.settings.tags_public:
            return
        if header is None:
            await asyncio.to_thread(by_session, connection, handler)
        else:  # here and now, as a token that was used just before is remembered
            service.access.authorize(_secret(header), handler.opt.get("scope", "read"))

    return authorize


def _secret(header: str) -> str | None:
    """The token in the header ``Authorization``, which a client makes by HTTP Basic of what a URL has before the @."""
    scheme, _, coded = header.partition(" ")
    if scheme.lower() != "basic":
        return bearer(header)
    try:
        name, _, password = base64.b64decode(coded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return password or name
