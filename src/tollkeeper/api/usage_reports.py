"""``POST /v1/usage``: reports in the words of api-usage-ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.params import HeaderParameter

from tollkeeper.service.report_desk import ReportDesk, ReportResult
from tollkeeper.service.reports import Report

__all__ = ["ApiKeyHeader", "post_usage"]

MAX_BYTES = 16 * 2**20

ApiKeyHeader = Annotated[str | None, HeaderParameter(name="apiKey", description="Key of a customer.")]


@dataclass
class ReportOperation(Operation):
    """Says what the body is, which the handler reads itself: what is malformed must get there, too."""

    def __post_init__(self) -> None:
        """Describe a report and a list of them."""
        parameters = {
            field.encode_name: Schema(description="Required on error only." if "error" in field.name else None)
            for field in msgspec.structs.fields(Report)
        }
        required = [field.encode_name for field in msgspec.structs.fields(Report) if field.required]
        report = Schema(type="object", properties=parameters, required=required)  # type: ignore[arg-type]  # a name is a text
        body = Schema(one_of=[report, Schema(type="array", items=report)])  # type: ignore[arg-type]  # as above
        self.request_body = RequestBody(content={"application/json": OpenAPIMediaType(schema=body)}, required=True)


@post(
    "/v1/usage",
    status_code=202,
    opt={"public": True},
    request_max_body_size=MAX_BYTES,
    operation_class=ReportOperation,
    summary="Report usage",
    tags=["Usage"],
)
async def post_usage(
    request: Request[Any, Any, Any], desk: NamedDependency[ReportDesk], api_key: ApiKeyHeader = None
) -> Response[ReportResult | list[ReportResult]]:
    """Record one call or a list of them, each counted once by its `id`; answers after the durable commit."""
    return Response(await desk.take(api_key or None, await request.body()), headers={"Cache-Control": "no-store"})
