"""Calls that were denied for want of a key or a subscription, on their way to who should know of them."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.failure import ApiError
from tollkeeper.errors import TollkeeperError
from tollkeeper.events.ids import first_record_id
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.forks import ForkLock
from tollkeeper.service.alerts.finding import Finding, tell
from tollkeeper.service.alerts.raising import matches
from tollkeeper.store.operations import AlertRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["Denials", "denial_findings"]

UNKNOWN = "unknown_api_key"
REGISTERED = ("api_key_expired", "api_key_revoked", "no_subscription")
"""Of keys that are registered: there are as many as the catalogue has, and not as many as anybody can think of."""
CODES = (UNKNOWN, *REGISTERED)
MAX_UNKNOWN = 100
MAX_OF_A_KEY = 10
WRITE_SECONDS = 1.0
LOOK_BACK = timedelta(minutes=15)
MAX_ERRORS = 1_000
LONGEST = 255
log = logging.getLogger("tollkeeper")


class Denied(Struct, frozen=True):
    """A key, by its fingerprint, that was turned away; of one API or (None) of none that was named."""

    consumer: str
    code: str
    api: str | None = None


class Denials:
    """Notes what the gate denies and writes it to the outbox about a second later, off the path of the calls.

    Between two writes, a hundred keys at most that are not registered, and of each that is, ten reasons and APIs; more
    are forgotten, and noted at their next call. What is noted when the process dies is lost. Safe in threads, and
    usable after a fork.
    """

    def __init__(self, store: RecordStore, *, seconds: float = WRITE_SECONDS) -> None:
        self._store = store
        self._seconds = seconds
        self._noted: dict[Denied, datetime] = {}
        self._shares: Counter[str] = Counter()
        self._timer: threading.Timer | None = None
        self._lock = ForkLock(after_in_child=self._start_anew)

    def note(self, consumer: str, code: str, api: str | None = None) -> None:
        """Note a denial; one for another reason than those of ``CODES`` is passed over."""
        if code not in CODES:
            return
        denied = Denied(consumer, code, api)
        share, most = ("", MAX_UNKNOWN) if code == UNKNOWN else (consumer, MAX_OF_A_KEY)
        # Without the lock: a flood of calls costs a look into a dictionary or two each.
        passed = denied in self._noted or self._shares[share] >= most
        if passed and self._timer is not None:
            return
        with self._lock:
            if denied not in self._noted and self._shares[share] < most:
                self._noted[denied] = datetime.now(UTC)
                self._shares[share] += 1
            if self._timer is None:
                self._start(log_it=not passed)

    def write(self) -> None:
        """Write what is noted now; what the store cannot take is lost, and logged."""
        with self._lock:
            noted = self._noted
            self._start_anew()
        try:
            _tell(self._store, noted)
        except TollkeeperError as error:
            log.warning("Alerts of %d denied keys were lost: %s", len(noted), error)

    def close(self) -> None:
        """Write what is left; idempotent."""
        timer = self._timer
        if timer is not None:
            timer.cancel()
        self.write()

    def _start(self, *, log_it: bool) -> None:
        timer = threading.Timer(self._seconds, self.write)
        timer.name, timer.daemon = "tollkeeper-denials", True
        try:
            timer.start()
        except RuntimeError as error:  # no thread is to be had: what is noted waits for the next call that is denied
            if log_it:
                log.warning("Alerts of denied keys wait for a thread: %s", error)
        else:
            self._timer = timer

    def _start_anew(self) -> None:
        self._noted, self._shares, self._timer = {}, Counter(), None


def denial_findings(records: Records, rules: Sequence[AlertRule], now: datetime) -> Iterator[Finding]:
    """Usage reports of the last quarter of an hour whose key or subscription is not in force, as errors keep them."""
    if not rules:
        return
    after = first_record_id("err", to_microseconds(now - LOOK_BACK))
    where: dict[str, Any] = {"is_internal": True, "internal_error_status": 0}
    # Apart from each other, so that however many unknown keys leave room for customers.
    found = [
        (error, Denied(error.consumer, error.code, error.api))
        for codes in (REGISTERED, (UNKNOWN,))
        for error in records.page(ApiError, after=after, limit=MAX_ERRORS, code=list(codes), **where)
        if error.consumer and error.code
    ]
    described = _described(records, [denied for _, denied in found])
    for error, denied in found:
        for rule in rules:
            if matches(rule, described[denied]):
                yield Finding(rule, _subject(denied), f"invalid_subscription|{error.id}", described[denied])


def _tell(store: RecordStore, noted: dict[Denied, datetime]) -> None:
    with store.reading() as records:
        rules = [rule for rule in records.find(AlertRule, kind="invalid_subscription", paused=False) if rule.channels]
        described = _described(records, noted) if rules else {}
        findings = [
            Finding(
                rule, _subject(denied), f"{_subject(denied)}|{denied.code}|{to_microseconds(at)}", described[denied]
            )
            for denied, at in noted.items()
            for rule in rules
            if matches(rule, described[denied])
        ]
    tell(store, findings, datetime.now(UTC))


def _subject(denied: Denied) -> str:
    return f"invalid_subscription|{denied.consumer}"


def _described(records: Records, found: Iterable[Denied]) -> dict[Denied, dict[str, Any]]:
    """What there is to say of each: whose the key is, when that is known."""
    denied = list(found)
    keys = {key.fingerprint: key for key in records.find(ApiKey, fingerprint=sorted({one.consumer for one in denied}))}
    customers = {one.id: one for one in records.find(Customer, id=sorted({key.customer for key in keys.values()}))}
    described = {}
    for one in denied:
        customer = customers.get(keys[one.consumer].customer) if one.consumer in keys else None
        described[one] = {
            "consumer": one.consumer,
            "code": one.code,
            "api": one.api[:LONGEST] if one.api else None,
            "customer": customer.id if customer else None,
            "customer_name": customer.name if customer else None,
        }
    return described
