"""What the invoices of months must come to, worked out the naive way: from raw events and dates, call by call.

It shares nothing with the engine but the rules, and works on the plain values of ``month_cases``.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from billing.oracle import ZERO, Lines, cost_of, drafted, in_force, measured, rounded, share_of, spread

__all__ = ["invoices", "periods"]

Case = dict[str, Any]
NEVER = datetime(9999, 1, 1, tzinfo=UTC)


# Periods and parts


def periods(case: Case, sub: Case, horizon: datetime) -> list[tuple[datetime, datetime, datetime, datetime]]:
    """All billing periods up to a horizon: each whole, and as it is cut."""
    zone, first = ZoneInfo(case["zone"]), case["plans"][sub["changes"][0][1]]["period"]
    runs = [[sub["anchor"], first, NEVER]]
    for at, name in sub["changes"][1:]:
        if case["plans"][name]["period"] != runs[-1][1]:
            runs[-1][2] = at
            runs.append([max(at, sub["anchor"]), case["plans"][name]["period"], NEVER])
    found = []
    for anchor, unit, until in runs:
        end = min(until, sub["ended"] or NEVER, horizon)
        number, start = 0, anchor
        while start < end:
            after = period_start(anchor, unit, number + 1, zone)
            if after > start:
                found.append((start, after, start, min(after, until, sub["ended"] or NEVER)))
            number, start = number + 1, after
    return found


def period_start(anchor: datetime, unit: str, number: int, zone: ZoneInfo) -> datetime:
    local = anchor.astimezone(zone)
    fold, local = local.fold, local.replace(tzinfo=None, fold=0)
    if unit in {"day", "week"}:
        local += timedelta(days=number * (7 if unit == "week" else 1))
    else:
        year, month = divmod(local.year * 12 + local.month - 1 + number * (12 if unit == "year" else 1), 12)
        local = local.replace(year=year, month=month + 1, day=min(local.day, monthrange(year, month + 1)[1]))
    return local.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def parts(case: Case, start: datetime, end: datetime) -> list[Case]:
    """What is billed of the periods that end in ``(start, end]``."""
    found: list[Case] = []
    for sub in case["subscriptions"]:
        for whole_start, whole_end, begin, until in periods(case, sub, end):
            if not start < until <= end:
                continue
            cuts = sorted({begin, until, *(at for at, _ in sub["changes"] if begin < at < until)})
            names = [[name for at, name in sub["changes"] if at <= cut][-1] for cut in cuts[:-1]]
            for place, name in enumerate(names):
                if place and names[place - 1] == name:
                    found[-1]["end"] = cuts[place + 1]
                else:
                    found.append({"sub": sub, "plan": name, "start": cuts[place], "end": cuts[place + 1]})
                found[-1]["period"] = (whole_start, whole_end)
    for part in found:
        part["share"] = running_share(case, part)
    return found


def running_share(case: Case, part: Case) -> Fraction:
    """The share of a part without what was paused, hour by hour: all dates of pauses are whole hours."""
    by = case["plans"][part["plan"]]["card"]["prorate_by"]
    share = share_of(part["period"], (part["start"], part["end"]), by, case["zone"])
    for start, end in part["sub"]["pauses"]:
        begin, until = max(start, part["start"]), min(end or NEVER, part["end"])
        if begin < until:
            share -= share_of(part["period"], (begin, until), by, case["zone"])
    return share


# Whose a call is, and what it costs


def owner(case: Case, event: Case) -> Case | None:
    """The subscription that an event is of."""
    if event["key"] not in case["keys"]:
        return None
    covering = [
        sub
        for sub in case["subscriptions"]
        if sub["started"] <= event["at"] < (sub["ended"] or NEVER) and sub["api"] in {None, event["api"]}
    ]
    return max(covering, key=lambda sub: (sub["api"] is not None, sub["started"]), default=None)


def route_of(case: Case, event: Case) -> Case | None:
    for endpoint in (event["endpoint"], None):
        for method in (event["method"], None):
            for route in case["routes"]:
                if (route["api"], route["endpoint"], route["method"]) == (event["api"], endpoint, method):
                    return route if event["version"] in {None, "v1"} else None
    return None


def price_of(route: Case, sub: Case, at: datetime) -> tuple[Case | None, str | None]:
    """The price of a call, and the currency in which it costs something."""
    own = in_force(sub["own"].get(route["id"], []), at)
    if own:
        return own, None
    begun = [price for price in route["prices"] if price["from"] <= at]
    if not begun:
        return None, None
    price = max(begun, key=lambda one: one["from"])["price"]
    return {"model": "per_unit", "unit_price": price}, route["currency"] if Fraction(price) else None


class Usage:
    """The calls of a part, by route, and what of them can be charged."""

    def __init__(self, case: Case, part: Case, events: list[Case]) -> None:
        plan = case["plans"][part["plan"]]
        self.events = [
            event
            for event in events
            if owner(case, event) is part["sub"] and part["start"] <= event["at"] < part["end"]
        ]
        self.currency = part.get("currency") or plan["currency"] or case["currency"]
        self.calls: dict[tuple[str, str], list[tuple[datetime, Case, Fraction]]] = {}
        self.charged: dict[int, str] = {}
        for event in self.events:
            route = route_of(case, event)
            price, currency = price_of(route, part["sub"], event["at"]) if route else (None, None)
            self.currency = self.currency or currency
            if route and price and currency in {None, self.currency}:
                name = (route_name(route), route["id"])
                self.calls.setdefault(name, []).append((event["at"], price, Fraction(event["units"])))
                self.charged[event["seq"]] = route["id"]

    def pay(self, volume: Fraction) -> None:
        """Take what is paid for up front off the first calls."""
        every = sorted(
            (at, name, place) for name, calls in self.calls.items() for place, (at, _, _) in enumerate(calls)
        )
        for at, name, place in every:
            _, price, amount = self.calls[name][place]
            covered = min(amount, volume)
            volume -= covered
            self.calls[name][place] = (at, price, amount - covered)
        self.calls = {name: [call for call in calls if call[2]] for name, calls in self.calls.items()}


def route_name(route: Case) -> str:
    return " ".join(
        [route["api"], "v1", *([route["method"]] if route["method"] else []), route["endpoint"] or "other routes"]
    )


# Money


def part_lines(case: Case, part: Case, usage: Usage, carried: int) -> tuple[Lines, int]:
    """The lines of a part, and what is left of its amount off."""
    plan, digits = case["plans"][part["plan"]], case["digits"]
    card, share = plan["card"], part["share"] if plan["card"]["prorated"] else Fraction(1)
    given, lines = Fraction(plan.get("amount", 0)) * share, Lines(digits)
    if Fraction(card["fee"]):
        lines.add("base_fee", "base_fee", Fraction(card["fee"]) * share)
    for price in plan["prices"]:
        fee = in_force(own_first(part, price), part["start"]) if "meter" not in price else None
        if fee:
            lines.add("fee", price["name"], Fraction(fee["fee"]) * (share if fee["prorated"] else 1))
    if plan["kind"] == "prepaid_volume":
        usage.pay(Fraction(rounded(given, 6), 10**6))
    paid = route_lines(plan, usage, lines) if usage.currency else []
    for price in plan["prices"]:
        if "meter" in price:
            meter_lines(part, price, usage, lines)
    left = 0
    if plan["kind"] in {"discount_amount", "prepaid_value"}:
        kind = "discount" if plan["kind"] == "discount_amount" else "prepaid"
        whole = rounded(given + Fraction(carried if kind == "discount" else 0, 10**digits), digits)
        off = min(whole, sum(minor for _, minor in paid))
        for (name, _), minor in zip(paid, spread(off, [minor for _, minor in paid]), strict=True):
            lines.take(kind, name, minor)
        left = whole - off if kind == "discount" else 0
    missing = Fraction(card["minimum"]) * share - sum((exact for _, _, exact, _ in lines), ZERO)
    if missing > 0:
        lines.add("minimum", "minimum", missing)
    return lines, left


def route_lines(plan: Case, usage: Usage, lines: Lines) -> list[tuple[str, int]]:
    paid = []
    for (_, name), calls in sorted(usage.calls.items()):
        remaining = lines.add("usage", name, cost_of([(price, amount) for _, price, amount in calls]))
        if plan["kind"] == "discount_percent":
            off = Fraction(remaining, 10**lines.digits) * Fraction(plan["amount"]) / 100
            remaining += lines.take("discount", name, rounded(off, lines.digits))
        paid.append((name, remaining))
    return paid


def meter_lines(part: Case, price: Case, usage: Usage, lines: Lines) -> None:
    rows = own_first(part, price)
    groups = measured(price["meter"], usage.events).values()
    priced = [[(row, amount) for at, amount in used if (row := in_force(rows, at))] for used in groups]
    remaining = lines.add("usage", price["name"], sum((cost_of(one) for one in priced), ZERO))
    if "maximum" in price:
        over = remaining - rounded(Fraction(price["maximum"]), lines.digits)
        lines.take("maximum", price["name"], max(over, 0))


def own_first(part: Case, price: Case) -> list[Case]:
    """The rows of a plan's price, cut where the customer has one of their own."""
    own, found = part["sub"]["own"].get(price["name"], []), []
    for row in price["rows"]:
        left = [(row["valid_from"], row["valid_to"])]
        for one in own:
            left = [
                piece
                for begin, end in left
                for piece in ((begin, min(end, one["valid_from"])), (max(begin, one["valid_to"]), end))
                if piece[0] < piece[1]
            ]
        found += [dict(row, valid_from=begin, valid_to=end) for begin, end in left]
    return [*own, *found]


