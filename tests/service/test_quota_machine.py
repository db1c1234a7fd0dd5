"""The life of limits, against a model that knows only a calendar and adds up what happened."""

from __future__ import annotations

from collections import Counter as Sums
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from support.limited import called, counters, report, sell
from support.naive_limits import merged, moment, period, to_us
from tollkeeper.billing.customer import ApiKey
from tollkeeper.billing.limit import QuotaGrant
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import Subscription, SubscriptionPause
from tollkeeper.billing.terms import PlanChange, RouteLimit
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.ids import record_id
from tollkeeper.events.lease import LeaseRequest, Settle, Take
from tollkeeper.service.audit import editing
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.gate import Gate, GateCall
from tollkeeper.service.quota_folding import QuotaFolder, expire_holds
from tollkeeper.service.quota_reset import reset_quotas
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from tollkeeper.billing.counter import Counter, Hold
    from tollkeeper.events.event import UsageEvent

UNIT = 1_000_000
SECRET = "the-secret-key-of-acme"
SUB = "sub_acme"
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",  # its clocks change at midnight
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kathmandu",
]
TURNS = [
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),  # Berlin puts its clocks forward
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # and back
    datetime(2026, 9, 6, 3, 30, tzinfo=UTC),  # Santiago has no midnight
    datetime(2026, 11, 1, 4, 30, tzinfo=UTC),  # New York
    datetime(2026, 4, 4, 14, 30, tzinfo=UTC),  # Lord Howe
    datetime(2028, 2, 28, 23, 50, tzinfo=UTC),  # a leap day comes
    datetime(2027, 2, 28, 22, 50, tzinfo=UTC),  # and none
    datetime(2026, 12, 31, 22, 50, tzinfo=UTC),
]
ENDPOINTS = st.sampled_from(["/a", "/b"])
UNITS = st.sampled_from([UNIT, UNIT, UNIT // 2, 2 * UNIT])
PERIODS = st.sampled_from(["minute", "hour", "day", "week", "month", "year", "billing"])


def limits(figures: st.SearchStrategy[int | None], least: int = 0) -> st.SearchStrategy[list[dict[str, Any]]]:
    limit = st.fixed_dictionaries(
        {"limit": figures, "period": PERIODS},
        optional={
            "endpoint": ENDPOINTS,
            "hard": st.booleans(),
            "carry_over": st.integers(0, 3),
        },
    )
    return st.lists(limit, min_size=least, max_size=2, unique_by=lambda one: (one.get("endpoint"), one["period"]))


FIGURES = st.integers(0, 12)
ROUTE_LIMITS = st.lists(
    st.tuples(st.one_of(ENDPOINTS, st.none()), FIGURES), max_size=2, unique_by=lambda limit: limit[0]
)


class Life(RuleBasedStateMachine):
    """One customer, whose clock, catalogue and calls change; ``used`` is what each counter must have."""

    @initialize(
        zone=st.sampled_from(ZONES), start=st.sampled_from(TURNS), day=st.integers(0, 31), plan=limits(FIGURES, 1)
    )
    def begin(self, zone: str, start: datetime, day: int, plan: list[dict[str, Any]]) -> None:
        self.zone, self.now = zone, to_us(start)
        self.anchor = start - timedelta(days=40 + day, minutes=7)
        self.service = open_service(Settings(store="memory:", reservation_seconds=60, lease_seconds=10))
        sell(self.service, *plan, time_zone=zone, started=self.anchor, has_quota_limits=True)
        service = self.service
        self.gate = Gate(service.catalog, service.quotas, service.keys, service.settings, now=lambda: self.now)
        self.folder = QuotaFolder(service.events, service.catalog, service.quotas)
        self.plans = [(self.anchor, plan)]
        self.own: list[dict[str, Any]] = []
        self.overrides: list[dict[str, Any]] = []
        self.grants: Sums[tuple[str, int]] = Sums()
        self.used: Sums[str] = Sums()
        self.waiting: list[UsageEvent] = []
        self.closed: dict[str, tuple[int, int, int]] = {}
        self.leases: dict[str, tuple[int, int, list[str]]] = {}
        self.pause: SubscriptionPause | None = None
        self.revoked: datetime | None = None
        self.serial = 0

    # -- what the model knows ------------------------------------------------------------------------------------------

    def limits_at(self, at: datetime) -> dict[str, dict[str, Any]]:
        plan = next((limits for since, limits in reversed(self.plans) if since <= at), list[dict[str, Any]]())
        return merged(plan, self.own, self.overrides)

    def applying(self, endpoint: str, at: datetime) -> dict[str, tuple[str, dict[str, Any]]]:
        """The names of the limits of a call at a time, with their counters."""
        return {
            name: (f"{SUB}|{name}|{period(limit['period'], self.zone, self.anchor, at)[0]}", limit)
            for name, limit in self.limits_at(at).items()
            if limit.get("endpoint") in {None, endpoint}
        }

    def room(self, endpoint: str) -> int | None:
        """What all hard limits have room for now, what expired leases keep free included; None without any."""
        present, held = counters(self.service, SUB), self.held(now=self.now)
        rooms = []
        for name, (counter, limit) in self.applying(endpoint, moment(self.now)).items():
            if limit.get("hard", True):
                carried = present[counter].carried if counter in present else 0
                granted = self.grants[name, int(counter.rpartition("|")[2])]
                rooms.append(limit["limit"] * UNIT + granted + carried - self.used[counter] - held[counter])
        return min(rooms) if rooms else None

    def held(self, now: int = 0) -> Sums[str]:
        """What open holds keep free in each counter, but for the leases that have expired by ``now``."""
        found: Sums[str] = Sums()
        for hold in self.holds():
            if hold.open and not (hold.lease and hold.expires_at <= now):
                for counter in hold.counters:
                    found[counter] += hold.units - hold.used
        return found

    def holds(self) -> list[Hold]:
        with self.service.quotas.reading() as book:
            return sorted(book.all_holds.values(), key=lambda hold: hold.id)  # type: ignore[attr-defined]  # of the memory

    def refused(self) -> str | None:
        if self.revoked is not None:
            return "api_key_revoked"
        return "no_subscription" if self.pause is not None else None

    # -- the clock -----------------------------------------------------------------------------------------------------

    @rule(seconds=st.one_of(st.integers(1, 90), st.integers(600, 90_000), st.sampled_from([86_400 * 28, 86_400 * 31])))
    def wait(self, seconds: int) -> None:
        self.now += seconds * UNIT + 1
        if self.pause is not None:
            self.pause_or_resume()
        if self.revoked is not None:
            self.revoke_or_restore()

    # -- the gate ------------------------------------------------------------------------------------------------------

    @rule(endpoint=ENDPOINTS, units=UNITS, reserve=st.booleans(), repeat=st.integers(1, 3))
    def call(self, endpoint: str, units: int, *, reserve: bool, repeat: int) -> None:
        asked = GateCall(secret=SECRET, api="orders", endpoint=endpoint, units=units, reserve=reserve)
        room, expected = self.room(endpoint), list[str | None]()
        for _ in range(repeat):
            code = self.refused() or ("quota_exceeded" if room is not None and room < units else None)
            expected.append(code)
            room = room if room is None or code else room - units
        decisions = self.gate.decide([asked] * repeat)
        assert [one.denial.code if one.denial else None for one in decisions] == expected
        applying = self.applying(endpoint, moment(self.now))
        for one in decisions:
            assert (one.hold is not None) == (reserve and bool(applying) and one.denial is None)
            if not reserve and one.denial is None:
                self.used.update({counter: units for counter, _ in applying.values()})

    @rule(endpoint=ENDPOINTS, units=st.integers(1, 20))
    def take(self, endpoint: str, units: int) -> None:
        room, applying = self.room(endpoint), self.applying(endpoint, moment(self.now))
        take = Take(consumer=fingerprint(SECRET), api="orders", endpoint=endpoint, units=units * UNIT)
        (grant,) = self.gate.exchange(LeaseRequest(take=[take])).grants
        code = self.refused() or ("quota_exceeded" if room is not None and room < UNIT else None)
        assert (grant.denial.code if grant.denial else None) == code
        if grant.lease is None:
            assert code is not None or not applying
            return
        assert UNIT <= grant.units <= min(units * UNIT, grant.units if room is None else room)
        self.leases[grant.lease] = grant.units, 0, [counter for counter, _ in applying.values()]

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), release=st.booleans())
    def settle(self, data: st.DataObject, *, release: bool) -> None:
        lease = data.draw(st.sampled_from(sorted(self.leases)))
        units, before, names = self.leases[lease]
        now = data.draw(st.integers(before, units))
        hold = next((one for one in self.holds() if one.id == lease), None)
        if hold is None or hold.expires_at <= self.now - 86_400 * UNIT:
            del self.leases[lease]  # forgotten after a day
            return
        for _ in range(2):  # a retry changes nothing
            self.gate.exchange(LeaseRequest(settle=[Settle(lease=lease, used=now, release=release)]))
        self.used.update(dict.fromkeys(names, now - before))
        self.leases[lease] = units, now, names
        if release or now == units:
            del self.leases[lease]

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        found = [hold for hold in self.holds() if not hold.lease]
        if found:
            hold = data.draw(st.sampled_from(found))
            assert self.gate.release(hold.id) == hold.open
            assert not self.gate.release(hold.id)

    # -- what is reported ----------------------------------------------------------------------------------------------

    @rule(
        endpoint=ENDPOINTS, units=UNITS, ago=st.sampled_from([0, 0, 1, 45, 4_000, 90_000, 86_400 * 33]),
        gated=st.sampled_from([False, False, True]), count=st.integers(1, 3),
    )  # fmt: skip
    def report(self, endpoint: str, units: int, ago: int, *, gated: bool, count: int) -> None:
        at = max(moment(self.now) - timedelta(seconds=ago), self.anchor)
        share = Decimal(units) / UNIT
        events = [
            called(at + timedelta(seconds=place), endpoint=endpoint, units=share, gated=gated) for place in range(count)
        ]
        report(self.service, events)
        self.waiting += events

    @rule(limit=st.sampled_from([1, 3, 100]))
    def fold(self, limit: int) -> None:
        reported: Sums[tuple[str, tuple[str, ...]]] = Sums()
        taken = min(limit, len(self.waiting))
        for event in self.waiting[:taken]:
            applying = self.applying(event.path, event.time)
            if not event.gated and applying:
                names = sorted(counter for counter, _ in applying.values())
                reported[event.path, tuple(names)] += event.units_micro
                self.used.update(dict.fromkeys(names, event.units_micro))
        expected = self.settled(reported)
        # Where nobody has a limit, all may be passed over at once.
        assert self.folder.fold(limit) in ({taken} if self.has_limits() else {taken, len(self.waiting)})
        with self.service.quotas.reading() as book:
            left = self.service.events.last_seq() - book.position()
        self.waiting = self.waiting[len(self.waiting) - left :]
        assert {hold.id: (hold.used, hold.open) for hold in self.holds()} == expected

    def has_limits(self) -> bool:
        return any(plan for _, plan in self.plans) or bool(self.own or self.overrides)

    def settled(self, reported: Sums[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[int, bool]]:
        """How holds must stand when this was reported of endpoints, in counters: who has no other is settled."""
        found = {hold.id: (hold.used, hold.open) for hold in self.holds()}
        for hold in self.holds():
            if not hold.open or hold.lease:
                continue
            for path, names in sorted(reported, key=lambda one: (len(one[1]), one)):
                if path == hold.endpoint and set(hold.counters) <= set(names):
                    used = found[hold.id][0]
                    part = min(reported[path, names], hold.units - used)
                    reported[path, names] -= part
                    found[hold.id] = used + part, used + part < hold.units
        return found

    # -- what the leader does by itself --------------------------------------------------------------------------------

    @rule(close=st.booleans())
    def tidy(self, *, close: bool) -> None:
        self.expire()
        if close:
            self.close_periods()

    def expire(self) -> None:
        due = [hold for hold in self.holds() if hold.open and hold.expires_at <= self.now]
        assert expire_holds(self.service.quotas, self.now) == len(due)

    def close_periods(self) -> None:
        reset_quotas(self.service.catalog, self.service.quotas, lambda *_: None, moment(self.now))
        after = counters(self.service, SUB)
        for name, counter in after.items():
            assert (counter.closed_at is not None) == (counter.ends_at <= self.now)
            figures = counter.used, counter.held, counter.carried
            if counter.closed_at is not None and self.closed.get(name) != figures:
                self.closed[name] = figures
                self.check_carried(counter, after)

    def check_carried(self, counter: Counter, after: dict[str, Counter]) -> None:
        limit_name = counter.id.split("|")[1]
        end = moment(counter.ends_at)
        limit = self.limits_at(end - timedelta(microseconds=1)).get(limit_name)
        coming = self.limits_at(end).get(limit_name)
        if limit is None or coming is None:
            return
        if limit["period"] in {"minute", "hour"} and counter.ends_at <= self.now - 86_400 * UNIT:
            return  # it may have been forgotten what was used
        start, _ = period(coming["period"], self.zone, self.anchor, end)
        assert start == counter.ends_at
        left = limit["limit"] * UNIT + self.grants[limit_name, counter.starts_at] + counter.carried
        carried = max(min(limit.get("carry_over", 0) * UNIT, left - counter.used - counter.held), 0)
        found = after.get(f"{SUB}|{limit_name}|{start}")
        assert (found.carried if found else 0) == carried
        assert found or not coming.get("carry_over")

    # -- the catalogue -------------------------------------------------------------------------------------------------

    def name(self, kind: str) -> str:
        self.serial += 1
        self.now += 1
        return f"{kind}_{self.serial:04}"

    @rule(data=st.data())
    def change_catalogue(self, data: st.DataObject) -> None:
        verb, strategy = data.draw(
            st.sampled_from(
                [
                    (self.change_plan, limits(FIGURES)),
                    (self.override, limits(st.one_of(FIGURES, st.none()))),
                    (self.limit_routes, ROUTE_LIMITS),
                    (self.grant, UNITS),
                    (self.pause_or_resume, None),
                    (self.revoke_or_restore, None),
                ]
            )
        )
        verb(*([] if strategy is None else [data.draw(strategy)]))  # type: ignore[operator]  # each with its own

    def change_plan(self, plan: list[dict[str, Any]]) -> None:
        name, at = self.name("pla"), moment(self.now)
        with editing(self.service.catalog, "test") as edit:
            edit.add(Plan(id=name, name=name, body={"limits": plan} if plan else {}, created_at=at))
            edit.add(PlanChange(id=record_id("chg"), subscription=SUB, plan=name, effective_at=at, created_at=at))
        self.plans.append((at, plan))

    def override(self, overrides: list[dict[str, Any]]) -> None:
        with editing(self.service.catalog, "test") as edit:
            old = edit.records.get(Subscription, SUB)
            assert old is not None
            edit.replace(old, replace(old, overrides={"limits": overrides} if overrides else {}))
        self.overrides = overrides

    def limit_routes(self, own: list[tuple[str | None, int]]) -> None:
        at = moment(self.now)
        with editing(self.service.catalog, "test") as edit:
            for old in edit.records.find(RouteLimit, subscription=SUB):
                edit.remove(old)
            for endpoint, figure in own:
                name = record_id("lim")
                edit.add(
                    RouteLimit(id=name, subscription=SUB, endpoint=endpoint, limit=figure, period="day", created_at=at)
                )
        self.own = [{"limit": figure, "period": "day", "endpoint": endpoint} for endpoint, figure in own]

    def grant(self, units: int) -> None:
        now = moment(self.now)
        found = self.limits_at(now)
        for name in sorted(found)[:1]:
            with editing(self.service.catalog, "test") as edit:
                given = {"subscription": SUB, "limit": name, "units": units, "at": now, "created_at": now}
                edit.add(QuotaGrant(id=record_id("gra"), **given))  # type: ignore[arg-type]  # plain test data
            self.grants[name, period(found[name]["period"], self.zone, self.anchor, now)[0]] += units

    def pause_or_resume(self) -> None:
        self.now += 1
        with editing(self.service.catalog, "test") as edit:
            if self.pause is None:
                self.pause = SubscriptionPause(id=record_id("pau"), subscription=SUB, paused_at=moment(self.now))
                edit.add(self.pause)
            else:
                edit.replace(self.pause, replace(self.pause, resumed_at=moment(self.now)))
                self.pause = None

    def revoke_or_restore(self) -> None:
        self.revoked = None if self.revoked else moment(self.now)
        with editing(self.service.catalog, "test") as edit:
            (key,) = edit.records.find(ApiKey)
            edit.replace(key, replace(key, revoked_at=self.revoked))

    def may_be_forgotten(self, counter: str) -> bool:
        """Counters of short periods go when they have been over for a day."""
        _, limit, start = counter.split("|")
        return limit.endswith((" minute", " hour")) and int(start) < self.now - 86_400 * UNIT

    # -- what is always true -------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_and_nothing_counts_twice(self) -> None:
        if not hasattr(self, "used"):
            return
        present = counters(self.service, SUB)
        used = {name: one.used for name, one in present.items() if one.used and not self.may_be_forgotten(name)}
        assert used == {name: units for name, units in self.used.items() if units and not self.may_be_forgotten(name)}
        assert {name: one.held for name, one in present.items() if one.held} == +self.held()
        with self.service.quotas.reading() as book:
            assert self.service.events.last_seq() - book.position() == len(self.waiting)


Life.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLife = Life.TestCase
