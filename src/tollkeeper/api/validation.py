"""``POST /v1/validateRequest``: may this key call this route now, in the words of api-usage-ms."""

from __future__ import annotations

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from tollkeeper.api.problems import Problem, denial_problem
from tollkeeper.api.usage_reports import ApiKeyHeader
from tollkeeper.events.limit_headers import limit_headers
from tollkeeper.service.gate_desk import GateDesk
from tollkeeper.service.validation import Validation, ValidationRequest, gate_call, validation

__all__ = ["post_validation"]

MAX_BYTES = 16_384


@post(
    "/v1/validateRequest",
    status_code=200,
    opt={"public": True},
    request_max_body_size=MAX_BYTES,
    summary="Validate a call",
    tags=["Usage"],
)
async def post_validation(
    gate: NamedDependency[GateDesk], data: JSONBody[ValidationRequest | None] = None, api_key: ApiKeyHeader = None
) -> Response[Validation]:
    """Say whether a key may call a route: it is in force, a subscription has the route, and there is room."""
    decision = await gate.decide(gate_call(api_key, data or ValidationRequest()))
    headers = limit_headers(decision.limits)
    if decision.denial is not None:
        return _refusal(denial_problem(decision.denial), headers)
    return Response(validation(decision), headers=headers | {"Cache-Control": "no-store"})


def _refusal(problem: Problem, headers: dict[str, str]) -> Response[Validation]:
    body: Response[bytes] = Response(
        msgspec.json.encode(problem), status_code=problem.status, headers=headers | problem.headers
    )
    return body  # type: ignore[return-value]  # what the description says of a success does not hold for a problem
