"""Whatever is sent to the gate, it answers: what it cannot read is the sender's fault, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.gate_shop import KEY, sell
from support.running import Api, running
from support.stores import DURABLE, store_url
from tollkeeper.api.gate import GateHandler
from tollkeeper.errors import StoreError
from tollkeeper.events.lease import Denial, LeaseAnswer, LeaseRequest, LimitState
from tollkeeper.service.gate import Decision, Gate, GateCall
from tollkeeper.service.gate_desk import GateDesk
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from litestar.types import Scope

FIELDS = ["key", "api", "api_version", "endpoint", "method", "units", "reserve", "other"]
LEASE_FIELDS = ["take", "settle", "consumer", "lease", "used", "release", "units", "endpoint"]
MOST_UNITS = 10**12

texts = st.text(st.characters(), max_size=20) | st.sampled_from([KEY, "orders", "/orders", "GET", "\0"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)
requests = st.dictionaries(st.sampled_from(FIELDS), values, max_size=6).map(json.dumps).map(str.encode)
leases = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(LEASE_FIELDS), inner, max_size=4),
    max_leaves=8,
)


class AnyGate:
    """Admits or denies by the key, and looks at what reaches it."""

    def __init__(self) -> None:
        self.limits = [LimitState(name="all day", quota=1, window=1, remaining=0, resets=1.0)]

    def decide(self, calls: Sequence[GateCall]) -> list[Decision]:
        for call in calls:
            assert isinstance(call.units, int)
            assert 0 <= call.units < MOST_UNITS
            assert "\0" not in f"{call.api}{call.api_version}{call.endpoint}{call.method}"
            assert type(call.reserve) is bool
        denial = Denial(status=429, code="quota_exceeded", detail="There is no room.", retry_after=0.2)
        return [Decision(denial=None if call.secret else denial, limits=self.limits) for call in calls]

    def exchange(self, _request: LeaseRequest) -> LeaseAnswer:
        raise StoreError("There are no leases here.")


def answer_to(handler: GateHandler, body: bytes, chunks: int, headers: list[tuple[bytes, bytes]]) -> tuple[int, Any]:
    """Send a body in parts; the status and the document that come back."""
    parts = [
        body[start : start + len(body) // chunks + 1] for start in range(0, len(body) + 1, len(body) // chunks + 1)
    ]
    messages = iter(
        [{"type": "http.request", "body": part, "more_body": at + 1 < len(parts)} for at, part in enumerate(parts)]
    )
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(handler(cast("Scope", {"type": "http", "headers": headers}), receive, send))
    start, content = sent
    given_headers = dict(start["headers"])
    assert int(given_headers[b"content-length"]) == len(content["body"])
    document = json.loads(content["body"])
    if start["status"] != 200:
        assert given_headers[b"content-type"] == b"application/problem+json"
        assert document["status"] == start["status"]
    return start["status"], document


@settings(max_examples=150, deadline=None)
@given(requests | st.binary(max_size=200), st.integers(1, 4), st.lists(st.tuples(st.binary(), st.binary()), max_size=3))
def test_any_body_and_headers_get_an_answer(body: bytes, chunks: int, headers: list[tuple[bytes, bytes]]) -> None:
    desk = GateDesk(cast("Gate", AnyGate()))
    status, document = answer_to(GateHandler(desk), body, chunks, headers)
    desk.close()
    assert status in {200, 400, 429}
    assert "internal" not in document.values()


@pytest.fixture(scope="module", params=DURABLE)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(Settings(store=store_url(request.param, tmp_path_factory.mktemp("fuzz")))) as api:
        sell(api.admin, limits=[{"limit": 10**9, "period": "year"}])
        yield api


def test_what_is_sent_to_a_real_gate_never_breaks_it(shop: Api) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(requests, st.sampled_from(["/v1/gate/check", "/v1/validateRequest"]))
    def ask(body: bytes, path: str) -> None:
        answer = shop.anonymous.post(path, content=body, headers={"apiKey": KEY})
        assert answer.status_code in {200, 400, 401, 403, 429}, answer.text

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.fixed_dictionaries({}, optional={"take": leases, "settle": leases}))
    def lease(body: dict[str, Any]) -> None:
        answer = shop.ingest.post("/v1/gate/leases", content=json.dumps(body))
        assert answer.status_code in {200, 400}, answer.text

    ask()
    lease()
    assert shop.anonymous.post("/v1/gate/check", json={"key": KEY}).status_code == 200
