"""Write the access log of a shop that never was: 30 days, made by chance from a fixed seed."""

from __future__ import annotations

import argparse
import gzip
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["DAYS", "END", "REQUESTS", "make_lines", "write_log"]

END = datetime(2025, 7, 1, tzinfo=UTC)
DAYS, REQUESTS, PRODUCTS = 30, 5000, 120
BAD_DAY, BAD_HOURS = 9, (9, 16)

CLIENTS = {
    ("alpine", "203.0.113.10", "alpine-sync/3.2"): 30,
    ("harbour", "203.0.113.27", "python-requests/2.32.3"): 18,
    ("nimbus", "198.51.100.4", "okhttp/4.12.0"): 14,
    ("orchard", "2001:db8:40::7", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"): 8,
    ("-", "192.0.2.66", "Mozilla/5.0 (compatible; ExampleBot/2.1; +https://bot.example/about)"): 5,
    ("-", "192.0.2.141", r"scan \"n\" scan"): 1,
}
WORDS = ("lamp", "red+lamp", "kettle", "tent", "atlas", "warm+scarf")
PROBES = ("/wp-login.php", "/.env", "/admin/config.php", "/v0/%2e%2e/etc/passwd")
WEEKDAY_WEIGHTS = (1.0, 1.1, 1.15, 1.1, 1.0, 0.55, 0.45)


def make_lines(end: datetime = END, *, days: int = DAYS, requests: int = REQUESTS, seed: int = 30) -> list[str]:
    """Make the lines of the ``days`` before ``end`` in the combined format, in the order of their time.

    Office hours are busy and weekends calm; for seven hours of one day the shop fails half of what it is asked.
    """
    chance = random.Random(seed)
    first = end - timedelta(days=days)
    hours = [first + timedelta(hours=place) for place in range(days * 24)]
    chosen = chance.choices(hours, [_busy(hour) for hour in hours], k=requests)
    times = sorted(hour + timedelta(seconds=chance.randrange(3600)) for hour in chosen)
    return [_line(chance, time, failing=_is_failing(time, first)) for time in times]


def write_log(path: Path, end: datetime = END) -> int:
    """Write the log as gzip, the same bytes each time, and return the number of its lines."""
    lines = make_lines(end)
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
    return len(lines)


def _busy(hour: datetime) -> float:
    return (0.12 + max(0.0, math.sin((hour.hour - 6) / 14 * math.pi))) * WEEKDAY_WEIGHTS[hour.weekday()]


def _is_failing(time: datetime, first: datetime) -> bool:
    return (time - first).days == BAD_DAY and BAD_HOURS[0] <= time.hour < BAD_HOURS[1]


def _line(chance: random.Random, time: datetime, *, failing: bool) -> str:
    user, address, agent = chance.choices(list(CLIENTS), list(CLIENTS.values()))[0]
    request, status, size = _bot_request(chance) if user == "-" else _request(chance)
    if failing and chance.choice((True, False)):
        status, size = chance.choice((500, 502, 503)), 162
    referer = "https://market.orchard.example/" if user == "orchard" else "-"
    written = f'"{request}" {status} {size or "-"} "{referer}" "{agent}"'
    return f"{address} - {user} [{time:%d/%b/%Y:%H:%M:%S} +0000] {written}"


def _request(chance: random.Random) -> tuple[str, int, int]:
    number = min(int(chance.expovariate(1 / 25)) + 1, 130)
    kind = chance.choices(("list", "detail", "search", "cart", "order", "payment"), (20, 40, 12, 9, 7, 5))[0]
    if kind == "list":
        return f"GET /v0/products?page={number % 6 + 1} HTTP/1.1", chance.choice((200, 200, 200, 304)), 2410
    if kind == "detail":
        return f"GET /v0/products/{number} HTTP/1.1", *((200, 131) if number <= PRODUCTS else (404, 77))
    if kind == "search":
        token = "" if chance.randrange(5) else f"&session={chance.getrandbits(64):016x}"
        return f"GET /v0/search?q={chance.choice(WORDS)}{token} HTTP/1.1", 200, chance.randrange(40, 4000)
    if kind == "cart":
        return f"POST /v0/carts/{chance.getrandbits(128):032x}/items HTTP/1.1", 201, 88
    if kind == "order":
        return "POST /v0/orders HTTP/1.1", *((201, 44) if chance.randrange(15) else (422, 70))
    return f"POST /v0/orders/{1000 + number}/payment HTTP/1.1", *((200, 40) if chance.randrange(10) else (402, 61))


def _bot_request(chance: random.Random) -> tuple[str, int, int]:
    detail = f"GET /v0/products/{chance.randint(1, PRODUCTS)} HTTP/1.1", 200, 131
    probe = f"GET {chance.choice(PROBES)} HTTP/1.1", 404, 77
    noise = r"\x16\x03\x01\x02\x00\x01", 400, 0
    return chance.choices((detail, probe, noise), (16, 8, 1))[0]


def main() -> None:
    """Write the log to the file that is named, ending at the time that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=Path(__file__).parent / "data" / "access.log.gz")
    parser.add_argument("--end", type=datetime.fromisoformat, default=END, help="end of the log, excluded")
    chosen = parser.parse_args()
    print(f"{write_log(chosen.file, chosen.end.astimezone(UTC))} lines in {chosen.file}")


if __name__ == "__main__":
    main()
