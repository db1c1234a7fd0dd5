"""``/v1/gate``: may this call be made now; and leases of quota for the apps that decide that themselves."""

from __future__ import annotations

import math
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Request, Response, delete, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct

from tollkeeper.api.guard import bearer
from tollkeeper.api.problems import denial_problem, problem_for
from tollkeeper.api.raw import JSON, read_body, send_answer, send_problem
from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.codec import check_units
from tollkeeper.events.lease import LeaseAnswer, LeaseRequest, LimitState
from tollkeeper.events.limit_headers import limit_headers
from tollkeeper.service.gate import Decision, GateCall
from tollkeeper.service.gate_desk import GateDesk

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

__all__ = ["GATE_HANDLERS", "Admission", "CheckRequest", "GateHandler"]

MICRO = 1_000_000
ONE_UNIT = Decimal(1)
NUL = rb"\u0000"
CHECK_BYTES, LEASE_BYTES = 16_384, 4 * 2**20
REMEMBERED, REMEMBERED_BYTES = 10_000, 512
INGEST = {"scope": "ingest"}
TAGS = ["Gate"]

ShortText = Annotated[str, Meta(max_length=255)]


class CheckRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be called, and with which ``key``, unless a header says it.

    Without ``endpoint`` only the limits of all endpoints count. With ``reserve`` the units stay reserved until the call
    is reported, or for ``reservation_seconds``; without, they are counted at once.
    """

    key: Annotated[str, Meta(max_length=512)] | None = None
    api: ShortText | None = None
    api_version: ShortText | None = None
    endpoint: Annotated[str, Meta(max_length=1024)] | None = None
    method: ShortText | None = None
    units: Annotated[Decimal, Meta(description="How much the call counts; up to 6 decimals.")] = ONE_UNIT
    reserve: bool = False


class LimitLeft(Struct, frozen=True, kw_only=True):
    """Where a limit stands after the call, in whole units; it begins anew, or has more, in ``seconds``."""

    name: str
    limit: int
    remaining: int
    seconds: int


class Admission(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The call may be made. ``hold`` is its reservation, for ``hold_seconds``; ``limits`` begin with the tightest."""

    customer: str
    plan: str
    hold: str | None = None
    hold_seconds: float | None = None
    limits: list[LimitLeft] = []


_decode = msgspec.json.Decoder(CheckRequest).decode
_encode = msgspec.json.Encoder().encode


class GateHandler:
    """``POST /v1/gate/check`` as plain ASGI: it stands before each call of somebody's API.

    It remembers how it understood short requests, with the keys in them: as many as it says, and only in memory.
    """

    def __init__(self, desk: GateDesk) -> None:
        self._desk = desk
        self._remembered = lru_cache(REMEMBERED)(_call)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: an admission, or a problem."""
        try:
            headers = dict(scope["headers"])
            body = await read_body(receive, headers.get(b"content-length", b""), CHECK_BYTES)
            said = (body, headers.get(b"apikey", b""), headers.get(b"authorization", b""))
            understand = self._remembered if sum(map(len, said)) <= REMEMBERED_BYTES else _call
            decision = await self._desk.decide(understand(*said))
        except Exception as error:  # noqa: BLE001  # whatever went wrong, the caller gets an answer
            await send_problem(send, problem_for(error))
            return
        told = [(name.encode(), value.encode()) for name, value in limit_headers(decision.limits).items()]
        if decision.denial is not None:
            await send_problem(send, denial_problem(decision.denial), told)
        else:
            await send_answer(send, 200, [*JSON, *told], _encode(_admission(decision)))


def _call(body: bytes, api_key: bytes, authorization: bytes) -> GateCall:
    try:
        asked = _decode(body) if body else CheckRequest()
        if asked.units is not ONE_UNIT:
            check_units(asked.units)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"{error}.") from None
    except msgspec.DecodeError as error:
        raise InvalidRequestError(f"The body is not JSON: {error}.", code="invalid_json") from None
    except ValueError as error:
        raise InvalidRequestError(str(error)) from None
    if NUL in body:
        _refuse_nul(asked)
    return GateCall(
        secret=asked.key or api_key.decode("latin-1") or bearer(authorization.decode("latin-1")) or None,
        api=asked.api,
        api_version=asked.api_version,
        endpoint=asked.endpoint,
        method=asked.method,
        units=MICRO if asked.units is ONE_UNIT else int(asked.units * MICRO),
        reserve=asked.reserve,
    )


def _refuse_nul(asked: Struct) -> None:
    """PostgreSQL keeps no text with that character."""
    for name, value in msgspec.structs.asdict(asked).items():
        if isinstance(value, str) and "\0" in value:
            raise InvalidRequestError(f"{name} has a NUL character: leave it out.")


def _admission(decision: Decision) -> Admission:
    return Admission(
        customer=decision.customer or "",
        plan=decision.plan or "",
        hold=decision.hold,
        hold_seconds=decision.hold_seconds,
        limits=[_left(limit) for limit in decision.limits],
    )


def _left(limit: LimitState) -> LimitLeft:
    return LimitLeft(
        name=limit.name,
        limit=limit.quota // MICRO,
        remaining=max(limit.remaining // MICRO, 0),
        seconds=max(math.ceil(limit.resets), 0),
    )


@post(
    "/v1/gate/leases",
    status_code=200,
    opt=INGEST,
    request_max_body_size=LEASE_BYTES,
    summary="Settle and take leases",
    tags=TAGS,
)
async def post_leases(
    request: Request[Any, Any, Any], gate: NamedDependency[GateDesk], data: JSONBody[LeaseRequest]
) -> Response[LeaseAnswer]:
    """Say what was used of leases, and take others: blocks of quota for an app that decides about its calls itself."""
    if NUL in await request.body():
        for part in (*data.take, *data.settle):
            _refuse_nul(part)
    return Response(await gate.exchange(data), headers={"Cache-Control": "no-store"})


@delete("/v1/gate/holds/{hold:str}", status_code=204, opt=INGEST, summary="Give a reservation back", tags=TAGS)
async def delete_hold(
    gate: NamedDependency[GateDesk], hold: Annotated[str, PathParameter(description="Id of the reservation.")]
) -> None:
    """Give back what a reservation holds, when its call is not made after all; done already, it changes nothing."""
    await gate.release(hold)


GATE_HANDLERS = [post_leases, delete_hold]
