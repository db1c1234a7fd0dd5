"""What an invoice must come to, worked out the naive way: event by event, in fractions, from plain values.

It shares nothing with the engine but the rules. Amounts are in whole minor units, positions and prices ``Fraction``s.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

__all__ = ["credit", "drafted", "in_force", "invoice", "price_cost"]

Case = dict[str, Any]
ZERO = Fraction(0)


def rounded(exact: Fraction, digits: int) -> int:
    """Minor units, half away from zero."""
    scaled = exact * 10**digits
    whole, rest = divmod(abs(scaled), 1)
    units = int(whole) + (1 if rest >= Fraction(1, 2) else 0)
    return units if scaled > 0 else -units


def share_of(period: tuple[datetime, datetime], part: tuple[datetime, datetime], by: str, zone: str) -> Fraction:
    def size(start: datetime, end: datetime) -> int:
        if by == "second":
            return max(int((end - start).total_seconds()), 0)
        day, days = start.astimezone(ZoneInfo(zone)).date(), 0
        while day < end.astimezone(ZoneInfo(zone)).date():
            day, days = day + timedelta(days=1), days + 1
        return days

    return Fraction(size(max(part[0], period[0]), min(part[1], period[1])), size(*period))


# Meters


def passes(event: Case, filters: list[Case]) -> bool:
    for one in filters:
        value = event.get(one["field"])
        if "one_of" in one and value not in one["one_of"]:
            return False
        if value in one.get("none_of", []):
            return False
        if "at_least" in one and (value is None or value < int(one["at_least"])):
            return False
    return True


def measured(meter: Case, events: list[Case]) -> dict[Any, list[tuple[datetime, Fraction]]]:
    groups: dict[Any, list[tuple[datetime, Any]]] = {}
    for event in events:
        if passes(event, meter.get("filters", [])):
            value = Fraction(1) if meter["aggregation"] == "count" else event.get(meter["field"])
            if value is not None:
                groups.setdefault(tuple(event.get(name) for name in meter.get("group_by", [])), []).append(
                    (event["at"], value if meter["aggregation"] == "unique" else Fraction(value))
                )
    return {key: steps(meter, values) for key, values in groups.items()}


def steps(meter: Case, values: list[tuple[datetime, Any]]) -> list[tuple[datetime, Fraction]]:
    kind, last = meter["aggregation"], values[-1][0]
    if kind == "latest":
        return [(last, max(value for at, value in values if at == last))]
    if kind == "percentile":
        ranked, n = sorted(value for _, value in values), len(values)
        return [(last, next(ranked[k] for k in range(n) if Fraction(k + 1, n) * 100 >= Fraction(meter["percentile"])))]
    found = []
    for place, (at, value) in enumerate(values):
        earlier = [one for _, one in values[:place]]
        if kind == "unique":
            value = Fraction(value not in earlier)  # noqa: PLW2901 - what it adds is what counts
        elif kind == "max":
            value = max(value - max(earlier, default=ZERO), ZERO)  # noqa: PLW2901 - the same
        found.append((at, value))
    return found


# Prices


def price_cost(rows: list[Case], used: list[tuple[datetime, Fraction]]) -> Fraction:
    return cost_of([(price, amount) for at, amount in used if (price := in_force(rows, at))])


def cost_of(priced: list[tuple[Case, Fraction]]) -> Fraction:
    """What amounts cost together, each at the price in force at its time."""
    total = sum((amount for _, amount in priced), ZERO)
    cost = position = ZERO
    for number, (price, amount) in enumerate(priced):
        is_last = position + amount == total and amount > 0
        cost += event_cost(price, number, position, amount, total, is_last=is_last)
        position += amount
    return cost


def in_force(rows: list[Case], at: datetime) -> Case | None:
    found = [row["price"] for row in rows if row["valid_from"] <= at < row["valid_to"]]
    assert len(found) <= 1
    return found[0] if found else None


def event_cost(
    price: Case, number: int, position: Fraction, amount: Fraction, total: Fraction, *, is_last: bool
) -> Fraction:
    after = position + amount
    model = price["model"]
    if model == "per_unit":
        return amount * Fraction(price["unit_price"])
    if model == "included":
        allowance = max(Fraction(price["included_units"]) - position, ZERO)
        return max(amount - allowance, ZERO) * Fraction(price["unit_price"])
    if model == "package":
        begins, cost = Fraction(price["free_units"]), ZERO
        while begins < after:
            cost += Fraction(price["package_price"]) if begins >= position else 0
            begins += Fraction(price["size"])
        return cost
    if model == "percentage":
        return percentage_cost(price, number, position, amount)
    cost = lower = ZERO
    for tier in price["tiers"]:
        upper = Fraction(tier["up_to"]) if "up_to" in tier else max(total, lower) + 1
        each = Fraction(tier["rate"]) / 100 if "rate" in tier else Fraction(tier["unit_price"])
        if model == "volume":
            if lower < total <= upper:
                cost += amount * each + (Fraction(tier["flat_fee"]) if is_last else 0)
        else:
            cost += max(min(after, upper) - max(position, lower), ZERO) * each
            cost += Fraction(tier["flat_fee"]) if position <= lower < after else 0
        lower = upper
    return cost


def percentage_cost(price: Case, number: int, position: Fraction, amount: Fraction) -> Fraction:
    events, money = price.get("free_events"), price.get("free_amount")
    left = None if money is None else Fraction(money) - position
    runs = (events is not None or money is not None) and (events is None or number < events)
    if runs and (left is None or left > 0):
        if left is None or amount <= left:
            return ZERO
        amount -= left
    cost = amount * Fraction(price["rate"]) / 100 + Fraction(price["fixed_fee"])
    if "minimum" in price and cost < Fraction(price["minimum"]):
        cost = Fraction(price["minimum"])
    if "maximum" in price and cost > Fraction(price["maximum"]):
        cost = Fraction(price["maximum"])
    return cost


# A period, an invoice


def spread(amount: int, weights: list[int]) -> list[int]:
    if not weights:
        return []
    shares, left = [], amount
    for weight in weights[:-1]:
        shares.append(min(rounded(Fraction(amount * weight, sum(weights) or 1), 0), left))
        left -= shares[-1]
    shares.append(left)
    for place in range(len(shares) - 1, 0, -1):
        excess = max(shares[place] - weights[place], 0)
        shares[place] -= excess
        shares[place - 1] += excess
    return shares


def prepaid(prices: list[Case], volume: Fraction) -> list[list[tuple[datetime, Fraction]]]:
    """The calls of each price that is pay as you go, less those that were paid for."""
    calls = [
        (at, place, number, amount)
        for place, price in enumerate(prices)
        if price["pay_as_you_go"]
        for number, (at, amount) in enumerate(measured(price["meter"], price["events"]).get((), []))
    ]
    found: list[list[tuple[datetime, Fraction]]] = [[] for _ in prices]
    for at, place, _, amount in sorted(calls):
        covered = min(amount, volume)
        volume -= covered
        if amount > covered:
            found[place].append((at, amount - covered))
    return found


class Lines(list[tuple[str, str, Fraction, int]]):
    """Lines as (kind, name, exact, minor units)."""

    def __init__(self, digits: int) -> None:
        super().__init__()
        self.digits = digits

    def add(self, kind: str, name: str, exact: Fraction) -> int:
        self.append((kind, name, exact, rounded(exact, self.digits)))
        return self[-1][3]

    def take(self, kind: str, name: str, minor: int) -> int:
        if minor:
            self.append((kind, name, Fraction(-minor, 10**self.digits), -minor))
        return -minor


def charges(case: Case) -> tuple[Lines, int]:
    """The lines of a period, and what is left of the plan's amount off."""
    plan, card, digits = case["plan"], case["card"], case["digits"]
    share = (
        share_of(case["period"], case["part"], card["prorate_by"], case["zone"]) if card["prorated"] else Fraction(1)
    )
    given = Fraction(plan.get("amount", 0)) * share
    lines = Lines(digits)
    if Fraction(card["fee"]):
        lines.add("base_fee", "base_fee", Fraction(card["fee"]) * share)
    paid = usage_lines(case, lines, Fraction(rounded(given, 6), 10**6))
    left = 0
    if plan["kind"] in {"discount_amount", "prepaid_value"}:
        whole = rounded(given, digits)
        off = min(whole, sum(minor for _, minor in paid))
        for (name, _), minor in zip(paid, spread(off, [minor for _, minor in paid]), strict=True):
            lines.take("discount" if plan["kind"] == "discount_amount" else "prepaid", name, minor)
        left = whole - off if plan["kind"] == "discount_amount" else 0
    missing = Fraction(card["minimum"]) * share - sum((exact for _, _, exact, _ in lines), ZERO)
    if missing > 0:
        lines.add("minimum", "minimum", missing)
    return lines, left


