"""What the gate has read of the catalogue, for as long as nobody changed anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.billing.resolve import Facts
from tollkeeper.service.gate_denials import key_denial
from tollkeeper.service.gate_ruling import Ruling, Standing, load_known
from tollkeeper.service.resolution import load_products
from tollkeeper.store.audit import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from tollkeeper.billing.customer import ApiKey
    from tollkeeper.billing.resolve import Call
    from tollkeeper.store.protocols import RecordStore

__all__ = ["GateMemory"]

FOR_EVER = 2**63 - 1
MOST = 20_000
"""Rulings, keys, and consumers without a key; then it begins anew."""


class GateMemory:
    """Remembers rulings. The newest entry of the audit log tells whether anybody has changed the catalogue.

    Not to be shared by threads.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._revision: str | None = None
        self._standing = Standing(Facts())
        self._before = self._standing
        self._strangers: set[str] = set()
        self._rulings: dict[Call, Ruling] = {}

    def refresh(self, consumers: AbstractSet[str]) -> str:
        """Be up to date on consumers, the fingerprints of keys; the revision that the catalogue has.

        Raises StoreError; what is remembered stays then.
        """
        with self._store.reading() as records:
            newest = records.page(AuditEntry, after=None, limit=1, newest_first=True)
            revision = newest[0].id if newest else ""
            anew = revision != self._revision or self._is_full()
            standing = Standing(load_products(records)) if anew else self._standing
            unknown = consumers - standing.keys.keys()
            if not anew:
                unknown -= self._strangers
            known = load_known(records, unknown) if unknown else None
        if anew:
            self._before = self._standing
            self._standing, self._strangers, self._rulings, self._revision = standing, set(), {}, revision
        if known is not None:
            standing.learn(known)
            self._strangers |= unknown - standing.keys.keys()
        return revision

    def last_read(self, consumer: str) -> Standing | None:
        """What was read last of a consumer, now or before the catalogue was changed; None when nothing was."""
        return next((one for one in (self._standing, self._before) if consumer in one.keys), None)

    def key(self, consumer: str) -> ApiKey | None:
        """The key of a consumer that was asked for in ``refresh``."""
        return self._standing.keys.get(consumer)

    def rule(self, call: Call, now: int) -> Ruling:
        """Rule on a call, of a consumer that was asked for in ``refresh``, at a time (µs)."""
        ruling = self._rulings.get(call)
        if ruling is None or not ruling.since <= now < ruling.until:
            if call.consumer not in self._standing.keys:
                return Ruling(since=now, until=FOR_EVER, denial=key_denial(None))
            ruling = self._rulings[call] = self._standing.rule(call, now)
        return ruling

    def changes_between(self, consumer: str, start: int, end: int) -> bool:
        """Whether time alone changed what holds for a consumer in ``(start, end]``, in µs; also for an unknown one."""
        return consumer not in self._standing.keys or self._standing.changes_between(consumer, start, end)

    def _is_full(self) -> bool:
        return max(len(self._standing.keys), len(self._strangers), len(self._rulings)) > MOST
