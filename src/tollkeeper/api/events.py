"""``/v1/events``: taking events in, and reading them back page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from tollkeeper.api.guard import bearer
from tollkeeper.api.problems import problem_for
from tollkeeper.api.raw import JSON, read_body, send_answer, send_problem
from tollkeeper.events.codec import Limits, decode_batch
from tollkeeper.events.event import UsageEvent
from tollkeeper.metering.usage import Filters
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.request_log import list_events

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

    from tollkeeper.events.receipt import Receipt
    from tollkeeper.service.ingest import GroupCommit

__all__ = ["EventPage", "IngestHandler", "get_events"]


class EventPage(msgspec.Struct, frozen=True):
    """A page of events, newest first; the header ``Link`` with ``rel="next"`` leads to the older ones."""

    events: list[UsageEvent]


@get("/v1/events", sync_to_thread=True, summary="List events", tags=["Events"])
def get_events(
    *,
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    filters: NamedDependency[Filters],
    after: Annotated[str | None, QueryParameter(description="Cursor from the Link header of the page before.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="Events in the page at most.")] = 50,
) -> Response[EventPage]:
    """List events, newest first."""
    page = list_events(service.events, filters=filters, after=after, limit=limit)
    response = Response(EventPage([stored.event for stored in page.events]))
    if page.next is not None:
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
        query = urlencode([*kept, ("after", page.next)])
        response.headers["Link"] = f'<?{query}>; rel="next"'
    return response


class IngestHandler:
    """``POST /v1/events`` as plain ASGI: here, a framework's binding would cost more than the work itself."""

    def __init__(self, service: Service, commits: GroupCommit) -> None:
        self._access = service.access
        self._commits = commits
        settings = service.settings
        self._limits = Limits(
            body_bytes=settings.max_body_bytes,
            batch_events=settings.max_batch_events,
            event_bytes=settings.max_event_bytes,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: a receipt after the durable commit, or a problem."""
        try:
            receipt = await self._ingest(scope, receive)
        except Exception as error:  # noqa: BLE001  # whatever went wrong, the sender gets an answer
            await send_problem(send, problem_for(error))
        else:
            await send_answer(send, 200, JSON, msgspec.json.encode(receipt))

    async def _ingest(self, scope: Scope, receive: Receive) -> Receipt:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        secret = bearer(headers.get(b"authorization", b"").decode("latin-1"))
        token = self._access.authorize(secret, "ingest")
        batch = decode_batch(
            await read_body(receive, headers.get(b"content-length", b""), self._limits.body_bytes),
            source=token.name,
            content_type=headers.get(b"content-type", b"").decode("latin-1"),
            encoding=headers.get(b"content-encoding", b"").decode("latin-1"),
            limits=self._limits,
        )
        return await self._commits.submit(token.name, batch)