def usage_lines(case: Case, lines: Lines, volume: Fraction) -> list[tuple[str, int]]:
    """Add what was used and what comes off it alone; what remains of pay as you go, by name."""
    plan, digits = case["plan"], case["digits"]
    left_calls = prepaid(case["prices"], volume) if plan["kind"] == "prepaid_volume" else None
    paid = []
    for place, price in enumerate(case["prices"]):
        groups = list(measured(price["meter"], price["events"]).values())
        if left_calls is not None and price["pay_as_you_go"]:
            groups = [left_calls[place]]
        remaining = lines.add("usage", price["name"], sum((price_cost(price["rows"], used) for used in groups), ZERO))
        if plan["kind"] == "discount_percent" and price["pay_as_you_go"]:
            off = rounded(Fraction(remaining, 10**digits) * Fraction(plan["amount"]) / 100, digits)
            remaining += lines.take("discount", price["name"], off)
        if "maximum" in price:
            over = remaining - rounded(Fraction(price["maximum"]), digits)
            remaining += lines.take("maximum", price["name"], max(over, 0))
        if price["pay_as_you_go"]:
            paid.append((price["name"], remaining))
    return paid


def invoice(case: Case) -> Case:
    """All figures of the invoice that the case asks for."""
    lines, left = charges(case)
    borne = {price["name"]: price.get("taxes") for price in case["prices"]}
    return drafted(case, lines, borne) | {"discount_left": left}


