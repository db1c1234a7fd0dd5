"""Write the access log of a growing shop that never was: made by chance from a fixed seed, with request times."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import math
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

__all__ = ["CUSTOMERS", "DAYS", "END", "REQUESTS", "make_lines", "write_log"]

END = datetime(2025, 7, 1, tzinfo=UTC)
DAYS, REQUESTS, PRODUCTS = 30, 5000, 120
GROWTH_PER_DAY = 1.028
BAD_DAYS_AGO, BAD_HOURS = 12, (9, 16)

CUSTOMERS = (
    *("alpine", "harbour", "nimbus", "orchard", "juniper", "meridian", "copper", "lantern", "tundra", "saffron"),
    *("willow", "quartz", "pelican", "ember", "marble", "cedar", "drift", "falcon", "opal", "office"),
)
AGENTS = (
    "alpine-sync/3.2",
    "python-requests/2.32.3",
    "okhttp/4.12.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
)
CLIENTS = {
    (name, f"203.0.113.{10 + place}", AGENTS[place % len(AGENTS)]): 100 / (place + 3)
    for place, name in enumerate(CUSTOMERS)
} | {
    ("orchard", "2001:db8:40::7", AGENTS[1]): 4,
    ("-", "192.0.2.66", "Mozilla/5.0 (compatible; ExampleBot/2.1; +https://bot.example/about)"): 9,
    ("-", "192.0.2.141", r"scan \"n\" scan"): 1,
}
WORDS = ("lamp", "red+lamp", "kettle", "tent", "atlas", "warm+scarf")
USER = re.compile(r" - (\w+) \[")
PROBES = ("/wp-login.php", "/.env", "/admin/config.php", "/v1/%2e%2e/etc/passwd")
WEEKDAY_WEIGHTS = (1.0, 1.1, 1.15, 1.1, 1.0, 0.72, 0.66)
KINDS = {"list": 20, "detail": 40, "search": 12, "cart": 9, "order": 7, "payment": 5}
SECONDS = {"list": 0.018, "detail": 0.009, "search": 0.13, "cart": 0.012, "order": 0.03, "payment": 0.09, "bot": 0.008}
PAYMENT_OUTAGE, OUTAGE, BAD_OUTAGE = 0.04, 0.002, 0.12


class Answer(NamedTuple):
    """What was asked and how it went."""

    kind: str
    request: str
    status: int
    size: int


def make_lines(end: datetime = END, *, days: int = DAYS, requests: int = REQUESTS, seed: int = 30) -> list[str]:
    """Make the lines of the ``days`` before ``end`` in the combined format, in the order of their time.

    Office hours are busy and weekends calm, and every week is busier than the one before; for seven hours of one day
    the shop is slow and fails often.
    """
    chance = random.Random(seed)
    first = end - timedelta(days=days)
    hours = [first + timedelta(hours=place) for place in range(days * 24)]
    weights = [_busy(hour) * GROWTH_PER_DAY ** (place / 24) for place, hour in enumerate(hours)]
    times = sorted(
        hour + timedelta(seconds=chance.randrange(3600)) for hour in chance.choices(hours, weights, k=requests)
    )
    bad_day = (end - timedelta(days=BAD_DAYS_AGO)).date()
    clients, shares = list(CLIENTS), list(CLIENTS.values())
    return [
        _line(chance, time, client, failing=time.date() == bad_day and BAD_HOURS[0] <= time.hour < BAD_HOURS[1])
        for time, client in zip(times, chance.choices(clients, shares, k=requests), strict=True)
    ]


def write_log(path: Path, lines: list[str]) -> int:
    """Write the log as gzip, the same bytes each time, and return the number of its lines."""
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), 6, mtime=0))
    return len(lines)


def _busy(hour: datetime) -> float:
    return (0.5 + max(0.0, math.sin((hour.hour - 6) / 14 * math.pi))) * WEEKDAY_WEIGHTS[hour.weekday()]


def _line(chance: random.Random, time: datetime, client: tuple[str, str, str], *, failing: bool) -> str:
    user, address, agent = client
    answer = _bot_request(chance) if user == "-" else _request(chance)
    if chance.random() < (BAD_OUTAGE if failing else OUTAGE):
        answer = answer._replace(status=chance.choice((500, 502, 503)), size=162)
    seconds = (
        SECONDS[answer.kind] * chance.lognormvariate(0, 0.45) * (0.8 + 0.4 * _busy(time)) * (2.5 if failing else 1)
    )
    referer = "https://market.orchard.example/" if user == "orchard" else "-"
    written = f'"{answer.request}" {answer.status} {answer.size or "-"} "{referer}" "{agent}" {seconds:.3f}'
    return f"{address} - {user} [{time:%d/%b/%Y:%H:%M:%S} +0000] {written}"


def _request(chance: random.Random) -> Answer:
    number = min(int(chance.expovariate(1 / 25)) + 1, 130)
    kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
    if kind == "list":
        return Answer(kind, f"GET /v1/products?page={number % 6 + 1} HTTP/1.1", chance.choice((200, 200, 304)), 2410)
    if kind == "detail":
        found = number <= PRODUCTS
        return Answer(kind, f"GET /v1/products/{number} HTTP/1.1", 200 if found else 404, 131 if found else 77)
    if kind == "search":
        token = "" if chance.randrange(5) else f"&session={chance.getrandbits(64):016x}"
        return Answer(kind, f"GET /v1/search?q={chance.choice(WORDS)}{token} HTTP/1.1", 200, chance.randrange(40, 4000))
    if kind == "cart":
        return Answer(kind, f"POST /v1/carts/{chance.getrandbits(128):032x}/items HTTP/1.1", 201, 88)
    if kind == "order":
        return Answer(kind, "POST /v1/orders HTTP/1.1", 201 if chance.randrange(15) else 422, 70)
    status = 500 if chance.random() < PAYMENT_OUTAGE else 200 if chance.randrange(10) else 402
    return Answer(kind, f"POST /v1/orders/{1000 + number}/payment HTTP/1.1", status, 61)


def _bot_request(chance: random.Random) -> Answer:
    detail = Answer("bot", f"GET /v1/products/{chance.randint(1, PRODUCTS)} HTTP/1.1", 200, 131)
    probe = Answer("bot", f"GET {chance.choice(PROBES)} HTTP/1.1", 404, 77)
    noise = Answer("bot", r"\x16\x03\x01\x02\x00\x01", 400, 0)
    return chance.choices((detail, probe, noise), (16, 8, 1))[0]


def _fingerprint(user: re.Match[str]) -> str:
    return f" - key_{hashlib.sha256(f'shop-key-of-{user[1]}'.encode()).hexdigest()[:32]} ["


def main() -> None:
    """Write the log to the file that is named, of the size that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=Path(__file__).parent / "data" / "access.log.gz")
    parser.add_argument("--end", type=datetime.fromisoformat, default=END, help="end of the log, excluded")
    parser.add_argument("--days", type=int, default=DAYS, help="how many days it covers")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="how many lines it has")
    parser.add_argument("--keys", action="store_true", help="tell users by the fingerprints of their keys")
    chosen = parser.parse_args()
    lines = make_lines(chosen.end.astimezone(UTC), days=chosen.days, requests=chosen.requests)
    if chosen.keys:
        lines = [USER.sub(_fingerprint, line, count=1) for line in lines]
    print(f"{write_log(chosen.file, lines)} lines in {chosen.file}")


if __name__ == "__main__":
    main()
