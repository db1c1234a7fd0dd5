"""May this key make this call now: keys, subscriptions, routes, quotas and rates, in one durable transaction."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.admission import count
from tollkeeper.billing.bounds import limit_states
from tollkeeper.billing.counter import Hold
from tollkeeper.billing.resolve import Call
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.ids import record_id
from tollkeeper.events.lease import Denial, LeaseAnswer, LimitState
from tollkeeper.service.gate_denials import no_room
from tollkeeper.service.gate_memory import GateMemory
from tollkeeper.service.leases import grant, is_leasable, settle
from tollkeeper.service.quota_sheet import QuotaSheet
from tollkeeper.store.catalog.texts import is_storable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tollkeeper.events.lease import LeaseRequest, Take
    from tollkeeper.service.gate_ruling import Ruling
    from tollkeeper.service.keys import Keys
    from tollkeeper.settings import Settings
    from tollkeeper.store.protocols import Quotas, RecordStore

__all__ = ["Decision", "Gate", "GateCall"]

MICRO = 1_000_000
DAY = 86_400 * MICRO
FORGOTTEN_AT_ONCE = 5_000
log = logging.getLogger("tollkeeper")


class GateCall(Struct, frozen=True, kw_only=True):
    """A call that somebody wants to make, with the ``secret`` of their key; ``units`` are millionths.

    With ``reserve`` room is kept free for it until its usage is reported; without, it counts now and for good.
    """

    secret: str | None
    api: str | None = None
    api_version: str | None = None
    endpoint: str | None = None
    method: str | None = None
    units: int = MICRO
    reserve: bool = False


class Decision(Struct, frozen=True, kw_only=True):
    """Without a ``denial`` the call is admitted, for a customer on a plan, by their names.

    ``hold`` is the reservation that was asked for, good for ``hold_seconds``; there is none where no limit applies.
    ``limits`` are the hard ones and the rates that apply, the tightest first, with quantities in millionths. Calls like
    it are ``leasable`` where no rate applies, and there is room for a lease that is worth it.
    """

    denial: Denial | None = None
    customer: str | None = None
    plan: str | None = None
    hold: str | None = None
    hold_seconds: float | None = None
    limits: list[LimitState] = []
    leasable: bool = False


class Gate:
    """Decides on calls and leases, strictly: what is admitted was counted, durably, before the answer.

    A change of the catalogue takes effect with the next question. Safe to call from any thread, one of
    which is served at a time. Everything raises StoreError when the store fails; what was asked may have counted then.
    """

    def __init__(
        self,
        store: RecordStore,
        quotas: Quotas,
        keys: Keys,
        settings: Settings,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self._memory = GateMemory(store)
        self._quotas = quotas
        self._keys = keys
        self._lease_us = int(settings.lease_seconds * MICRO)
        self._hold_seconds = settings.reservation_seconds
        self._now = now
        self._lock = threading.Lock()
        self._tidy_at = 0
        self._denied: Callable[[str, str, str | None], object] | None = None

    def watch(self, denied: Callable[[str, str, str | None], object]) -> None:
        """Say from now on which key is turned away, by its fingerprint, with the code and the API; must not wait."""
        self._denied = denied

    def decide(self, calls: Sequence[GateCall]) -> list[Decision]:
        """Decide on calls, one after the other, in one transaction: each sees what those before it have used."""
        consumers = [fingerprint(call.secret) if call.secret else "" for call in calls]
        with self._lock:
            self._memory.refresh(set(consumers))
            asked = [self._known(*pair) for pair in zip(calls, consumers, strict=True)]
            found = self._rule(asked, self._now())
            self._tell(zip(consumers, calls, found, strict=True))
            if not any(ruling.bounds.quotas or ruling.bounds.rates for ruling in found):
                return [_decision(ruling, leasable=not call.reserve) for call, ruling in zip(calls, found, strict=True)]
            with self._sheet() as sheet:
                # What held before may have ended while others had the store.
                found = self._rule(asked, sheet.now)
                _load(sheet, found)
                return [self._decide(sheet, *three) for three in zip(calls, consumers, found, strict=True)]

    def exchange(self, request: LeaseRequest) -> LeaseAnswer:
        """Settle leases, and then take some; to settle again changes nothing.

        The revision differs also when a lease is named that is not to be used any more.
        """
        consumers = {take.consumer for take in request.take}
        with self._lock:
            if not request.take and not request.settle:
                return LeaseAnswer(revision=self._memory.refresh(consumers))
            with self._sheet() as sheet:
                holds = sheet.load_holds([one.lease for one in request.settle])
                revision = self._memory.refresh(consumers | {hold.consumer for hold in holds.values()})
                if not settle(sheet, holds, request.settle, self._memory, self._lease_us):
                    revision = f"{revision}/{sheet.now}"
                found = self._rule([_call_of(take, take.consumer) for take in request.take], sheet.now)
                self._tell(zip((take.consumer for take in request.take), request.take, found, strict=True))
                _load(sheet, found)
                pairs = zip(found, request.take, strict=True)
                grants = [grant(sheet, ruling, take, self._lease_us) for ruling, take in pairs]
            return LeaseAnswer(revision=revision, grants=grants)

    def release(self, hold: str) -> bool:
        """Give a reservation back; whether there was one that was still open."""
        with self._lock, self._sheet() as sheet:
            found = sheet.load_holds([hold]).get(hold)
            if found is None or found.lease or not found.open:
                return False
            sheet.close(found, final=True)
            return True

    def undecided(self, call: GateCall) -> Decision | None:
        """What is known of a call that the store cannot decide: admitted as its plan says, or denied whatever it says.

        None when nothing is remembered of its key, or the plan says to deny. Asks no store, and counts nothing.
        """
        secret = call.secret or ""
        consumer = fingerprint(secret)
        with self._lock:
            standing = self._memory.last_read(consumer)
            if standing is None or not self._keys.opens(standing.keys[consumer], secret):
                return None
            ruling = standing.rule(_call_of(call, consumer), self._now())
        return None if ruling.denial is None and ruling.on_failure == "deny" else _decision(ruling)

    @contextlib.contextmanager
    def _sheet(self) -> Iterator[QuotaSheet]:
        """A transaction. At most once a second, what is held in vain is given back in the end of one."""
        with self._quotas.writing() as book:
            sheet = QuotaSheet(book, self._now())
            yield sheet
            if sheet.now >= self._tidy_at:
                more = sheet.expire()
                book.forget(sheet.now - DAY, FORGOTTEN_AT_ONCE)
                self._tidy_at = sheet.now + (0 if more else MICRO)
            sheet.save()

    def _known(self, call: GateCall, consumer: str) -> Call:
        """The call; that of nobody when its secret is another one than that of the key."""
        key = self._memory.key(consumer)
        opens = key is not None and self._keys.opens(key, call.secret or "")
        return _call_of(call, consumer if opens else "")

    def _tell(self, ruled: Iterable[tuple[str, GateCall | Take, Ruling]]) -> None:
        if self._denied is None:
            return
        try:
            for consumer, call, ruling in ruled:
                if ruling.denial is not None and consumer:
                    self._denied(consumer, ruling.denial.code, call.api)
        except Exception:
            # Who hears of denials does not decide on calls.
            log.exception("Denials could not be told of, for a reason that should be reported.")

    def _rule(self, calls: Sequence[Call], now: int) -> list[Ruling]:
        return [self._memory.rule(call, now) for call in calls]

    def _decide(self, sheet: QuotaSheet, call: GateCall, consumer: str, ruling: Ruling) -> Decision:
        bounds = ruling.bounds
        if ruling.denial or not (bounds.quotas or bounds.rates):
            return _decision(ruling, leasable=not call.reserve)
        refusal = sheet.refusal(bounds, call.units)
        if refusal:
            states = limit_states(bounds, sheet.counters, sheet.now)
            return Decision(denial=no_room(refusal), customer=ruling.customer, plan=ruling.plan, limits=states)
        reserve = call.reserve and call.units > 0 and bool(bounds.quotas)
        sheet.count(count(bounds, sheet.counters, call.units, sheet.now, held=reserve))
        hold = self._reserve(sheet, call, consumer, ruling) if reserve else None
        return Decision(
            customer=ruling.customer,
            plan=ruling.plan,
            hold=hold,
            hold_seconds=self._hold_seconds if hold else None,
            limits=limit_states(bounds, sheet.counters, sheet.now),
            leasable=not call.reserve and is_leasable(bounds, sheet.counters),
        )

    def _reserve(self, sheet: QuotaSheet, call: GateCall, consumer: str, ruling: Ruling) -> str:
        hold = Hold(
            id=record_id("hld"),
            consumer=consumer,
            endpoint=call.endpoint if is_storable(call.endpoint) else None,
            counters=[quota.fresh.id for quota in ruling.bounds.quotas],
            units=call.units,
            expires_at=sheet.now + int(self._hold_seconds * MICRO),
        )
        sheet.hold(hold)
        return hold.id


def _decision(ruling: Ruling, *, leasable: bool = False) -> Decision:
    denial = ruling.denial
    return Decision(denial=denial, customer=ruling.customer, plan=ruling.plan, leasable=leasable and denial is None)


def _call_of(asked: GateCall | Take, consumer: str) -> Call:
    return Call(
        consumer=consumer,
        api=asked.api,
        api_version=asked.api_version,
        endpoint=asked.endpoint,
        method=asked.method,
    )


def _load(sheet: QuotaSheet, rulings: Sequence[Ruling]) -> None:
    sheet.load(counter for ruling in rulings for counter in ruling.bounds.counter_ids())
