"""A gate that decides as the tests of an app tell it to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

from msgspec import Struct

from tollkeeper.capture.gate.gate import Gate
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.lease import Denial
from tollkeeper.leases.lease import UNCOUNTED, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.leases.lease import CallKey

__all__ = ["FakeGate", "GatedCall", "fake_gate"]

MICRO = 1_000_000
STATUS = {
    "unknown_api_key": 401,
    "api_key_expired": 401,
    "api_key_revoked": 401,
    "no_subscription": 403,
    "unknown_route": 403,
    "quota_exceeded": 429,
    "rate_limited": 429,
    "gate_unavailable": 503,
}


class GatedCall(Struct, frozen=True, kw_only=True):
    """A call that the gate was asked about; ``consumer`` is the fingerprint of its key."""

    consumer: str
    api: str | None
    api_version: str | None
    endpoint: str | None
    method: str | None
    units: float


class _Rule(Struct, frozen=True):
    consumer: str | None
    endpoint: str | None
    verdict: Verdict


class FakeGate:
    """Admits calls that have a key, but those that it was told to deny; ``calls`` are all that it was asked about."""

    def __init__(self) -> None:
        self.calls: list[GatedCall] = []
        self._rules: list[_Rule] = []

    def deny(
        self,
        code: str = "quota_exceeded",
        *,
        key: str | None = None,
        endpoint: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Deny calls from now on, with the status that a code has: those with a key, of an endpoint, or all.

        Raises:
            ValueError: there is no such code.
        """
        if code not in STATUS:
            raise ValueError(f"{code!r} is no code of a denial: use one of {', '.join(STATUS)}.")
        denial = Denial(status=STATUS[code], code=code, detail="Denied by the test.", retry_after=retry_after)
        verdict = Verdict(denial=denial, counted=True)
        self._rules.insert(0, _Rule(None if key is None else fingerprint(key), endpoint, verdict))

    def admit(self) -> None:
        """Admit all calls again."""
        self._rules.clear()

    def decide(self, call: CallKey, units: int) -> Verdict:
        """Decide about a call; what was denied last goes first."""
        consumer, api, version, endpoint, method = call
        self.calls.append(
            GatedCall(
                consumer=consumer,
                api=api,
                api_version=version,
                endpoint=endpoint,
                method=method,
                units=units / MICRO,
            )
        )
        for rule in self._rules:
            if rule.consumer in {None, consumer} and rule.endpoint in {None, endpoint}:
                return rule.verdict
        return UNCOUNTED


@contextmanager
def fake_gate() -> Iterator[FakeGate]:
    """Let one fake decide for the gates of all doors inside; no service is asked, and nothing is counted."""
    fake = FakeGate()

    def admit(_: Gate, call: CallKey, units: int) -> Verdict:
        return fake.decide(call, units)

    async def admit_async(_: Gate, call: CallKey, units: int) -> Verdict:
        return fake.decide(call, units)

    with mock.patch.object(Gate, "admit", admit), mock.patch.object(Gate, "admit_async", admit_async):
        yield fake
