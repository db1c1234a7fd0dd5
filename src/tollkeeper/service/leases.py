"""Leases: blocks of quota that apps take, use up, renew and give back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.admission import count
from tollkeeper.billing.bounds import limit_states, shared_room
from tollkeeper.billing.counter import Hold
from tollkeeper.events.ids import record_id
from tollkeeper.events.lease import Grant
from tollkeeper.service.gate_denials import no_room

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tollkeeper.billing.admission import Refusal
    from tollkeeper.billing.bounds import Bounds, PacedRate
    from tollkeeper.billing.counter import Counter
    from tollkeeper.events.lease import Settle, Take
    from tollkeeper.service.gate_memory import GateMemory
    from tollkeeper.service.gate_ruling import Ruling
    from tollkeeper.service.quota_sheet import QuotaSheet

__all__ = ["LEAST_BLOCK", "grant", "is_leasable", "settle"]

MICRO = 1_000_000
SHARE = 4
"""A lease takes a quarter of the room at most, so that others find some, and blocks shrink as it ends."""
LEAST_BLOCK = 16 * MICRO
"""A block of quota that is worth a lease: smaller ones are used up sooner than they are taken."""
MOST_SLACK = MICRO
"""µs in which what a rate allowed now may be used."""
LEAST_SLACK = MICRO // 10
"""µs until the answer has reached the call that waits for it; where the burst leaves none, the next waits so long."""
LOOK_AGAIN = MICRO
"""µs after which it is worth asking again whether others have given something back."""


def settle(
    sheet: QuotaSheet, holds: Mapping[str, Hold], settles: Sequence[Settle], memory: GateMemory, lease_us: int
) -> bool:
    """Count what was used of leases, give back those that are released, renew the others; whether these all could be.

    ``holds`` are those that the settles name, with their counters in the sheet and their consumers in the memory.
    """
    known = {hold.id: hold for hold in holds.values() if hold.lease}
    renewed = True
    for one in settles:
        hold = known.get(one.lease)
        if hold is None:
            continue
        hold = _used(sheet, hold, one.used)
        if one.release or hold.used == hold.units:
            hold = sheet.close(hold, final=True)
        elif _is_renewable(sheet, memory, hold, lease_us):
            hold = replace(hold, expires_at=_expiry(sheet.now, lease_us))
            sheet.hold(hold)
        else:
            renewed = False
        known[hold.id] = hold
    return renewed


def grant(sheet: QuotaSheet, ruling: Ruling, take: Take, lease_us: int) -> Grant:
    """Answer a take: a lease, a denial, or neither when nothing bounds the call. Its counters are in the sheet."""
    now, bounds = sheet.now, ruling.bounds
    longest = min(lease_us, ruling.until - now)
    answer = Grant(
        seconds=longest / MICRO,
        denial=ruling.denial,
        on_failure=ruling.on_failure,
        customer=ruling.customer,
        plan=ruling.plan,
    )
    if ruling.denial or not (bounds.quotas or bounds.rates):
        return answer
    wanted = max(take.units, 1)
    refusal = sheet.refusal(bounds, min(wanted, MICRO))
    if refusal:
        seconds = _denied_for(refusal, longest) / MICRO
        states = limit_states(bounds, sheet.counters, now)
        return replace(answer, seconds=seconds, denial=no_room(refusal), limits=states)
    units = _block(bounds, sheet.counters, wanted, now)
    usable = min([longest, *(_slack(rate, units) for rate in bounds.rates)])
    sheet.count(count(bounds, sheet.counters, units, now, held=True, slack=usable))
    hold = Hold(
        id=record_id("lea"),
        consumer=take.consumer,
        endpoint=take.endpoint,
        counters=[quota.fresh.id for quota in bounds.quotas],
        units=units,
        lease=True,
        expires_at=_expiry(now, lease_us),
    )
    if hold.counters:  # of what is under a rate alone there is nothing to give back
        sheet.hold(hold)
    states = limit_states(bounds, sheet.counters, now)
    return replace(answer, seconds=usable / MICRO, lease=hold.id, units=units, limits=states)


def is_leasable(bounds: Bounds, counters: Mapping[str, Counter]) -> bool:
    """Whether a lease is worth it for calls that are counted at once."""
    # What a rate allows now is of use now: to take it ahead would be to use it up unused.
    room = shared_room(bounds, counters)
    return not bounds.rates and (room is None or room >= SHARE * LEAST_BLOCK)


def _used(sheet: QuotaSheet, hold: Hold, used: int) -> Hold:
    """Count what was used beyond what was known; of an expired lease it is held no more."""
    more = min(used, hold.units) - hold.used
    if more <= 0:
        return hold
    sheet.move(hold.counters, used=more, held=-more if hold.open else 0)
    hold = replace(hold, used=hold.used + more)
    sheet.hold(hold)
    return hold


def _is_renewable(sheet: QuotaSheet, memory: GateMemory, hold: Hold, lease_us: int) -> bool:
    """Whether it is open, and time has changed nothing that it rests on since it was renewed last."""
    renewed_at = hold.expires_at - _expiry(0, lease_us)
    counters = [sheet.counters[counter_id] for counter_id in hold.counters if counter_id in sheet.counters]
    return (
        hold.open
        and not memory.changes_between(hold.consumer, renewed_at, sheet.now)
        and all(counter.ends_at > sheet.now for counter in counters)
    )


def _expiry(now: int, lease_us: int) -> int:
    # Later than the app believes, so that what it used in the last moment is heard of before others get the room.
    return now + lease_us * 3 // 2


def _denied_for(refusal: Refusal, longest: int) -> int:
    wait = longest if refusal.wait is None else min(refusal.wait, longest)
    return wait if refusal.paced else min(wait, LOOK_AGAIN)


def _block(bounds: Bounds, counters: Mapping[str, Counter], wanted: int, now: int) -> int:
    """How many millionths: whole units unless less is wanted, of which there must be room for one."""
    least = min(wanted, MICRO)
    room = shared_room(bounds, counters)
    most = wanted if room is None else min(wanted, room // SHARE // MICRO * MICRO)
    for rate in bounds.rates:
        arrival = rate.counter(counters).arrival
        most = min(most, rate.pace.room(arrival, now, slack=_most_slack(rate)) * MICRO)
    return max(most, least)


def _most_slack(rate: PacedRate) -> int:
    return min(MOST_SLACK, rate.pace.interval * rate.pace.burst // 2)


def _slack(rate: PacedRate, units: int) -> int:
    """How much later (µs) units may be used that are taken now."""
    spare = rate.pace.interval * rate.pace.burst - rate.pace.after(0, 0, units)
    return max(min(spare, _most_slack(rate)), LEAST_SLACK)
