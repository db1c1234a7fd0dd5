"""Lists page by page, in the words that every list of the catalogue shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response
from litestar.params import QueryParameter

if TYPE_CHECKING:
    from tollkeeper.service.listing import Listed

__all__ = ["AfterQuery", "LimitQuery", "paged"]

AfterQuery = Annotated[str | None, QueryParameter(description="Cursor: `next` of the page before.")]
LimitQuery = Annotated[int, QueryParameter(ge=1, le=1000, description="Items in the page at most.")]


def paged(request: Request[Any, Any, Any], listed: Listed[Any]) -> Response[Any]:
    """The answer that shows a page, with the ``Link`` to the next one."""
    response: Response[Any] = Response(listed)
    if listed.next is not None:
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
        response.headers["Link"] = f'<?{urlencode([*kept, ("after", listed.next)])}>; rel="next"'
    return response