def invoices(case: Case) -> list[Case]:
    """The invoice of each month: the first of what was there when it was made, the next with what came late for it."""
    found: list[Case] = []
    before: list[Case] = []
    for number, (start, end) in enumerate(case["months"]):
        events = sorted(
            (one for one in case["events"] if one["known"] <= number), key=lambda one: (one["at"], one["seq"])
        )
        now = [dict(part) for part in before] + parts(case, start, end)
        left = {(part["sub"]["id"], part["end"]): (part["currency"], part["left"]) for part in before}
        lines: list[tuple[str, str, Fraction, int]] = []
        borne: Case = {}
        for part in now:
            usage = Usage(case, part, events)
            part["currency"], part["charged"] = part.get("currency") or usage.currency, usage.charged
            carried = left.get((part["sub"]["id"], part["start"]), (None, 0))
            rated, part["left"] = part_lines(case, part, usage, carried[1] if carried[0] == usage.currency else 0)
            left[part["sub"]["id"], part["end"]] = part["currency"], part["left"]
            if part["currency"] == case["invoiced"]:
                lines += without(rated, part.get("lines", []))
                part["lines"] = rated
            borne |= {one["name"]: one.get("taxes") for one in case["plans"][part["plan"]]["prices"]}
        before = [part for part in now if part["currency"] == case["invoiced"]]
        found.append({"parts": before, "figures": drafted(case, lines, borne)})
    return found


def without(rated: Lines, charged: list[tuple[str, str, Fraction, int]]) -> list[tuple[str, str, Fraction, int]]:
    """The lines that are not nothing, or what they differ by from those that were charged before."""
    found: dict[tuple[str, str], tuple[Fraction, int]] = {}
    for sign, lines in ((1, rated), (-1, charged)):
        for kind, name, exact, minor in lines:
            was = found.get((kind, name), (ZERO, 0))
            found[kind, name] = was[0] + sign * exact, was[1] + sign * minor
    return [(kind, name, exact, minor) for (kind, name), (exact, minor) in found.items() if minor]