def drafted(case: Case, lines: list[tuple[str, str, Fraction, int]], borne: Case) -> Case:
    """The figures of an invoice with these lines and one-off ones; ``borne`` are the taxes of lines, by name."""
    digits = case["digits"]
    lines = [*lines, *(("one_off", "one_off", Fraction(minor, 10**digits), minor) for minor in case["one_off"])]
    remaining = [minor for _, _, _, minor in lines]
    uses = []
    for coupon in case["coupons"]:
        whole = max(sum(remaining), 0)
        if "percent" in coupon:
            wanted = rounded(Fraction(whole, 10**digits) * Fraction(coupon["percent"]) / 100, digits)
        else:
            wanted = coupon["minor"]
        off = min(wanted, whole)
        weights = [max(minor, 0) for minor in remaining]
        remaining = [minor - share for minor, share in zip(remaining, spread(off, weights), strict=True)]
        uses.append((off, None if "percent" in coupon else wanted - off))
    taxes, owed, due_tax = [], 0, 0
    for rate in case["taxes"]:
        base = ZERO
        for (_, name, _, _), minor in zip(lines, remaining, strict=True):
            on_line = [one for one in case["taxes"] if borne.get(name) is None or one["name"] in borne[name]]
            inside = sum((Fraction(one["percent"]) for one in on_line), ZERO) / 100 if case["tax_inclusive"] else ZERO
            base += Fraction(minor, 10**digits) / (1 + inside) if rate in on_line else 0
        tax = rounded(base * Fraction(rate["percent"]) / 100, digits)
        owed += tax
        due_tax += 0 if rate["reverse_charge"] else tax
        taxes.append((rate["name"], 0 if rate["reverse_charge"] else tax))
    net = sum(remaining) - (owed if case["tax_inclusive"] else 0)
    total = net + due_tax
    draws, open_amount = [], max(total, 0)
    usable = [one for one in case["wallets"] if one["expires_at"] is None or one["expires_at"] > case["at"]]
    far = datetime.max.replace(tzinfo=case["at"].tzinfo)
    for wallet in sorted(
        usable, key=lambda one: (one["priority"], one["expires_at"] or far, 0 if one["granted"] else 1, one["id"])
    ):
        taken = min(wallet["minor"], open_amount)
        open_amount -= taken
        draws += [(wallet["id"], taken)] if taken else []
    return {
        "charges": [(kind, name, minor) for kind, name, _, minor in lines],
        "coupons": uses,
        "remaining": remaining,
        "taxes": taxes,
        "net": net,
        "total": total,
        "draws": draws,
        "due": open_amount,
        "credit": max(-total, 0),
    }


def credit(nets: list[int], rate: Fraction, tax: int, notes: list[list[int]]) -> list[int]:
    """The tax of each note that gives back so much of each line, under one rate that is on all of them."""
    given, found = [0] * len(nets), list[int]()
    for note in notes:
        given = [before + now for before, now in zip(given, note, strict=True)]
        left = tax - sum(found)
        found.append(left if given == nets else min(rounded(sum(note) * rate / 100, 0), left))
    return found
