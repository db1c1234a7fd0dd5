"""The leases that a process holds, and what it has yet to tell the service: no thread, no clock, no network."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

from tollkeeper.events.lease import LeaseRequest
from tollkeeper.leases.lease import Lease, Verdict, Word
from tollkeeper.leases.policies import Policies
from tollkeeper.leases.wire import SHORT_SECONDS, interval_of, settle_of, take_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.events.lease import Grant, LeaseAnswer
    from tollkeeper.leases.lease import CallKey

__all__ = ["Book"]

MICRO = 1_000_000
FIRST_UNITS = 10
MAX_TAKES, MAX_SETTLES, MAX_WANTED = 500, 5_000, 10_000
MAX_WORDS = 20_000
STRANGERS = {401, 403}
MIN_SECONDS = 0.01


class Book:
    """What holds for which calls; not safe in threads. Times are monotonic seconds, given with each call.

    ``keep`` gives the place where the use of a lease is written down, ``drop`` takes it back when the service knows it.
    ``runs_low`` is called when more is wanted before anybody has to wait for it. What nobody used for ``idle_seconds``
    is given back; blocks of less than ``least`` millionths are used up, and not renewed.
    """

    def __init__(
        self,
        keep: Callable[[str], tuple[memoryview, int]],
        drop: Callable[[memoryview, int], None],
        runs_low: Callable[[], None],
        *,
        idle_seconds: float = math.inf,
        least: int = 0,
    ) -> None:
        self._keep = keep
        self._drop = drop
        self._runs_low = runs_low
        self._idle_seconds = idle_seconds
        self._least = least
        self._words: dict[CallKey, Word] = {}
        self._strangers: dict[CallKey, None] = {}
        self._wanted: dict[CallKey, int] = {}
        self._touched: list[Lease] = []
        self._leases: dict[str, Lease] = {}
        self._held: Counter[str] = Counter()
        self._looks: list[tuple[float, int, CallKey]] = []
        self._order = count()
        self.policies = Policies()
        self._revision = ""

    def decide(self, key: CallKey, units: int, now: float) -> Verdict | None:
        """Decide on a call and count it; None when the service is to be asked."""
        word = self._words.get(key)
        if word is None:
            return None
        word.busy = True
        if not word.leases:
            return word.verdict if now < word.until else None
        lease = word.leases[0]
        if now < lease.until and lease.left >= (units or 1):
            lease.left -= units
            lease.used += units
            lease.words[lease.place] = lease.used
            word.used += units
            if not lease.touched:
                lease.touched = True
                self._touched.append(lease)
            if lease.left < word.low:
                word.low = 0
                self._wanted.setdefault(key, 0)
                self._runs_low()
            return _admitted(word, lease, units)
        return self._spend_several(word, units, now)

    def want(self, key: CallKey, units: int) -> bool:
        """Ask for units with the next request, at least as many; False when too much is asked for already.

        Consumers whose plan is known have room left when all others have none.
        """
        asked = self._wanted.get(key)
        if asked is None and len(self._wanted) >= MAX_WANTED * (1 + self._is_known(key)):
            return False
        self._wanted[key] = (asked or 0) + units
        return True

    @property
    def hungry(self) -> bool:
        """Whether something is wanted."""
        return bool(self._wanted)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to watch over, and nothing to tell."""
        return not (self._words or self._wanted or self._leases)

    @property
    def due(self) -> float:
        """When ``look`` has something to do."""
        return self._looks[0][0] if self._looks else float("inf")

    @property
    def holds(self) -> bool:
        """Whether there are leases that the service does not know to be given back."""
        return bool(self._leases)

    def look(self, now: float) -> None:
        """Renew what is in use, and give back what is not, where it is time for it."""
        while self._looks and self._looks[0][0] <= now:
            at, _, key = heapq.heappop(self._looks)
            word = self._words.get(key)
            if word is None or word.look_at != at:  # of a word that was forgotten meanwhile
                continue
            if not word.busy:
                self._forget(key)
                continue
            word.busy = False
            self._retire([lease for lease in word.leases if now >= lease.until or not lease.left])
            word.leases = [lease for lease in word.leases if not lease.retired]
            if word.seconds > SHORT_SECONDS and now - word.since >= word.seconds / 4 and self._is_large(word.grant):
                self._wanted.setdefault(key, 0)
            word.look_at = now + self._interval(word.seconds)
            heapq.heappush(self._looks, (word.look_at, next(self._order), key))

    def request(self, now: float, *, settle: bool = True) -> tuple[list[CallKey], LeaseRequest]:
        """What to ask the service now: of which calls, in the order that its grants will have, and the request.

        Consumers whose plan is known go before others. Without ``settle`` it is not told of leases in use.
        """
        keys = list(self._wanted)
        if len(keys) > MAX_TAKES:
            keys = sorted(keys, key=self._is_known, reverse=True)[:MAX_TAKES]
        takes = [take_of(key, self._size(key, self._wanted.pop(key), now)) for key in keys]
        touched = [lease for lease in self._touched if settle or lease.retired][:MAX_SETTLES]
        return keys, LeaseRequest(take=takes, settle=[settle_of(lease) for lease in touched])

    def absorb(self, keys: Sequence[CallKey], request: LeaseRequest, answer: LeaseAnswer, sent: float) -> None:
        """Take the service's answer to a request that was ``sent`` at a time: it counts from then."""
        self._settled(request)
        revision, _, gone = answer.revision.partition("/")
        if gone or revision != self._revision:  # gone: a lease that we named is not to be used any more
            self.release()
            self._revision = revision
        for key, grant in zip(keys, answer.grants, strict=True):
            self._grant(key, grant, sent)

    def lost(self, keys: Sequence[CallKey]) -> None:
        """Forget what a request asked for that came to nothing: who needs it asks again."""
        for key in keys:
            self._wanted.pop(key, None)

    def release(self, consumer: str | None = None) -> None:
        """Give everything back with the next requests, or what is of a consumer."""
        for key in [key for key in self._words if consumer in {None, key[0]}]:
            self._forget(key)

    def has_left(self, consumer: str) -> bool:
        """Whether leases hold some of a consumer's quota, which the service does not know to be given back."""
        return self._held[consumer] > 0 and any(
            lease.left > 0 for lease in self._leases.values() if lease.consumer == consumer
        )

    def adjust(self, lease: Lease, units: int) -> bool:
        """Count more units of a call, or fewer, on the lease that it was admitted by; False when that cannot be."""
        if lease.retired or lease.left < units or lease.used + units < lease.known:
            return False
        lease.left -= units
        lease.used += units
        lease.words[lease.place] = lease.used
        self._touch(lease)
        return True

    def _spend_several(self, word: Word, units: int, now: float) -> Verdict | None:
        """Spend on all leases together, when the first one has too little."""
        valid = [lease for lease in word.leases if now < lease.until and lease.left]
        self._retire([lease for lease in word.leases if lease not in valid])
        word.leases = valid
        if sum(lease.left for lease in valid) < (units or 1):
            return word.verdict if word.verdict.denial is not None and now < word.until else None
        rest = units
        for lease in valid:
            part = min(rest, lease.left)
            rest -= part
            self.adjust(lease, part)
        word.used += units
        return _admitted(word, valid[-1], units)

    def _size(self, key: CallKey, units: int, now: float) -> int:
        """How much to ask for: what comes until the lease is renewed, if it goes on as it did."""
        word = self._words.get(key)
        expected = FIRST_UNITS * MICRO
        if word is not None and word.used:
            expected = max(expected, int(word.used / max(now - word.since, MIN_SECONDS) * word.seconds * 3 / 4))
        return max(expected, units)

    def _grant(self, key: CallKey, grant: Grant, sent: float) -> None:
        if grant.plan is not None:
            self.policies.note(key[0], grant.on_failure)
        seconds = max(grant.seconds, MIN_SECONDS)
        word = self._words.get(key)
        leases = [] if word is None else word.leases
        verdict = Verdict(denial=grant.denial, counted=grant.denial is not None, grant=grant)
        until, spare = sent + seconds, 0
        if grant.lease is not None:
            words, place = self._keep(grant.lease)
            lease = Lease(id=grant.lease, consumer=key[0], left=grant.units, until=until, words=words, place=place)
            self._leases[lease.id] = lease
            self._held[lease.consumer] += 1
            if (left := sum(one.left for one in leases)) <= grant.units:
                self._retire(leases)
                leases, spare = [], left
            leases = [*leases, lease]
            until = 0.0
        elif grant.denial is None:
            self._retire(leases)
            leases = []
        elif grant.denial.retry_after is not None:
            until = sent + min(seconds, max(grant.denial.retry_after, MIN_SECONDS))
        look_at = sent + self._interval(seconds) if word is None else word.look_at
        renewed = Word(
            leases=leases,
            until=until,
            verdict=verdict,
            grant=grant,
            seconds=seconds,
            since=sent,
            look_at=look_at,
            low=grant.units // 4 if seconds > SHORT_SECONDS and self._is_large(grant) else 0,
            spare=spare,
        )
        self._put(key, word, renewed)
        self._note_stranger(key, grant)

    def _put(self, key: CallKey, word: Word | None, renewed: Word) -> None:
        """Put a word in the place of another, if there was one, which is looked at when that was to be."""
        if word is not None:
            renewed.busy = word.busy
        else:
            if len(self._words) >= MAX_WORDS:
                self._forget(next(iter(self._strangers or self._words)))
            heapq.heappush(self._looks, (renewed.look_at, next(self._order), key))
        self._words[key] = renewed

    def _note_stranger(self, key: CallKey, grant: Grant) -> None:
        if grant.denial is not None and grant.denial.status in STRANGERS:
            self._strangers[key] = None
        else:
            self._strangers.pop(key, None)

    def _is_known(self, key: CallKey) -> bool:
        return self.policies.of(key[0]) is not None

    def _is_large(self, grant: Grant) -> bool:
        return grant.lease is None or grant.units >= self._least

    def _interval(self, seconds: float) -> float:
        return min(interval_of(seconds), self._idle_seconds)

    def _forget(self, key: CallKey) -> None:
        self._strangers.pop(key, None)
        self._retire(self._words.pop(key).leases)

    def _retire(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            if not lease.retired:
                lease.retired = True
                self._touch(lease)

    def _touch(self, lease: Lease) -> None:
        if not lease.touched:
            lease.touched = True
            self._touched.append(lease)

    def _settled(self, request: LeaseRequest) -> None:
        """The service knows this much now; what changed since then is told again."""
        for settle in request.settle:
            lease = self._leases[settle.lease]
            lease.known = settle.used
            if settle.release:
                del self._leases[settle.lease]
                self._held[lease.consumer] -= 1
                if not self._held[lease.consumer]:
                    del self._held[lease.consumer]
                self._drop(lease.words, lease.place)
        told = {settle.lease for settle in request.settle}
        for lease in self._touched:
            if lease.id in told:
                lease.touched = lease.id in self._leases and (lease.used != lease.known or lease.retired)
        self._touched = [lease for lease in self._touched if lease.touched]


def _admitted(word: Word, lease: Lease, units: int) -> Verdict:
    left = lease.left if len(word.leases) == 1 else sum(one.left for one in word.leases)
    return Verdict(counted=units > 0, lease=lease, grant=word.grant, left=left + word.spare, since=word.since)
